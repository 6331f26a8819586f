//! Workflows and fan-outs that a worker has been sent, for all of its slots: the latest of each.

use std::sync::{Arc, Mutex, PoisonError};

use moonfork_nats::Task;

use crate::Pool;
use crate::workflow::worker::frame;
use crate::workflow::worker::hosted::{self, FanOut, Loaded};
use crate::workflow::worker::queue::chunk::ChunkSent;

/// How many are kept of each.
const KEPT: usize = 8;

/// What is kept, by the name of its blob.
type Latest<T> = Mutex<Vec<(String, Arc<T>)>>;

/// A workflow and its fan-out.
pub(crate) type Hosted = (Arc<Loaded>, Arc<FanOut>);

#[derive(Default)]
pub(crate) struct Hosts {
    workflows: Latest<Loaded>,
    fan_outs: Latest<FanOut>,
}

impl Hosts {
    /// What the branches of a chunk are of.
    ///
    /// # Errors
    /// If it can't be had, or makes no sense here.
    pub(crate) fn of(&self, task: &Task, chunk: &ChunkSent, pool: &Pool) -> Result<Hosted, String> {
        let blob = |name: &str| {
            let bytes = task.blob(name).map_err(|error| error.to_string())?;
            Ok::<_, String>(bytes)
        };
        let workflow = latest(&self.workflows, task.run(), &chunk.workflow, || {
            hosted::load(decode(&blob(&chunk.workflow)?)?, pool)
        })?;
        let fan_out = latest(&self.fan_outs, task.run(), &chunk.fan_out, || {
            hosted::enter(decode(&blob(&chunk.fan_out)?)?, Some(&workflow), pool)
        })?;
        Ok((workflow, fan_out))
    }
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    frame::from_bytes(bytes).map_err(|error| error.to_string())
}

/// The one of this name, which is made if it isn't there. Others wait meanwhile, who want the same as a rule.
fn latest<T>(
    kept: &Latest<T>,
    run: &str,
    name: &str,
    make: impl FnOnce() -> Result<T, String>,
) -> Result<Arc<T>, String> {
    let name = format!("{run}.{name}");
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = kept.iter().position(|(known, _)| *known == name) {
        // The one that was asked for last comes last.
        let found = kept.remove(at);
        let it = Arc::clone(&found.1);
        kept.push(found);
        return Ok(it);
    }
    let made = Arc::new(make()?);
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push((name, Arc::clone(&made)));
    Ok(made)
}
