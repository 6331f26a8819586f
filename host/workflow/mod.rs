//! Workflows: YAML files whose nodes are Lua, and whose branches run in parallel.
//!
//! Loading a file reads it, finds everything that is wrong with it, and makes a [`Plan`];
//! running follows the plan. Nodes outside of branches run on the one main instance of the
//! run; each branch of a fan-out runs on a fresh instance of its own, starting from a copy of
//! the state, and the node they meet in finds what they gave in `parallel_results`.
//!
//! ```
//! use moonfork::Pool;
//! use moonfork::workflow::{RunSettings, Workflow};
//!
//! let workflow = Workflow::parse(
//!     "
//! nodes:
//!   - name: double
//!     run: return {n = state.n * 2}
//!   - name: square
//!     run: return {n = state.n * state.n}
//!   - name: join
//!     run: |
//!       local sum = 0
//!       for _, branch in ipairs(state.parallel_results) do
//!         sum = sum + branch.state.n
//!       end
//!       return {sum = sum}
//! edges:
//!   - {from: __start__, parallel: [double, square], fan_in: join}
//! ",
//!     "sum.yaml",
//! )?;
//! let pool = Pool::builder().build()?;
//! let outcome = workflow.run(&pool, serde_json::json!({"n": 7}), &RunSettings::new())?;
//! assert_eq!(outcome.state["sum"], 14 + 49);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod definition;
mod error;
mod event;
mod execute;
mod expression;
mod fingerprint;
mod json;
mod load;
mod model;
mod options;
mod outside;
mod parts;
mod plan;
mod report;
mod schema;
mod selection;
mod signature;
mod state;
mod worker;

/// Branches on other machines, by way of a server of NATS: see [`Workers::nats`].
#[cfg(feature = "nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
pub mod nats {
    pub use super::worker::queue::access::Nats;
    pub use super::worker::queue::serve::Worker;
    pub use moonfork_nats::{Backlog, Busy, Dead, Error, Overview, Stopper, WorkerShown};
}

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Pool;
use crate::diagnostics::LoadError;
use execute::run;

pub use definition::Workflow;
pub use error::RunError;
pub use event::{Event, EventKind, Moment};
pub use execute::checkpoint::{Checkpoint, CheckpointError};
pub use execute::run::{Interrupted, RunResult};
pub use execute::stream::Stream;
pub use load::source::Source;
pub use options::RunSettings;
pub use plan::Plan;
pub use plan::outline::{Outline, OutlineNode, OutlineWay, WayKind};
pub use report::{Failure, InstanceReport, NodeReport, RunOutcome, RunReport, SCHEMA_VERSION};
pub use selection::{Outputs, Selection, SelectionError};
pub use signature::{Argument, Signature};
pub use worker::serve::serve;
pub use worker::workers::Workers;

impl Workflow {
    /// Loads a workflow from a file. Nothing in it is run.
    ///
    /// # Errors
    /// Everything that is wrong with the file, as far as one look can tell.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Source::file(path).load()
    }

    /// Loads a workflow from text. Problems are reported under the name `file`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, file: &str) -> Result<Self, LoadError> {
        Source::text(text, file).load()
    }

    /// Runs the workflow, and waits for it to end. `input` is anything that serializes to an
    /// object, or to nothing (`()`); it overlays the workflow's `initial_state`, key by key.
    ///
    /// The run takes one main instance from `pool`, and for each branch one more while that
    /// branch runs. A branch that fails doesn't fail the run: it is an entry of
    /// `parallel_results` that says so.
    ///
    /// # Errors
    /// When a node fails that is in no branch, or when the run can't get its main instance.
    pub fn run(
        &self,
        pool: &Pool,
        input: impl Serialize,
        settings: &RunSettings,
    ) -> Result<RunResult, RunError> {
        run::run(self, pool, run::From::start(input), settings)
    }

    /// Goes on with a run that was interrupted, or ended by force. `input` is merged into the
    /// state of the checkpoint, key by key.
    ///
    /// The run has a new main instance: Lua's globals from before are gone. Branches that were
    /// running start again; those that had come to their end don't, unless there is input. It stops
    /// where it was told to when it began, too. The checkpoint stays as it is, and can be resumed
    /// once more: the run writes others, beside it unless [`RunSettings::checkpoint_dir`] says
    /// where.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the checkpoint is of another workflow, of a run that is over,
    /// or of a workflow that has changed (see [`RunSettings::changed`]).
    pub fn resume(
        &self,
        pool: &Pool,
        checkpoint: Checkpoint,
        input: impl Serialize,
        settings: &RunSettings,
    ) -> Result<RunResult, RunError> {
        let from = run::From::checkpoint(checkpoint, input);
        run::run(self, pool, from, settings)
    }

    /// Runs the workflow on a thread of its own, and gives its events while it goes on.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn stream(
        self: &Arc<Self>,
        pool: &Pool,
        input: impl Serialize,
        settings: &RunSettings,
    ) -> std::io::Result<Stream> {
        Stream::start(self, pool, run::From::start(input), settings)
    }

    /// As [`stream`](Self::stream), for a run that goes on from a checkpoint.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn stream_resumed(
        self: &Arc<Self>,
        pool: &Pool,
        checkpoint: Checkpoint,
        input: impl Serialize,
        settings: &RunSettings,
    ) -> std::io::Result<Stream> {
        let from = run::From::checkpoint(checkpoint, input);
        Stream::start(self, pool, from, settings)
    }

    /// What the expression gives for a state of this workflow, whose `variables` it sees as well;
    /// `None` if what it names isn't there.
    ///
    /// # Errors
    /// If it fails.
    pub fn select(
        &self,
        selection: &Selection,
        state: &Map<String, Value>,
    ) -> Result<Option<Value>, SelectionError> {
        selection.value(state, &self.model.variables)
    }

    /// What the file's `outputs` are for a final state: what the command line prints of it. `None`
    /// if the file names none, and the whole state is the result.
    ///
    /// # Errors
    /// If an expression fails.
    pub fn outputs(&self, state: &Map<String, Value>) -> Result<Option<Outputs>, SelectionError> {
        let outputs = self.model.outputs.as_ref();
        outputs
            .map(|outputs| Outputs::of(outputs, state, &self.model.variables))
            .transpose()
    }

    /// How many branches a run with these options has alive at once, at the most: what
    /// [`PoolBuilder::max_branches`](crate::PoolBuilder::max_branches) needs to be for none to wait.
    ///
    /// A branch that waits for branches of its own keeps its instance, so that there may be
    /// more of them than [workers](RunSettings::max_workers).
    pub fn branches_at_once(&self, settings: &RunSettings) -> usize {
        let workers = settings.at_once(self);
        // Each level adds those that wait; where it is not known how many branches there will
        // be, as many as can run.
        (0..self.plan.depth()).fold(0_usize, |all, level| {
            let of_level = match level {
                0 => workers.min(self.plan.widest().unwrap_or(workers)),
                _ => workers,
            };
            all.saturating_add(of_level)
        })
    }

    /// Whether a run with these options may stop at a node.
    pub fn may_interrupt(&self, settings: &RunSettings) -> bool {
        let asked = !settings.interrupt_before.is_empty() || !settings.interrupt_after.is_empty();
        let said = self.model.interrupts();
        let mut nodes = self.model.nodes.iter();
        asked || nodes.any(|node| said.of(node) != (false, false))
    }
}
