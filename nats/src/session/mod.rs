//! A run that has jobs.

mod audit;
mod book;
mod crew;
mod flow;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::error::Error;
use crate::link::Link;
use crate::message::Job;
use crate::names::Crew;
use crate::sealed::{self, Key};
use crate::session::book::Book;
use crate::session::crew::Present;
use crate::worker::WorkerShown;
use crate::{sizes, streams};

/// How long a worker may be silent, unless said.
const LEASE: Duration = Duration::from_secs(10);

/// How long to wait for a first worker, unless said.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server may take to remove what a run has left there.
const CLEANING: Duration = Duration::from_secs(3);

/// What is to run where.
#[derive(Clone, Debug)]
#[must_use]
pub struct Run {
    pool: String,
    version: String,
    lease: Duration,
    patience: Duration,
}

impl Run {
    /// Jobs of this version, for the workers of a pool.
    pub fn new(pool: impl Into<String>, version: impl Into<String>) -> Run {
        Run {
            pool: pool.into(),
            version: version.into(),
            lease: LEASE,
            patience: PATIENCE,
        }
    }

    /// How long a worker may be silent before what it is at is given to others, in place of ten seconds: from one
    /// second on. Runs of one pool and version that are on at the same time had better say the same.
    pub fn lease(mut self, lease: Duration) -> Run {
        self.lease = lease.max(Duration::from_secs(1));
        self
    }

    /// How long to wait for a first worker where there is none at all, in place of five seconds.
    pub fn patience(mut self, patience: Duration) -> Run {
        self.patience = patience;
        self
    }
}

/// Something that happened to a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// Items have their end, one or several together. This comes once for each, unless it is lost or was cancelled.
    End {
        /// The items.
        keys: Vec<u64>,
        /// Who ran it.
        worker: Arc<str>,
        /// What the worker gave it.
        end: Bytes,
    },
    /// A worker has something to tell of an item. After its end there is no more.
    Event {
        /// The item.
        key: u64,
        /// What it tells.
        event: Bytes,
    },
    /// An item has cost too many workers: it was run this many times, and has no end.
    Lost {
        /// The item.
        key: u64,
        /// How often it was run.
        times: u32,
    },
    /// Items won't have an end: the batch was cancelled before a worker had begun with them.
    Cancelled {
        /// The items.
        keys: Vec<u64>,
    },
    /// A [`Waker`] asks to look.
    Look,
    /// No more can be sent, for this reason.
    Broken(String),
}

/// Wakes whoever waits for an [`Update`].
#[derive(Clone, Debug)]
pub struct Waker {
    updates: Sender<(u64, Update)>,
    batch: u64,
}

impl Waker {
    /// Wakes it.
    pub fn wake(&self) {
        let _ = self.updates.send((self.batch, Update::Look));
    }
}

/// A run that has jobs, in batches: one after the other, each until the next one begins. What it has left on the
/// server is removed when this is dropped.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    updates: Mutex<Receiver<(u64, Update)>>,
    helpers: Vec<JoinHandle<()>>,
    client: Client,
}

