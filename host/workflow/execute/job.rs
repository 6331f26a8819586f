//! A branch as data: what is to run, and what came of it.
//!
//! Neither has a reference in it to the run that it is of: what runs a branch may be a thread of this process,
//! or a process that has the same workflow. See [`Place`].

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::workflow::execute::entry::Failed;
#[cfg(feature = "nats")]
use crate::workflow::execute::partial_sent::PartialSent;
use crate::workflow::plan::{FanOutId, NodeId, Plan};
use crate::workflow::report::{Failure, InstanceReport, ms};
use crate::workflow::state::State;

/// What the branches of one fan-out have in common.
#[derive(Clone, Debug)]
pub(crate) struct FanOutJob {
    pub(crate) body: Body,
    /// The node that a branch leads to, and doesn't run.
    pub(crate) fan_in: Option<NodeId>,
    /// What each may take in all.
    pub(crate) timeout: Option<Duration>,
    /// What they start on.
    pub(crate) state: State,
    /// What their calls of host functions go by, with the index of each behind it.
    pub(crate) keys: Arc<str>,
}

/// What each branch of a fan-out does, by the numbers of the workflow's plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// It begins at one of the nodes that edges lead to.
    Edges(FanOutId),
    /// It runs what a node runs for each of its values.
    Each(NodeId),
}

/// One branch.
#[derive(Clone, Debug)]
pub(crate) struct BranchJob {
    /// Which of the branches of its fan-out it is, from zero.
    pub(crate) index: usize,
    /// The value that it is for, if it is for one.
    pub(crate) item: Option<Arc<Value>>,
}

impl FanOutJob {
    /// The name of a branch, in a workflow with this plan.
    pub(crate) fn name(&self, index: usize, plan: &Plan) -> Arc<str> {
        match self.body {
            Body::Edges(id) => plan
                .fan_out(id)
                .branches
                .get(index)
                .map_or("", |id| plan.name(*id))
                .into(),
            Body::Each(id) => format!("{}[{index}]", plan.name(id)).into(),
        }
    }
}

/// How one branch went, and what ran for it.
#[derive(Debug)]
pub(crate) struct BranchEnd {
    /// The state that goes into its entry.
    pub(crate) result: Result<State, Failed>,
    /// The state that it ended with, where that is another one.
    pub(crate) after: Option<State>,
    /// Milliseconds.
    pub(crate) timing: f64,
    /// How often a node of it was tried again.
    pub(crate) retries: u32,
    pub(crate) reports: Vec<InstanceReport>,
}

impl BranchEnd {
    /// Of one that came to nothing.
    pub(crate) fn failed(failure: Failure, wall: Duration) -> BranchEnd {
        BranchEnd {
            result: Err(Failed {
                failure,
                state: None,
            }),
            after: None,
            timing: ms(wall),
            retries: 0,
            reports: Vec::new(),
        }
    }

    /// The same, of one that was to succeed and doesn't count.
    pub(crate) fn failed_with(self, failure: Failure) -> BranchEnd {
        let state = match self.result {
            Ok(state) => Some(state),
            Err(failed) => failed.state,
        };
        BranchEnd {
            result: Err(Failed { failure, state }),
            after: None,
            ..self
        }
    }
}

/// What of the ends of branches is needed where their fan-out is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Needs {
    /// The states of those that succeed: they go into entries, are merged, or are noted for a resumed run.
    pub(crate) succeeded: bool,
    /// The states of those that fail.
    pub(crate) failed: bool,
    /// Whether each has to be told of by itself, whether its state is needed or not: in a race, it may be the last one
    /// that counts.
    pub(crate) each: bool,
}

/// Branches that succeeded, whose states nobody needs.
#[cfg(feature = "nats")]
#[derive(Debug)]
pub(crate) struct Folded {
    /// Which they are, by their indices, and what ran for each.
    pub(crate) branches: Vec<(usize, Vec<InstanceReport>)>,
    /// What they gave the keys that are folded.
    pub(crate) partials: Vec<PartialSent>,
}

/// Where the branches of a fan-out run.
pub(crate) trait Place: Sync {
    /// How many threads may be needed to have as many run there at a time as the place can.
    fn at_once(&self) -> usize;

    /// What runs branches, for one thread to use.
    fn lane(&self) -> Box<dyn Lane + '_>;
}

/// What runs branches.
pub(crate) trait Lane {
    /// Runs branches until there are none left: each to its end, or until the fan-out is cancelled.
    fn run(&mut self, work: &mut dyn Work);
}

/// The branches that nobody has taken yet, and where they come to their ends.
pub(crate) trait Work {
    /// The next branch, which has to be given an end.
    fn next(&mut self) -> Option<BranchJob>;

    /// How many may come, at most.
    #[cfg(feature = "nats")]
    fn left(&self) -> usize;

    /// Takes in how a branch went: once for each.
    fn end(&mut self, job: &BranchJob, end: BranchEnd);

    /// Takes in how several went at once, which counts for each of them.
    ///
    /// # Errors
    /// If what they gave can't be had: they have no end then.
    #[cfg(feature = "nats")]
    fn end_folded(&mut self, folded: Folded) -> Result<(), String>;
}
