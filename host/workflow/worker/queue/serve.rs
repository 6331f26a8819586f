//! A worker of a server of NATS.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moonfork_nats::{Error, Stopper, Task};

use crate::Pool;
use crate::workflow::event::{Event, Heard, Listener};
use crate::workflow::options::RunSettings;
use crate::workflow::worker::frame;
use crate::workflow::worker::hosted::{self, Host, Ran};
use crate::workflow::worker::message::BranchSent;
use crate::workflow::worker::queue::access::{self, Nats, POOL};
use crate::workflow::worker::queue::chunk::{About, Answer, BranchOfChunk, ChunkSent, EventSent};
use crate::workflow::worker::queue::fold::Fold;
use crate::workflow::worker::queue::hosts::{Hosted, Hosts};

/// A process that runs branches for runs anywhere, which it gets by way of a server of NATS.
///
/// ```no_run
/// use std::num::NonZeroUsize;
/// use moonfork::Pool;
/// use moonfork::workflow::RunSettings;
/// use moonfork::workflow::nats::{Nats, Worker};
///
/// let pool = Pool::builder().build()?;
/// let eight = NonZeroUsize::new(8).expect("it is not zero");
/// let worker = Worker::new(&Nats::new("nats://127.0.0.1:4222"), &pool)?.slots(eight);
/// worker.serve(&pool, &RunSettings::new())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Worker {
    worker: moonfork_nats::Worker,
    slots: NonZeroUsize,
}

impl Worker {
    /// A worker of that pool of the server, for runs of this version of the library and of the guest of `pool`.
    ///
    /// # Errors
    /// If its pool has a name that can't be.
    pub fn new(nats: &Nats, pool: &Pool) -> Result<Worker, Error> {
        let name = nats.pool.as_deref().unwrap_or(POOL);
        let version = access::version(pool);
        Ok(Worker {
            worker: moonfork_nats::Worker::new(nats.access.clone(), name, &version)?,
            slots: NonZeroUsize::MIN,
        })
    }

    /// How many branches it runs at a time: one, unless said. Each has as many of the pool's instances as are there for
    /// one of so many, so that branches inside of it find some.
    pub fn slots(mut self, slots: NonZeroUsize) -> Worker {
        self.worker = self.worker.slots(slots);
        self.slots = slots;
        self
    }

    /// How long branches that run may go on when it is to stop, in place of 30 seconds; then they are stopped, and
    /// others run them again.
    pub fn grace(mut self, grace: Duration) -> Worker {
        self.worker = self.worker.grace(grace);
        self
    }

    /// Calls this with what its operator may want to know.
    pub fn on_note(mut self, note: impl Fn(&str) + Send + Sync + 'static) -> Worker {
        self.worker = self.worker.on_note(note);
        self
    }

    /// Its random id, which reports have as `worker`.
    pub fn id(&self) -> &str {
        self.worker.id()
    }

    /// What stops it: it takes no more branches, gives back those that haven't begun, and finishes the others, for its
    /// [`grace`](Self::grace) at most.
    pub fn stopper(&self) -> Stopper {
        self.worker.stopper()
    }

    /// Serves until it is stopped. What branches may do is what `settings` and the pool grant here: what they are sent
    /// asks for a part of it. Of the settings, grants, secrets, values of the environment, journals and the cancel
    /// handle count.
    ///
    /// A server that goes away is waited for.
    ///
    /// # Errors
    /// If there is no server, or it is too old, or doesn't let this side do what a worker has to.
    pub fn serve(self, pool: &Pool, settings: &RunSettings) -> Result<(), Error> {
        let about = About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            grants: settings.granted_names(pool),
        };
        // It is text.
        let about = serde_json::to_value(about).unwrap_or_default();
        let hosts = Hosts::default();
        let slots = self.slots.get();
        self.worker.about(about).serve(|task| {
            let host = Host {
                pool,
                settings,
                slots: (pool.max_branches() / slots).max(1),
            };
            run(&host, &hosts, task);
        })
    }
}

