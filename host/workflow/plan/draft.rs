//! What the edges say, before it is settled where fan-outs end.

use super::{Next, NodeId};
use crate::workflow::problem::Place;

/// A way that an edge says, and where it says so.
#[derive(Clone, Copy)]
pub(super) struct EdgeWay {
    pub(super) next: Next,
    pub(super) place: Place,
}

/// What the edges say.
pub(super) struct EdgeWays {
    pub(super) start: Option<EdgeWay>,
    pub(super) by_node: Vec<Option<EdgeWay>>,
}

/// A fan-out whose fan-in is not settled.
pub(super) struct FanOutDraft {
    /// The node it starts from; `None` for the start of the run.
    pub(super) origin: Option<NodeId>,
    /// Its first edge.
    pub(super) place: Place,
    /// The first node of each branch, in the written order.
    pub(super) branches: Vec<NodeId>,
    /// The fan-in that an edge names.
    pub(super) named: Option<NodeId>,
}
