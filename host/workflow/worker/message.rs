//! What a run and its workers tell each other.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::workflow::event::{Event, Heard};
use crate::workflow::execute::budget::Amounts;
use crate::workflow::execute::entry::Failed;
use crate::workflow::execute::job::{Body, BranchEnd, FanOutJob, Needs};
use crate::workflow::execute::terms::{Left, TermsSent};
use crate::workflow::load::files::{Bytes, Sources};
use crate::workflow::plan::NodeId;
use crate::workflow::report::{Failure, InstanceReport};
use crate::workflow::state::State;
use crate::workflow::worker::pack::{Packed, pack, unpack};

/// The version of these messages, and of the jobs and ends in them.
pub(crate) const SCHEMA_VERSION: u32 = 2;

/// What a run tells a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The workflow that the next fan-outs are of.
    Workflow(Box<WorkflowSent>),
    /// The fan-out that the next branches are of.
    FanOut(Box<FanOutSent>),
    /// Run this branch.
    Branch(Box<BranchSent>),
    /// Stop the branch with this number.
    Cancel(u64),
}

/// What a worker tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// It serves.
    Hello(Box<Hello>),
    /// Something happened in the branch that runs.
    Event(Box<Event>),
    /// The branch that ran has ended.
    End(Box<EndSent>),
    /// It can't go on, and why.
    Refused(String),
}

/// What a worker is, and what it grants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) schema_version: u32,
    /// That of the library.
    pub(crate) version: String,
    /// A random id of the process.
    pub(crate) worker: String,
    pub(crate) grants: Granted,
}

/// What is granted to nodes, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Granted(pub(crate) BTreeSet<String>);

impl Granted {
    /// Refuses workers that grant less.
    ///
    /// # Errors
    /// What they lack.
    pub(crate) fn check_in(&self, other: &Granted) -> Result<(), Failure> {
        let lacking: Vec<&str> = self.0.difference(&other.0).map(String::as_str).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the workers lack what the run grants: {}; nothing was sent to them: grant it to the \
             program that they are, too, or run branches in this process",
            lacking.join(", ")
        );
        Err(Failure::own("DeniedError", message))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WorkflowSent {
    /// The hash of what it does: the worker has to come to the same.
    pub(crate) hash: String,
    pub(crate) sources: Sources,
    /// What the prelude has left, if there is one.
    pub(crate) prelude: Option<Bytes>,
}

/// What the branches of a fan-out have in common.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FanOutSent {
    pub(crate) schema_version: u32,
    /// The hash of its workflow.
    pub(crate) workflow: String,
    pub(crate) body: Body,
    pub(crate) fan_in: Option<NodeId>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) state: Packed,
    /// What calls of host functions go by.
    pub(crate) keys: String,
    /// Limits, and names of capabilities: what is asked for, of what the worker grants.
    pub(crate) terms: TermsSent,
    pub(crate) max_workers: usize,
    pub(crate) max_iterations: Option<usize>,
    /// Which events anybody listens for.
    pub(crate) events: Heard,
    pub(crate) needs: Needs,
    /// What branches begin with, if it isn't what the prelude has left.
    pub(crate) start: Option<Bytes>,
}

/// One branch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BranchSent {
    /// Which of the branches that this worker runs it is.
    pub(crate) number: u64,
    pub(crate) index: usize,
    pub(crate) item: Option<Packed>,
    /// How long the run has been going on.
    pub(crate) elapsed: Duration,
    /// The time that is left.
    pub(crate) left: Option<Left>,
    /// What is left of the totals of the run.
    pub(crate) totals: Amounts,
}

/// How a branch went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndSent {
    pub(crate) number: u64,
    result: Result<Packed, (Failure, Option<Packed>)>,
    after: Option<Packed>,
    timing: f64,
    retries: u32,
    reports: Vec<InstanceReport>,
    /// What it took of the totals.
    pub(crate) spent: Amounts,
}

impl FanOutSent {
    /// What is in it, for a worker.
    ///
    /// # Errors
    /// If its state can't be had.
    pub(crate) fn job(&self) -> Result<FanOutJob, String> {
        Ok(FanOutJob {
            body: self.body,
            fan_in: self.fan_in,
            timeout: self.timeout,
            state: unpack(self.state.clone(), &State::default())?,
            keys: self.keys.as_str().into(),
        })
    }
}

impl EndSent {
    /// As it passes to a side that has the state which the branches started on.
    pub(crate) fn new(number: u64, end: BranchEnd, base: &State, spent: Amounts) -> EndSent {
        EndSent {
            number,
            result: match &end.result {
                Ok(state) => Ok(pack(state, base)),
                Err(failed) => {
                    let state = failed.state.as_ref().map(|state| pack(state, base));
                    Err((failed.failure.clone(), state))
                }
            },
            after: end.after.as_ref().map(|state| pack(state, base)),
            timing: end.timing,
            retries: end.retries,
            reports: end.reports,
            spent,
        }
    }

    /// The same on that side; its instances were those of `worker`.
    ///
    /// # Errors
    /// If a state in it can't be had.
    pub(crate) fn end(self, base: &State, worker: &str) -> Result<BranchEnd, String> {
        let state = |packed: Option<Packed>| packed.map(|it| unpack(it, base)).transpose();
        let mut reports = self.reports;
        for report in &mut reports {
            report.worker = Some(worker.to_owned());
        }
        Ok(BranchEnd {
            result: match self.result {
                Ok(packed) => Ok(unpack(packed, base)?),
                Err((failure, packed)) => Err(Failed {
                    failure,
                    state: state(packed)?,
                }),
            },
            after: state(self.after)?,
            timing: self.timing,
            retries: self.retries,
            reports,
        })
    }
}
