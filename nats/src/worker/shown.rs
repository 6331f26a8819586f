//! What a worker shows of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::names;
use crate::streams::{self, RENEWED};
use crate::worker::task::Task;
use crate::worker::{State, Worker, lock, millis};

/// How often what has changed is shown.
const CHANGES: Duration = Duration::from_secs(3);

/// How long to wait where there is nowhere to show it.
const NOWHERE: Duration = Duration::from_secs(1);

/// A worker, as it shows itself: at least every 20 seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WorkerShown {
    /// Its random id.
    pub worker: String,
    /// Its pool.
    pub pool: String,
    /// The version of jobs that it runs.
    pub version: String,
    /// How many chunks it runs at a time.
    pub slots: usize,
    /// What it says of itself.
    pub about: serde_json::Value,
    /// Milliseconds since it began to serve.
    pub up_ms: u64,
    /// How many items it has given an end.
    pub items: u64,
    /// What it runs, at most one for each slot.
    pub busy: Vec<Busy>,
}

/// What a slot of a worker runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Busy {
    /// The run.
    pub run: String,
    /// The chunk of it.
    pub chunk: String,
    /// Milliseconds since it has begun.
    pub for_ms: u64,
}

pub(super) struct Shown {
    shown: WorkerShown,
    began: Instant,
    items: AtomicU64,
    has_changed: AtomicBool,
    busy: Mutex<BTreeMap<usize, (String, String, Instant)>>,
}

impl Shown {
    pub(super) fn new(worker: &Worker) -> Shown {
        Shown {
            shown: WorkerShown {
                worker: worker.id.clone(),
                pool: worker.crew.pool.clone(),
                version: worker.crew.version.clone(),
                slots: worker.slots.get(),
                about: worker.about.clone(),
                up_ms: 0,
                items: 0,
                busy: Vec::new(),
            },
            began: Instant::now(),
            items: AtomicU64::new(0),
            has_changed: AtomicBool::new(false),
            busy: Mutex::default(),
        }
    }

    pub(super) fn begin(&self, task: &Task) {
        let chunk = format!("{}.{}", task.batch, task.chunk);
        lock(&self.busy).insert(task.slot, (task.run.clone(), chunk, Instant::now()));
        self.has_changed.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self, task: &Task, items: usize) {
        lock(&self.busy).remove(&task.slot);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.has_changed.store(true, Ordering::Relaxed);
    }

    fn entry(&self) -> Bytes {
        let busy = lock(&self.busy);
        let busy = busy.values().map(|(run, chunk, since)| Busy {
            run: run.clone(),
            chunk: chunk.clone(),
            for_ms: millis(*since),
        });
        let shown = WorkerShown {
            up_ms: millis(self.began),
            items: self.items.load(Ordering::Relaxed),
            busy: busy.collect(),
            ..self.shown.clone()
        };
        // It is text and numbers.
        serde_json::to_vec(&shown).unwrap_or_default().into()
    }
}

/// Shows it as long as it serves: on the server, where it is forgotten if it isn't shown again.
pub(super) async fn renew(state: Arc<State>) {
    let mut connections = state.link.connections.clone();
    let mut failed = 0_u32;
    loop {
        connections.mark_unchanged();
        state.shown.has_changed.store(false, Ordering::Relaxed);
        let key = names::worker_key(&state.id);
        let message = PublishMessage::build().payload(state.shown.entry());
        let shown = match state.link.context.send_publish(key, message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match shown {
            Ok(_) => {
                if failed > 0 {
                    state.woken.send_modify(|count| *count += 1);
                }
                failed = 0;
            }
            Err(error) => {
                if error.kind() == PublishErrorKind::StreamNotFound {
                    // Whoever may do so makes it.
                    let _ = streams::ensure(&state.link).await;
                }
                failed += 1;
                if failed == 2 {
                    state.note(
                        "waiting for the streams of moonfork, which a run makes, or `moonfork workers`: \
                         this worker can't",
                    );
                }
                if failed > 1 {
                    tokio::time::sleep(NOWHERE).await;
                }
                continue;
            }
        }
        let until = Instant::now() + RENEWED;
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHANGES) => {}
                _ = connections.changed() => break,
            }
            let has_changed = state.shown.has_changed.load(Ordering::Relaxed);
            if has_changed || Instant::now() + CHANGES > until {
                break;
            }
        }
    }
}

/// Is shown no more.
pub(super) async fn leave(state: &State) {
    let mut headers = HeaderMap::new();
    headers.insert("KV-Operation", "DEL");
    let message = PublishMessage::build().headers(headers);
    let key = names::worker_key(&state.id);
    if let Ok(ack) = state.link.context.send_publish(key, message).await {
        // Where it can't be said, it is forgotten after a minute.
        let _ = ack.await;
    }
}
