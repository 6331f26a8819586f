//! Settings of one run.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::workflow::Workflow;
use crate::workflow::event::{Event, Listener};
use crate::{Cancel, Grants};

/// Settings of one run. The default is what the workflow says.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// How many branches may run at a time, instead of what the workflow's settings say. Where
    /// neither says anything, as many as the machine has processors to offer.
    pub max_workers: Option<NonZeroUsize>,
    /// Stops the run when it is fired, within a tick of the pool's clock.
    pub cancel: Option<Cancel>,
    /// What nodes may do besides computing, in place of what the pool grants. A workflow's
    /// `capabilities` leave a part of it: see [`Grants::only`].
    pub grants: Option<Grants>,
    /// Nodes to stop before, besides those that the workflow names.
    pub interrupt_before: Vec<String>,
    /// Nodes to stop after, besides those that the workflow names.
    pub interrupt_after: Vec<String>,
    /// The folder that checkpoints are written to, in place of the one that the workflow
    /// names. Where there is none, none are written.
    pub checkpoint_dir: Option<PathBuf>,
    /// Whether a run may go on with a workflow that has changed since it began. Comments and
    /// descriptions are no change.
    pub changed: bool,
    /// How many nodes may run on one path, in place of what the workflow says.
    pub max_iterations: Option<NonZeroUsize>,
    pub(crate) listener: Option<Listener>,
}

impl RunOptions {
    /// What the workflow says, and nothing else.
    pub fn new() -> RunOptions {
        RunOptions::default()
    }

    /// Tells `listener` of everything that happens, when it happens: on the thread where it
    /// does, one call after another or several at once. The run waits for it.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> RunOptions {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// How many branches of `workflow` may run at a time.
    pub(crate) fn workers(&self, workflow: &Workflow) -> usize {
        self.max_workers
            .or(workflow.model.settings.parallel.max_workers)
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("max_workers", &self.max_workers)
            .field("interrupt_before", &self.interrupt_before)
            .field("interrupt_after", &self.interrupt_after)
            .field("checkpoint_dir", &self.checkpoint_dir)
            .field("changed", &self.changed)
            .field("max_iterations", &self.max_iterations)
            .finish_non_exhaustive()
    }
}
