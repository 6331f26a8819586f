//! Which workers are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Operation, Watch};
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::names::{self, Crew};
use crate::session::Shared;
use crate::streams::GONE_AFTER;
use crate::worker::WorkerShown;

/// How long the server may take to say who is there.
const ANSWER: Duration = Duration::from_millis(500);

/// How long to wait where it can't be watched.
const PAUSE: Duration = Duration::from_secs(1);

/// The workers of all pools.
#[derive(Debug, Default)]
pub(crate) struct Present {
    workers: BTreeMap<String, (WorkerShown, Instant)>,
    /// Whether all that are there have been heard of.
    is_complete: bool,
}

impl Present {
    fn now(&self) -> impl Iterator<Item = &WorkerShown> {
        let workers = self.workers.values();
        workers
            .filter(|(_, heard)| heard.elapsed() < GONE_AFTER)
            .map(|(worker, _)| worker)
    }

    pub(super) fn of(&self, crew: &Crew) -> Vec<WorkerShown> {
        let of = self.now().filter(|it| it.pool == crew.pool);
        of.filter(|it| it.version == crew.version)
            .cloned()
            .collect()
    }

    pub(super) fn slots(&self, crew: &Crew) -> usize {
        let of = self.now().filter(|it| it.pool == crew.pool);
        of.filter(|it| it.version == crew.version)
            .map(|it| it.slots)
            .sum()
    }
}

/// Watches who comes and goes.
pub(super) async fn watch(shared: &Arc<Shared>) -> Result<JoinHandle<()>, Error> {
    let watch = begin(shared).await?;
    let shared = Arc::clone(shared);
    Ok(tokio::spawn(async move {
        let mut watch = Some(watch);
        loop {
            if let Some(mut watch) = watch.take() {
                follow(&shared, &mut watch).await;
            }
            tokio::time::sleep(PAUSE).await;
            watch = begin(&shared).await.ok();
        }
    }))
}

async fn begin(shared: &Shared) -> Result<Watch, Error> {
    let fail = |error: &dyn std::fmt::Display| Error::of("watching who is there", error);
    let store = shared.link.context.get_key_value(names::WORKERS).await;
    let store = store.map_err(|error| fail(&error))?;
    let watch = store.watch_with_history(">").await;
    watch.map_err(|error| fail(&error))
}

async fn follow(shared: &Shared, watch: &mut Watch) {
    while let Some(Ok(entry)) = watch.next().await {
        let mut present = shared.present();
        match entry.operation {
            Operation::Put => {
                if let Ok(shown) = serde_json::from_slice::<WorkerShown>(&entry.value) {
                    present.workers.insert(entry.key, (shown, Instant::now()));
                }
            }
            Operation::Delete | Operation::Purge => {
                present.workers.remove(&entry.key);
            }
        }
        present.is_complete |= entry.seen_current;
        drop(present);
        // There may be room for more.
        let batch = shared.book().batch;
        shared.tell(batch, super::Update::Look);
    }
}

/// Waits until there is a worker that can run what is to be run.
///
/// # Errors
/// If there is none: which there are.
pub(super) async fn find(shared: &Shared, patience: Duration) -> Result<(), Error> {
    let began = Instant::now();
    while !is_there(shared, began, patience)? {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Whether there is one; an error once that doesn't change any more.
fn is_there(shared: &Shared, began: Instant, patience: Duration) -> Result<bool, Error> {
    let present = shared.present();
    if present.slots(&shared.crew) > 0 {
        return Ok(true);
    }
    let is_known = present.is_complete || began.elapsed() >= ANSWER;
    let others: BTreeSet<String> = present
        .now()
        .map(|it| format!("version {} in the pool `{}`", it.version, it.pool))
        .collect();
    let Crew { pool, version } = &shared.crew;
    if is_known && !others.is_empty() {
        let others: Vec<_> = others.into_iter().collect();
        return Err(Error::new(format!(
            "no worker of the pool `{pool}` is of this version, {version}; those that are there: {}",
            others.join(", ")
        )));
    }
    if began.elapsed() >= patience.max(ANSWER) {
        return Err(Error::new(format!(
            "no worker of the pool `{pool}` is there: start some, such as by `moonfork worker --nats URL`"
        )));
    }
    Ok(false)
}
