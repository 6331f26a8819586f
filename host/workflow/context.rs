//! What all parts of a run share.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Instant;

use super::Workflow;
use super::model::Node;
use super::plan::{NodeId, Plan};
use super::report::{InstanceReport, Report, RunOutcome, SCHEMA_VERSION, ms};
use crate::Pool;

/// Settings of one run. The default is what the workflow says.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// How many branches may run at a time, instead of what the workflow's settings say. Where
    /// neither says anything, as many as the machine has processors to offer.
    pub max_workers: Option<NonZeroUsize>,
}

/// What all parts of a run share.
pub(super) struct Context<'r> {
    workflow: &'r Workflow,
    pub(super) pool: &'r Pool,
    pub(super) max_workers: NonZeroUsize,
    pub(super) started: Instant,
}

impl<'r> Context<'r> {
    pub(super) fn new(workflow: &'r Workflow, pool: &'r Pool, options: &RunOptions) -> Self {
        Context {
            workflow,
            pool,
            max_workers: max_workers(workflow, options),
            started: Instant::now(),
        }
    }

    pub(super) fn plan(&self) -> &'r Plan {
        &self.workflow.plan
    }

    pub(super) fn node(&self, id: NodeId) -> &'r Node {
        &self.workflow.model.nodes[id.0]
    }

    pub(super) fn report(&self, outcome: RunOutcome, instances: Vec<InstanceReport>) -> Report {
        Report {
            schema_version: SCHEMA_VERSION,
            workflow: self.workflow.model.name.clone(),
            outcome,
            wall_ms: ms(self.started.elapsed()),
            instances,
        }
    }
}

/// How many branches may run at a time.
pub(super) fn max_workers(workflow: &Workflow, options: &RunOptions) -> NonZeroUsize {
    options
        .max_workers
        .or(workflow.model.max_workers)
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}
