//! What a run did: every instance, and what ran on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Role, StoreId};

/// The version of the report's JSON form. It changes when a key changes its meaning or goes,
/// not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// What one run did.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The name of the workflow, if it has one.
    pub workflow: Option<String>,
    /// How the run ended.
    pub outcome: RunOutcome,
    /// How long the run took, in milliseconds.
    pub wall_ms: f64,
    /// Every instance of the run: its main one first, and what replaced it if it was stopped;
    /// then those of branches, fan-out by fan-out and in the written order, each followed by
    /// those of the branches inside of it.
    pub instances: Vec<InstanceReport>,
}

/// How something that ran ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunOutcome {
    /// It ran to its end.
    Done,
    /// It didn't.
    Failed,
    /// It stopped at a node, to be resumed.
    Interrupted,
    /// It was cancelled.
    Cancelled,
}

/// One instance and what it ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceReport {
    /// The identity of the instance, which no other instance of its process has.
    pub store_id: StoreId,
    /// The process, by a random id, if it was another one: see [`RunSettings::workers`](crate::workflow::RunSettings::workers).
    /// No two instances of a run have both this and `store_id` in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The main instance of the run, or one for a branch.
    pub role: Role,
    /// The branch, by the name of its first node, after those of the branches around it:
    /// `outer/inner`. `None` for the main instance.
    pub branch: Option<String>,
    /// The instance that this one took the place of, because it had been stopped.
    pub replaces: Option<StoreId>,
    /// The instance that it began with a copy of, if it did: see `prelude` and `settings.parallel.start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<StoreId>,
    /// The file that its journal is in, where it was to keep one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<PathBuf>,
    /// How long the instance was there, in milliseconds.
    pub wall_ms: f64,
    /// Fuel that was burnt on it, where the pool meters it.
    pub fuel: Option<u64>,
    /// The most memory that it occupied, in bytes.
    pub peak_memory: usize,
    /// How often each host function was called.
    pub host_calls: BTreeMap<String, u64>,
    /// The nodes that ran on it, in that order: every attempt.
    pub nodes: Vec<NodeReport>,
}

/// One node that ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeReport {
    /// The name of the node.
    pub node: String,
    /// Which attempt it was, from one.
    pub attempt: u32,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it failed, if it did.
    pub error: Option<Failure>,
    /// When it began, in milliseconds from the beginning of the run.
    pub started_ms: f64,
    /// How long it took, in milliseconds.
    pub wall_ms: f64,
    /// What it printed.
    pub output: String,
    /// Whether it printed more than the limit lets through.
    pub output_truncated: bool,
}

/// Why a node, or a branch, failed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure it is, in one stable word: `LuaError`, `ValueError`, or a limit
    /// that was reached: `TimeoutError`, `MemoryError`, `FuelError`, `HostCallError`;
    /// `DeniedError` (not granted), `CancelledError`, `BusyError` (no instance was free in
    /// time), `WorkerLost` (of a branch whose process ended, again and again), `SchemaError`, `ConflictError` (of branches that are merged), `LimitError` (a
    /// loop without end), `CheckpointError`, `ExecutionError` (everything else).
    pub error_type: &'static str,
    /// What happened, and in which node.
    pub message: String,
    /// Lua's traceback, one frame a line, innermost first.
    pub traceback: Option<String>,
    /// What the script raised its error with, where that wasn't text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
}

impl Failure {
    /// What to say of an error that no node raised.
    pub(crate) fn new(error: &crate::Error) -> Self {
        Failure {
            error_type: error_type(error),
            message: error.to_string(),
            traceback: error.traceback().map(str::to_owned),
            value: error.value().cloned(),
        }
    }

    /// What to say of an error that `node` ended with.
    pub(crate) fn of_node(node: &str, error: &crate::Error) -> Self {
        let mut failure = Self::new(error);
        // Lua's own messages begin with the name of the chunk as a rule, which says it.
        let chunk = chunk_name(node);
        let named = error.position().is_some_and(|position| {
            position.chunk == chunk && failure.message.starts_with(&position.to_string())
        });
        if !named {
            failure.message = format!("{chunk}: {}", failure.message);
        }
        failure
    }

    /// What to say of what the workflow itself found.
    pub(crate) fn own(error_type: &'static str, message: impl Into<String>) -> Self {
        Failure {
            error_type,
            message: message.into(),
            traceback: None,
            value: None,
        }
    }

    /// What to say of a time that was over before anything could be stopped.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Failure::own(TIMEOUT, message)
    }

    /// What to say of what was cancelled.
    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Failure::own(CANCELLED, message)
    }

    /// Whether a limit on time was the reason.
    pub fn is_timeout(&self) -> bool {
        self.error_type == TIMEOUT
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.error_type == CANCELLED
    }
}

/// A failure as it is read: its kind is one of those that there are.
#[derive(Deserialize)]
struct Read {
    error_type: String,
    message: String,
    traceback: Option<String>,
    #[serde(default)]
    value: Option<serde_json::Value>,
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Failure, D::Error> {
        let read = Read::deserialize(source)?;
        let known = KINDS.iter().find(|kind| **kind == read.error_type);
        Ok(Failure {
            error_type: known.copied().unwrap_or(EXECUTION),
            message: read.message,
            traceback: read.traceback,
            value: read.value,
        })
    }
}

/// All kinds of failures.
const KINDS: [&str; 15] = [
    "BusyError",
    CANCELLED,
    "CheckpointError",
    "ConflictError",
    "DeniedError",
    EXECUTION,
    "FuelError",
    "HostCallError",
    "LimitError",
    "LuaError",
    "MemoryError",
    "SchemaError",
    TIMEOUT,
    "ValueError",
    "WorkerLost",
];

const EXECUTION: &str = "ExecutionError";
const TIMEOUT: &str = "TimeoutError";
const CANCELLED: &str = "CancelledError";

/// The name that a node's code goes by in Lua's messages.
pub(crate) fn chunk_name(node: &str) -> String {
    format!("node '{node}'")
}

/// The words of The Edge Agent where it has one for the same thing.
fn error_type(error: &crate::Error) -> &'static str {
    if error.is_timeout() {
        TIMEOUT
    } else if error.is_cancelled() {
        CANCELLED
    } else if error.is_out_of_memory() {
        "MemoryError"
    } else if error.is_out_of_fuel() {
        "FuelError"
    } else if error.is_too_many_host_calls() {
        "HostCallError"
    } else if error.is_denied() {
        "DeniedError"
    } else if error.is_argument() || error.is_value() || error.is_mismatch() {
        "ValueError"
    } else if error.is_busy() {
        "BusyError"
    } else if error.is_script() {
        "LuaError"
    } else {
        "ExecutionError"
    }
}

/// A duration as reports give it: milliseconds, to the microsecond.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
