//! A chunk of jobs at work.

use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::error::Error;
use crate::io;
use crate::keys::Keys;
use crate::link::Link;
use crate::message::{self, Job, Note};
use crate::names;
use crate::sealed::Key;
use crate::worker::lock;

/// A chunk of jobs that a worker is to run, one item after the other.
pub struct Task {
    pub(super) run: String,
    pub(super) batch: u64,
    pub(super) chunk: String,
    pub(super) slot: usize,
    job: Job,
    key: Key,
    link: Link,
    io: Handle,
    pub(super) began: Instant,
    progress: Mutex<Progress>,
}

/// What stops an item that runs.
type StopNow = Box<dyn Fn() + Send>;

#[derive(Default)]
struct Progress {
    /// How many items have begun.
    begun: usize,
    ends: Vec<(Keys, Bytes)>,
    /// Items that are done, whose end comes with that of others.
    done: Vec<u64>,
    /// What happened in the item that runs, and wasn't told yet.
    events: Vec<(u64, Bytes)>,
    stop: Stop,
    stop_now: Option<StopNow>,
}

/// Whether a chunk is to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    #[default]
    GoOn,
    /// Its worker leaves: no item is to begin any more.
    Leaves,
    /// Nobody waits for it any more: what runs is to stop.
    Cancelled,
    /// Its worker leaves now: what runs is to stop, and hasn't been run.
    GivenBack,
}

impl Task {
    pub(super) fn new(
        place: (&str, u64, &str),
        slot: usize,
        job: Job,
        key: Key,
        link: Link,
        io: Handle,
    ) -> Task {
        Task {
            run: place.0.to_owned(),
            batch: place.1,
            chunk: place.2.to_owned(),
            slot,
            job,
            key,
            link,
            io,
            began: Instant::now(),
            progress: Mutex::default(),
        }
    }

    /// An id that is the same whenever this chunk is run, and that of no other chunk.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.run, self.batch, self.chunk)
    }

    /// Which of the worker's slots runs it.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// The run that it is of: a random name.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// What its items have in common.
    pub fn common(&self) -> &[u8] {
        &self.job.common
    }

    /// The next item that is to be run, and the key that its end goes by; none where there is none, or the worker is to
    /// stop.
    pub fn next_item(&self) -> Option<(u64, Bytes)> {
        let mut progress = lock(&self.progress);
        if progress.stop != Stop::GoOn {
            return None;
        }
        let item = self.job.items.get(progress.begun)?;
        progress.begun += 1;
        Some(item.clone())
    }

    /// Has this called when the item that runs is to stop: at once, if it is already. It stays until the item's
    /// [`end`](Self::end).
    pub fn on_stop(&self, stop: impl Fn() + Send + 'static) {
        let mut progress = lock(&self.progress);
        if progress.stop >= Stop::Cancelled {
            drop(progress);
            stop();
        } else {
            progress.stop_now = Some(Box::new(stop));
        }
    }

    /// Gives an item its end.
    pub fn end(&self, key: u64, end: impl Into<Bytes>) {
        let mut progress = lock(&self.progress);
        progress.stop_now = None;
        progress.events.clear();
        // What was stopped so that another worker can run it has no end.
        if progress.stop != Stop::GivenBack {
            progress.ends.push((Keys::one(key), end.into()));
        }
    }

    /// Says that an item is done, whose end is to come with that of others, by [`end_done`](Self::end_done). False if it
    /// doesn't count: it was stopped so that another worker can run it.
    pub fn done(&self, key: u64) -> bool {
        let mut progress = lock(&self.progress);
        progress.stop_now = None;
        progress.events.clear();
        let counts = progress.stop != Stop::GivenBack;
        if counts {
            progress.done.push(key);
        }
        counts
    }

    /// Gives all items that are [`done`](Self::done) the end that they have in common. The session takes it for all of
    /// them, or for none: where one of them has another end already, those that have none are run again.
    pub fn end_done(&self, end: impl Into<Bytes>) {
        let mut progress = lock(&self.progress);
        if let Some(keys) = Keys::of(std::mem::take(&mut progress.done)) {
            progress.ends.push((keys, end.into()));
        }
    }

    /// Tells whoever waits for an item of something that happens in it, if it goes on for longer than it would take
    /// to tell. It may get lost: what has to arrive belongs into the end.
    pub fn event(&self, key: u64, bytes: impl Into<Bytes>) {
        lock(&self.progress).events.push((key, bytes.into()));
    }

    /// Bytes that the run has stored: see [`Session::put_blob`](crate::Session::put_blob).
    ///
    /// # Errors
    /// If they aren't there.
    pub fn blob(&self, name: &str) -> Result<Vec<u8>, Error> {
        let (link, run, key, name) = (
            self.link.clone(),
            self.run.clone(),
            self.key.clone(),
            name.to_owned(),
        );
        io::wait(&self.io, async move { link.blob(&run, &key, &name).await })
    }

    /// Says that it has begun, or goes on.
    pub(super) async fn alive(&self) {
        let (batch, chunk) = (self.batch, self.chunk.clone());
        self.publish(&Note::At { batch, chunk }).await;
    }

    /// Tells what has happened.
    pub(super) async fn tell(&self) {
        let events = std::mem::take(&mut lock(&self.progress).events);
        let batch = self.batch;
        for (key, bytes) in events {
            self.publish(&Note::Event { batch, key, bytes }).await;
        }
    }

    async fn publish(&self, note: &Note) {
        if let Ok(bytes) = message::encode(note) {
            let subject = names::event(&self.run);
            // Where it can't be published, nobody could hear it either.
            let _ = self.link.client.publish(subject, bytes).await;
        }
    }

    /// Has it stop, unless it is to stop for a better reason already.
    pub(super) fn stop(&self, stop: Stop) {
        let mut progress = lock(&self.progress);
        if progress.stop >= stop {
            return;
        }
        progress.stop = stop;
        let stop_now = match stop >= Stop::Cancelled {
            true => progress.stop_now.take(),
            false => None,
        };
        drop(progress);
        if let Some(stop_now) = stop_now {
            stop_now();
        }
    }

    /// The ends that it has.
    pub(super) fn take_ends(&self) -> Vec<(Keys, Bytes)> {
        std::mem::take(&mut lock(&self.progress).ends)
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}
