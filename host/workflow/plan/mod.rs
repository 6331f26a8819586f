//! Where a run goes: every way through a workflow, settled before anything runs.
//!
//! A plan is made from names and edges alone. It can be printed, and it is all that running
//! needs to know about the shape of a workflow.

mod build;
mod draft;
mod fan_in;
mod walk;

use std::fmt;
use std::sync::Arc;

use super::model::{END, START};

pub(super) use build::build;

/// A node, by its position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) usize);

/// A fan-out, by its position in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FanOutId(usize);

/// Where a run goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Node(NodeId),
    FanOut(FanOutId),
    End,
}

/// Branches that run in parallel, and the node that gets their results.
#[derive(Debug)]
pub(super) struct FanOut {
    /// The first node of each branch, in the written order. A branch goes by its name.
    pub(super) branches: Vec<NodeId>,
    pub(super) fan_in: NodeId,
}

/// Every way through a workflow. Its [`Display`](fmt::Display) lists them, one step a line.
#[derive(Debug)]
pub struct Plan {
    names: Vec<Arc<str>>,
    start: Next,
    /// The ways that edges say, by node.
    edges: Vec<Option<Next>>,
    fan_outs: Vec<FanOut>,
}

impl Plan {
    /// Where a run begins.
    pub(super) fn start(&self) -> Next {
        self.start
    }

    /// Where a run goes after `node`, outside of branches: edges first, else the node that is
    /// written next.
    pub(super) fn after(&self, node: NodeId) -> Next {
        let written_next = NodeId(node.0 + 1);
        match self.edges[node.0] {
            Some(next) => next,
            None if written_next.0 < self.names.len() => Next::Node(written_next),
            None => Next::End,
        }
    }

    /// Where a branch goes after `node`; `None` if it ends there. The written order is not a
    /// way inside a branch, and the fan-in is not part of it.
    pub(super) fn after_in_branch(&self, node: NodeId, fan_out: &FanOut) -> Option<NodeId> {
        match self.edges[node.0] {
            Some(Next::Node(next)) if next != fan_out.fan_in => Some(next),
            // Building a plan has refused fan-outs inside of branches.
            _ => None,
        }
    }

    /// The fan-out that [`Next::FanOut`] speaks of.
    pub(super) fn fan_out(&self, id: FanOutId) -> &FanOut {
        &self.fan_outs[id.0]
    }

    /// How many branches the widest fan-out has.
    pub(super) fn widest(&self) -> usize {
        let widths = self.fan_outs.iter().map(|fan_out| fan_out.branches.len());
        widths.max().unwrap_or(0)
    }

    /// The nodes of a branch, in the order they run in.
    pub(super) fn branch(&self, first: NodeId, fan_out: &FanOut) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(first), |node| self.after_in_branch(*node, fan_out))
    }

    fn name(&self, node: NodeId) -> &str {
        &self.names[node.0]
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut from = START;
        let mut next = self.start;
        loop {
            match next {
                Next::End => return write!(f, "{from} -> {END}"),
                Next::Node(node) => {
                    writeln!(f, "{from} -> {}", self.name(node))?;
                    from = self.name(node);
                    next = self.after(node);
                }
                Next::FanOut(id) => {
                    let fan_out = self.fan_out(id);
                    let names: Vec<_> = fan_out.branches.iter().map(|id| self.name(*id)).collect();
                    let fan_in = self.name(fan_out.fan_in);
                    writeln!(f, "{from} -> [{}] -> {fan_in}", names.join(", "))?;
                    for first in &fan_out.branches {
                        self.fmt_branch(*first, fan_out, f)?;
                    }
                    from = fan_in;
                    next = self.after(fan_out.fan_in);
                }
            }
        }
    }
}

impl Plan {
    fn fmt_branch(
        &self,
        first: NodeId,
        fan_out: &FanOut,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        write!(f, "    ")?;
        let mut last = first;
        for node in self.branch(first, fan_out) {
            write!(f, "{} -> ", self.name(node))?;
            last = node;
        }
        match self.edges[last.0] {
            Some(Next::End) => writeln!(f, "{END}"),
            _ => writeln!(f, "{}", self.name(fan_out.fan_in)),
        }
    }
}