/// What the helpers of a run have in common.
pub(crate) struct Shared {
    link: Link,
    run: String,
    crew: Crew,
    key: Key,
    lease: Duration,
    book: Mutex<Book>,
    present: Mutex<Present>,
    updates: Sender<(u64, Update)>,
    is_closed: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("run", &self.run)
            .field("crew", &self.crew)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, batch: u64, update: Update) {
        // Nobody may listen any more.
        let _ = self.updates.send((batch, update));
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

impl Session {
    pub(crate) fn open(client: Client, run: Run) -> Result<Session, Error> {
        let crew = Crew::new(&run.pool, &run.version)?;
        let (sender, updates) = mpsc::channel();
        let shared = Arc::new(Shared {
            link: client.link().clone(),
            run: sealed::random_name()?,
            crew,
            key: Key::random()?,
            lease: run.lease,
            book: Mutex::default(),
            present: Mutex::default(),
            updates: sender,
            is_closed: AtomicBool::new(false),
        });
        let to_open = Arc::clone(&shared);
        let helpers = client.io().wait(async move {
            let watch = crew::watch(&to_open).await?;
            let mut helpers = vec![watch];
            match begin(&to_open, run.patience).await {
                Ok(more) => {
                    helpers.extend(more);
                    Ok(helpers)
                }
                Err(error) => {
                    helpers.iter().for_each(JoinHandle::abort);
                    Err(error)
                }
            }
        })?;
        Ok(Session {
            shared,
            updates: Mutex::new(updates),
            helpers,
            client,
        })
    }

    /// The run's random name.
    pub fn run(&self) -> &str {
        &self.shared.run
    }

    /// The workers of its pool and version, as they have shown themselves last.
    pub fn workers(&self) -> Vec<WorkerShown> {
        self.shared.present().of(&self.shared.crew)
    }

    /// Stores bytes for the workers of this run, which get them by the name in the answer, as often as they like.
    ///
    /// # Errors
    /// If the server doesn't take them.
    pub fn put_blob(&self, bytes: Vec<u8>) -> Result<String, Error> {
        let shared = Arc::clone(&self.shared);
        self.client.io().wait(async move {
            let name = shared.link.put_blob(&shared.run, &shared.key, &bytes);
            name.await
        })
    }

    /// Begins a batch, and gives up the one before.
    pub fn begin(&mut self) {
        self.abandon();
        let mut book = self.shared.book();
        let before = book.batch;
        book.begin(before + 1);
        drop(book);
        while self.updates().try_recv().is_ok() {}
        if before > 0 {
            let shared = Arc::clone(&self.shared);
            let handle = self.client.io().handle();
            handle.spawn(async move { flow::forget_results(&shared, Some(before)).await });
        }
    }

    /// How many chunks more may be out now: twice as many are as there are slots, or at most so many.
    pub fn room(&self, most: Option<usize>) -> usize {
        let window = sizes::window(self.slots());
        let window = most.map_or(window, |most| most.min(window));
        window.saturating_sub(self.shared.book().out())
    }

    /// How many chunks are out, and may still come back.
    pub fn out(&self) -> usize {
        self.shared.book().out()
    }

    /// How many items to send next, where so many are left.
    pub fn next_size(&self, left: usize) -> usize {
        let slots = self.slots();
        self.shared.book().sizes.next(left, slots)
    }

    /// The bytes of items that had better not be exceeded in one chunk.
    pub fn max_bytes(&self) -> usize {
        self.shared.link.max_message() / 4 * 3
    }

    /// The slots of these workers together.
    pub fn slots(&self) -> usize {
        self.shared.present().slots(&self.shared.crew)
    }

    /// Sends a chunk: items by keys that no other item of the batch has, and what they have in common.
    pub fn send(&self, common: impl Into<Bytes>, items: Vec<(u64, Bytes)>) {
        let job = Job {
            common: common.into(),
            items,
        };
        let mut book = self.shared.book();
        let batch = book.batch;
        let (name, chunk) = book.add(job);
        drop(book);
        let shared = Arc::clone(&self.shared);
        let handle = self.client.io().handle();
        handle.spawn(async move { flow::send(shared, batch, name, chunk).await });
    }

    fn updates(&self) -> MutexGuard<'_, Receiver<(u64, Update)>> {
        self.updates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens next to the batch, if it happens within this time. Of several threads that wait, one at a time does.
    pub fn wait(&self, time: Option<Duration>) -> Option<Update> {
        let until = time.and_then(|time| Instant::now().checked_add(time));
        let updates = self.updates();
        loop {
            let (batch, update) = match until {
                None => updates.recv().ok()?,
                Some(until) => {
                    let time = until.saturating_duration_since(Instant::now());
                    match updates.recv_timeout(time) {
                        Ok(update) => update,
                        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                            return None;
                        }
                    }
                }
            };
            if batch == self.shared.book().batch {
                return Some(update);
            }
        }
    }

    /// What wakes [`wait`](Self::wait), as long as this batch is on.
    pub fn waker(&self) -> Waker {
        Waker {
            updates: self.shared.updates.clone(),
            batch: self.shared.book().batch,
        }
    }

    /// Cancels the batch: workers are told, and chunks that no worker has begun with are taken back. The answer is which
    /// items those were; the others end soon, or are [`Cancelled`](Update::Cancelled).
    pub fn cancel(&self) -> Vec<u64> {
        let mut book = self.shared.book();
        let batch = book.batch;
        let gone = book.cancel();
        drop(book);
        let shared = Arc::clone(&self.shared);
        let handle = self.client.io().handle();
        handle.spawn(async move { flow::cancel(&shared, batch).await });
        gone
    }

    /// Gives up what has no end yet: which items those are.
    pub fn abandon(&self) -> Vec<u64> {
        self.shared.book().abandon()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        for helper in &self.helpers {
            helper.abort();
        }
        let shared = Arc::clone(&self.shared);
        let _ = self.client.io().wait(async move {
            // Where the server is away, what is there is forgotten when it is old enough.
            let _ = tokio::time::timeout(CLEANING, flow::close(&shared)).await;
            Ok(())
        });
    }
}

/// Finds workers, and has everything listen that has to.
async fn begin(shared: &Arc<Shared>, patience: Duration) -> Result<Vec<JoinHandle<()>>, Error> {
    crew::find(shared, patience).await?;
    streams::ensure_crew(&shared.link, &shared.crew, shared.lease).await?;
    flow::show(shared, 0).await?;
    let results = flow::results(shared).await?;
    let mut helpers = vec![tokio::spawn(flow::hear_results(
        Arc::clone(shared),
        results,
    ))];
    helpers.extend(flow::listen(shared).await?);
    helpers.push(tokio::spawn(audit::run(Arc::clone(shared))));
    Ok(helpers)
}
