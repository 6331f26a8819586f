//! Settings of one run.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::workflow::definition::Workflow;
use crate::workflow::event::{Event, Listener};
use crate::workflow::outside::Outside;
use crate::workflow::signature::Signature;
use crate::{Cancel, Capability, Grants, Pool};

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
    pub(crate) signatures: BTreeMap<String, Signature>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) advice: Option<Advice>,
}

/// What to tell whoever lacks a capability.
pub(crate) type Advice = Arc<dyn Fn(&Capability) -> Option<String> + Send + Sync>;

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

    /// Describes the arguments of a host function: a run that gives it others doesn't begin.
    #[must_use]
    pub fn describe(mut self, function: impl Into<String>, signature: Signature) -> RunOptions {
        self.signatures.insert(function.into(), signature);
        self
    }

    /// Grants a secret: `secrets.NAME` in conditions, and in what host functions are given by
    /// `with`. Its value is replaced by `***` in what these functions return and fail with, so
    /// that it gets into no state, report, event or checkpoint that way.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> RunOptions {
        Arc::make_mut(&mut self.outside)
            .secrets
            .insert(name.into(), value.into());
        self
    }

    /// Grants a value as `env.NAME`, likewise; values of less than four bytes aren't replaced.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> RunOptions {
        Arc::make_mut(&mut self.outside)
            .env
            .insert(name.into(), value.into());
        self
    }

    /// Has this say how a capability is granted that a workflow needs and doesn't have: it
    /// becomes the hint of the problem.
    #[must_use]
    pub fn advise(
        mut self,
        advice: impl Fn(&Capability) -> Option<String> + Send + Sync + 'static,
    ) -> RunOptions {
        self.advice = Some(Arc::new(advice));
        self
    }

    /// What nodes may do besides computing.
    pub(crate) fn granted<'g>(&'g self, pool: &'g Pool) -> &'g Grants {
        self.grants.as_ref().unwrap_or_else(|| pool.grants())
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
