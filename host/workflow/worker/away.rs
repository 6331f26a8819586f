//! A fan-out that runs elsewhere: what whoever runs its branches has to know.

use std::io;
use std::time::Instant;

use crate::codec;
use crate::workflow::event::Events;
use crate::workflow::execute::budget::Budget;
use crate::workflow::execute::job::{FanOutJob, Needs};
use crate::workflow::execute::terms::Terms;
use crate::workflow::load::files::{Bytes, Sources};
use crate::workflow::state::State;
use crate::workflow::worker::message::{FanOutSent, Granted, SCHEMA_VERSION, WorkflowSent};
use crate::workflow::worker::pack::pack;
use crate::{Cancel, Snapshot};

/// What of a run its workers have to know, or tell.
#[derive(Clone, Copy)]
pub(crate) struct OfRun<'r> {
    pub(crate) events: &'r Events,
    pub(crate) budget: &'r Budget,
    pub(crate) started: Instant,
    pub(crate) hash: &'r str,
    pub(crate) sources: &'r Sources,
    /// What nodes are granted.
    pub(crate) granted: &'r Granted,
    pub(crate) max_workers: usize,
    pub(crate) max_iterations: Option<usize>,
}

/// A fan-out whose branches are to run elsewhere.
pub(crate) struct Away<'a> {
    pub(crate) run: OfRun<'a>,
    pub(crate) job: &'a FanOutJob,
    pub(crate) terms: &'a Terms,
    /// What branches begin with, if it isn't what the prelude has left.
    pub(crate) start: Option<Snapshot>,
    pub(crate) prelude: Option<Snapshot>,
    pub(crate) cancel: Cancel,
    /// How many branches may run at a time, if anything says so.
    #[cfg_attr(
        not(feature = "nats"),
        expect(dead_code, reason = "processes are counted beforehand")
    )]
    pub(crate) most: Option<usize>,
    pub(crate) needs: Needs,
}

impl Away<'_> {
    /// Its workflow, as workers are sent it.
    ///
    /// # Errors
    /// If what the prelude has left can't be had.
    pub(crate) fn workflow(&self) -> io::Result<WorkflowSent> {
        Ok(WorkflowSent {
            hash: self.run.hash.to_owned(),
            sources: self.run.sources.clone(),
            prelude: bytes(self.prelude.as_ref())?,
        })
    }

    /// What its branches have in common, as workers are sent it.
    ///
    /// # Errors
    /// If what they begin with can't be had.
    pub(crate) fn fan_out(&self) -> io::Result<FanOutSent> {
        Ok(FanOutSent {
            schema_version: SCHEMA_VERSION,
            workflow: self.run.hash.to_owned(),
            body: self.job.body,
            fan_in: self.job.fan_in,
            timeout: self.job.timeout,
            state: pack(&self.job.state, &State::default()),
            keys: self.job.keys.to_string(),
            terms: self.terms.sent(),
            max_workers: self.run.max_workers,
            max_iterations: self.run.max_iterations,
            events: self.run.events.heard(),
            needs: self.needs,
            start: bytes(self.start.as_ref())?,
        })
    }
}

/// A snapshot as it passes.
fn bytes(snapshot: Option<&Snapshot>) -> io::Result<Option<Bytes>> {
    let bytes = snapshot.map(Snapshot::to_bytes).transpose();
    let bytes = bytes.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(bytes.map(|bytes| codec::Bytes(bytes.into())))
}
