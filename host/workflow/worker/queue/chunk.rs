//! What is in the jobs of a queue, and in their ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::workflow::event::Event;
use crate::workflow::execute::budget::Amounts;
use crate::workflow::execute::terms::Left;
use crate::workflow::worker::message::{EndSent, Granted};
use crate::workflow::worker::pack::Packed;

/// What branches of a chunk have in common.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChunkSent {
    /// The names of the blobs that hold the workflow and the fan-out.
    pub(crate) workflow: String,
    pub(crate) fan_out: String,
    /// How long the run has been going on.
    pub(crate) elapsed: Duration,
    /// The time that is left.
    pub(crate) left: Option<Left>,
    /// What is left of the totals of the run.
    pub(crate) totals: Amounts,
}

/// A branch of a chunk. Its key is its index.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BranchOfChunk {
    pub(crate) item: Option<Packed>,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// How the branch went, and all that happened in it, if anybody listens.
    End(Box<EndSent>, Vec<Event>),
    /// There was nothing left of the totals of the run: it wasn't run.
    UsedUp,
    /// It can't run it, and why.
    Refused(String),
}

/// Something that happens in a branch: which of its events it is, from zero.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventSent {
    pub(crate) number: usize,
    pub(crate) event: Event,
}

/// What a worker says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct About {
    /// The version of the library.
    pub(crate) version: String,
    pub(crate) grants: Granted,
}
