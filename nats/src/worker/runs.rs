//! Which runs are still on, and which of their batches are cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures_util::StreamExt;

use crate::message::{self, CancelSent, RunShown};
use crate::names;
use crate::worker::task::{Stop, Task};
use crate::worker::{State, lock};

/// How long what was read of a run holds: word of cancelling comes by itself, but may get lost.
const KNOWN: Duration = Duration::from_secs(5);

/// How many runs are remembered; beyond that, those that weren't heard of for longest are forgotten.
const REMEMBERED: usize = 1000;

#[derive(Default)]
pub(super) struct Runs {
    known: Mutex<HashMap<String, Known>>,
    /// By slot.
    at_work: Mutex<HashMap<usize, Arc<Task>>>,
}

struct Known {
    /// The first batch that isn't cancelled.
    from: u64,
    read: Instant,
}

impl Runs {
    pub(super) fn begin(&self, task: &Arc<Task>) {
        lock(&self.at_work).insert(task.slot, Arc::clone(task));
        // It may have been cancelled just before.
        let known = lock(&self.known);
        if known.get(&task.run).is_some_and(|it| task.batch < it.from) {
            drop(known);
            task.stop(Stop::Cancelled);
        }
    }

    pub(super) fn end(&self, slot: usize) {
        lock(&self.at_work).remove(&slot);
    }

    pub(super) fn at_work(&self) -> Vec<Arc<Task>> {
        lock(&self.at_work).values().cloned().collect()
    }

    /// Batches of a run before this one are cancelled.
    fn cancel(&self, run: &str, from: u64) {
        let mut known = lock(&self.known);
        if known.len() >= REMEMBERED {
            let oldest = known.iter().min_by_key(|(_, it)| it.read);
            if let Some(oldest) = oldest.map(|(run, _)| run.clone()) {
                known.remove(&oldest);
            }
        }
        let now = Instant::now();
        let entry = known
            .entry(run.to_owned())
            .or_insert(Known { from, read: now });
        entry.read = now;
        entry.from = entry.from.max(from);
        let from = entry.from;
        drop(known);
        for task in self.at_work() {
            if task.run == run && task.batch < from {
                task.stop(Stop::Cancelled);
            }
        }
    }
}

/// Whether somebody waits for a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    /// It was cancelled.
    No,
    /// The server doesn't know the run: its process has ended by force, or the server has been away for so long that
    /// it has forgotten all runs.
    Unknown,
}

/// Whether somebody waits for a batch, as far as the server knows.
pub(super) async fn is_wanted(state: &State, run: &str, batch: u64) -> Wanted {
    let known = lock(&state.runs.known)
        .get(run)
        .filter(|it| it.read.elapsed() < KNOWN || batch < it.from)
        .map(|it| it.from);
    if let Some(from) = known {
        return if batch >= from {
            Wanted::Yes
        } else {
            Wanted::No
        };
    }
    let bucket = format!("KV_{}", names::RUNS);
    match state.link.last(&bucket, &names::run_key(run)).await {
        Ok(Some(entry)) if !entry.payload.is_empty() => {
            match message::decode::<RunShown>(&entry.payload) {
                Ok(RunShown { from }) => {
                    state.runs.cancel(run, from);
                    if batch >= from {
                        Wanted::Yes
                    } else {
                        Wanted::No
                    }
                }
                Err(_) => Wanted::Unknown,
            }
        }
        Ok(Some(_)) => Wanted::No,
        Ok(None) => Wanted::Unknown,
        // Nobody knows: what runs goes on, and its result is dropped if nobody waits.
        Err(_) => Wanted::Yes,
    }
}

/// Hears what is cancelled.
pub(super) async fn listen(state: Arc<State>, mut cancels: Subscriber) {
    while let Some(message) = cancels.next().await {
        let run = message.subject.rsplit('.').next().unwrap_or_default();
        if let Ok(CancelSent { from }) = message::decode(&message.payload) {
            state.runs.cancel(run, from);
        }
    }
}
