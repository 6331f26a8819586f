//! What an operator wants to know.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::kv::Operation;
use async_nats::jetstream::stream::Stream;
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::time::timeout;

use crate::error::Error;
use crate::link::Link;
use crate::names::{self, Queue};
use crate::worker::WorkerShown;

/// How many dead letters are shown.
const DEAD: u64 = 20;

/// How long the server may take for the next worker.
const NEXT: Duration = Duration::from_secs(2);

/// Who is there, busy with what, and what has been given up.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// The workers of all pools, by their ids.
    pub workers: Vec<WorkerShown>,
    /// What waits and what is out, for each pool and version that anything was ever sent to.
    pub backlog: Vec<Backlog>,
    /// The last jobs that cost too many workers, oldest first: twenty at most.
    pub dead: Vec<Dead>,
    /// How many dead letters there are.
    pub dead_count: u64,
}

/// What waits for the workers of a pool and version.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Backlog {
    /// The pool and the version, with `_` between.
    pub crew: String,
    /// Chunks that wait.
    pub waiting: u64,
    /// Chunks that workers have.
    pub out: u64,
    /// Suspects that wait.
    pub suspects_waiting: u64,
    /// Suspects that workers have.
    pub suspects_out: u64,
}

/// A job that cost too many workers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Dead {
    /// Its run.
    pub run: String,
    /// Its chunk.
    pub chunk: String,
    /// When it was given up: seconds since 1970.
    pub at: i64,
}

pub(crate) async fn read(link: &Link) -> Result<Overview, Error> {
    let (dead, dead_count) = dead(link).await?;
    Ok(Overview {
        workers: workers(link).await?,
        backlog: backlog(link).await?,
        dead,
        dead_count,
    })
}

async fn workers(link: &Link) -> Result<Vec<WorkerShown>, Error> {
    let fail = |error: &dyn std::fmt::Display| Error::of("asking who is there", error);
    let store = link.context.get_key_value(names::WORKERS).await;
    let store = store.map_err(|error| fail(&error))?;
    let status = store.status().await.map_err(|error| fail(&error))?;
    if status.values() == 0 {
        return Ok(Vec::new());
    }
    let watch = store.watch_with_history(">").await;
    let mut watch = watch.map_err(|error| fail(&error))?;
    let mut found = BTreeMap::new();
    while let Ok(Some(entry)) = timeout(NEXT, watch.next()).await {
        let entry = entry.map_err(|error| fail(&error))?;
        match (entry.operation, serde_json::from_slice(&entry.value)) {
            (Operation::Put, Ok::<WorkerShown, _>(shown)) => {
                found.insert(entry.key, shown);
            }
            _ => {
                found.remove(&entry.key);
            }
        }
        if entry.seen_current {
            break;
        }
    }
    Ok(found.into_values().collect())
}

async fn backlog(link: &Link) -> Result<Vec<Backlog>, Error> {
    let mut all = BTreeMap::<String, Backlog>::new();
    for queue in [Queue::Jobs, Queue::Suspects] {
        let stream = stream(link, queue.stream()).await?;
        let mut consumers = stream.consumers();
        while let Some(info) = consumers
            .try_next()
            .await
            .map_err(|error| Error::of("asking what waits", error))?
        {
            let entry = all.entry(info.name.clone()).or_insert_with(|| Backlog {
                crew: info.name,
                ..Backlog::default()
            });
            let out = info.num_ack_pending as u64;
            match queue {
                Queue::Jobs => (entry.waiting, entry.out) = (info.num_pending, out),
                Queue::Suspects => {
                    (entry.suspects_waiting, entry.suspects_out) = (info.num_pending, out);
                }
            }
        }
    }
    Ok(all.into_values().collect())
}

async fn dead(link: &Link) -> Result<(Vec<Dead>, u64), Error> {
    let stream = stream(link, names::DEAD).await?;
    let state = stream.cached_info().state.clone();
    let first = state
        .first_sequence
        .max((state.last_sequence + 1).saturating_sub(DEAD));
    let mut all = Vec::new();
    for sequence in first..=state.last_sequence {
        // One may have been removed.
        let Ok(found) = stream.get_raw_message(sequence).await else {
            continue;
        };
        if let Some((run, batch, chunk)) = names::place(&found.subject) {
            all.push(Dead {
                run: run.to_owned(),
                chunk: format!("{batch}.{chunk}"),
                at: found.time.unix_timestamp(),
            });
        }
    }
    Ok((all, state.messages))
}

async fn stream(link: &Link, name: &str) -> Result<Stream, Error> {
    let stream = link.context.get_stream(name).await;
    stream.map_err(|error| Error::of(&format!("the stream `{name}`"), error))
}
