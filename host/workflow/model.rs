//! What a workflow file says, typed: nothing resolved, nothing decided.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::problem::Place;

/// The name that stands for where a run begins, in edges.
pub(super) const START: &str = "__start__";
/// The name that stands for where a run, or a branch, ends.
pub(super) const END: &str = "__end__";

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A workflow file.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    /// In the written order.
    pub(super) nodes: Vec<Node>,
    /// In the written order.
    pub(super) edges: Vec<Edge>,
    pub(super) initial_state: Map<String, Value>,
    pub(super) max_workers: Option<NonZeroUsize>,
}

/// An entry of `nodes`.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Spanned<Arc<str>>,
    /// Lua source; a node without any does nothing.
    pub(super) code: Option<Spanned<String>>,
    /// Marked as the place where branches meet.
    pub(super) fan_in: bool,
}

/// An entry of `edges`.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) place: Place,
    pub(super) from: Spanned<String>,
    pub(super) way: Way,
}

/// Where an edge leads.
#[derive(Debug)]
pub(super) enum Way {
    /// To one node.
    To(Spanned<String>),
    /// To the first nodes of branches that run in parallel.
    Parallel {
        branches: Vec<Spanned<String>>,
        fan_in: Option<Spanned<String>>,
    },
}