/// Runs a chunk.
fn run(host: &Host<'_>, hosts: &Hosts, task: &Arc<Task>) {
    let began = Instant::now();
    let chunk = frame::from_bytes::<ChunkSent>(task.common());
    let chunk = chunk.map_err(|error| error.to_string());
    let chunk = chunk.and_then(|chunk| {
        let hosted = hosts.of(task, &chunk, host.pool)?;
        Ok((chunk, hosted))
    });
    let (mut chunk, hosted) = match chunk {
        Ok(chunk) => chunk,
        Err(why) => {
            while let Some((key, _)) = task.next_item() {
                end(task, key, &Answer::Refused(why.clone()));
            }
            return;
        }
    };
    let (workflow, fan_out) = &hosted;
    let mut fold = fan_out.folds().map(Fold::new);
    while let Some((key, item)) = task.next_item() {
        if chunk.totals.are_used_up() {
            end(task, key, &Answer::UsedUp);
            continue;
        }
        let (index, ran, events) = match branch(host, task, (&chunk, began), &hosted, key, &item) {
            Ok(ran) => ran,
            Err(why) => {
                end(task, key, &Answer::Refused(why));
                continue;
            }
        };
        chunk.totals = chunk.totals.less(&ran.spent);
        match &mut fold {
            Some(fold) if ran.end.result.is_ok() => {
                if task.done(key) {
                    fold.take(index, &fan_out.name(index, workflow), ran, events);
                }
            }
            _ => {
                let sent = fan_out.end_sent(key, ran);
                end(task, key, &Answer::End(Box::new(sent), events));
            }
        }
    }
    if let Some(bytes) = fold.and_then(|fold| bytes(&Answer::Folded(Box::new(fold.sent())))) {
        task.end_done(bytes);
    }
}

fn end(task: &Task, key: u64, answer: &Answer) {
    if let Some(bytes) = bytes(answer) {
        task.end(key, bytes);
    }
}

/// An answer as it is written. Without, what it is of is given back, and has to be run again.
fn bytes(answer: &Answer) -> Option<Vec<u8>> {
    let bytes = frame::to_bytes(answer).or_else(|error| {
        let why = format!("what it gave can't be written: {error}");
        frame::to_bytes(&Answer::Refused(why))
    });
    bytes.ok()
}

fn branch(
    host: &Host<'_>,
    task: &Arc<Task>,
    (chunk, began): (&ChunkSent, Instant),
    (workflow, fan_out): &Hosted,
    key: u64,
    item: &[u8],
) -> Result<(usize, Ran, Vec<Event>), String> {
    let item: BranchOfChunk = frame::from_bytes(item).map_err(|error| error.to_string())?;
    let cancel = hosted::cancel(host.settings);
    task.on_stop({
        let cancel = cancel.clone();
        move || cancel.cancel()
    });
    let waited = began.elapsed();
    let sent = BranchSent {
        number: key,
        index: usize::try_from(key).map_err(|error| error.to_string())?,
        item: item.item,
        elapsed: chunk.elapsed + waited,
        left: chunk.left.map(|left| left.after(waited)),
        totals: chunk.totals.clone(),
    };
    let events = Arc::new(Mutex::new(Vec::new()));
    let listener = (fan_out.sent.events != Heard::Nothing).then(|| {
        let (task, events) = (Arc::clone(task), Arc::clone(&events));
        listener(task, key, events, fan_out.sent.events)
    });
    let ran = host.branch(workflow, fan_out, &sent, cancel, listener)?;
    let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((sent.index, ran, std::mem::take(&mut *events)))
}

/// Tells of what happens in a branch, and notes it.
fn listener(task: Arc<Task>, key: u64, events: Arc<Mutex<Vec<Event>>>, heard: Heard) -> Listener {
    Listener::new(heard, move |event: &Event| {
        let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = EventSent {
            number: events.len(),
            event: event.clone(),
        };
        // What can't be told now comes with the end.
        if let Ok(bytes) = frame::to_bytes(&sent) {
            task.event(key, bytes);
        }
        events.push(sent.event);
    })
}
