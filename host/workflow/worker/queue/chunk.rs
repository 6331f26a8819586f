//! What is in the jobs of a queue, and in their ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::workflow::event::Event;
use crate::workflow::execute::budget::Amounts;
use crate::workflow::execute::partial_sent::PartialSent;
use crate::workflow::execute::terms::Left;
use crate::workflow::report::InstanceReport;
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
    /// What several branches gave that succeeded.
    Folded(Box<FoldSent>),
    /// There was nothing left of the totals of the run: it wasn't run.
    UsedUp,
    /// It can't run it, and why.
    Refused(String),
}

/// Branches that succeeded, whose states nobody needs: what they gave the keys that are folded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FoldSent {
    pub(crate) branches: Vec<BranchFolded>,
    /// Key by key.
    pub(crate) partials: Vec<PartialSent>,
    /// What they took of the totals.
    pub(crate) spent: Amounts,
}

/// What isn't folded of such a branch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BranchFolded {
    pub(crate) index: usize,
    pub(crate) reports: Vec<InstanceReport>,
    /// All that happened in it, if anybody listens.
    pub(crate) events: Vec<Event>,
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
