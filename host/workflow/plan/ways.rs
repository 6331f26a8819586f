//! A plan: nodes, the ways out of each, and fan-outs.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnostics::Place;
use crate::workflow::expression::Condition;
use crate::workflow::model::Together;

/// A node, by its position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct NodeId(pub(crate) usize);

/// A fan-out, by its position in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FanOutId(pub(super) usize);

/// Where a run goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Node(NodeId),
    FanOut(FanOutId),
    End,
}

/// The ways out of a node, or into the workflow, in the order they are tried in.
#[derive(Debug, Default)]
pub(crate) struct Exits {
    pub(crate) ways: Vec<Way>,
    /// Where a run goes on when the node has failed.
    pub(crate) fallback: Option<Next>,
    /// The fan-in that a node names which fans out at run time: where a branch goes that has
    /// no other way.
    pub(crate) fan_in: Option<NodeId>,
}

/// One way.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) place: Place,
    pub(crate) condition: Option<Arc<Condition>>,
    pub(crate) leads: Leads,
}

/// Where a way leads.
#[derive(Debug)]
pub(crate) enum Leads {
    To(Next),
    /// To where the text of the condition's value says.
    Targets(Vec<(String, Next)>),
}

/// Branches that run in parallel, and the node that gets their results.
#[derive(Debug)]
pub(crate) struct FanOut {
    /// Its first edge.
    pub(crate) place: Place,
    /// The first node of each branch, in the written order. A branch goes by its name.
    pub(crate) branches: Vec<NodeId>,
    pub(crate) fan_in: NodeId,
    pub(crate) together: Together,
}

/// Every way through a workflow. Its [`Display`](std::fmt::Display) lists them, one step a line.
#[derive(Debug)]
pub struct Plan {
    pub(super) names: Vec<Arc<str>>,
    pub(super) start: Exits,
    pub(super) exits: Vec<Exits>,
    pub(super) fan_outs: Vec<FanOut>,
    pub(super) subgraphs: BTreeMap<NodeId, Arc<Plan>>,
    /// Branches inside of branches.
    pub(super) depth: usize,
    /// Whether any node fans out when it runs.
    pub(super) is_dynamic: bool,
    pub(super) on_main: HashSet<NodeId>,
    pub(super) in_branches: HashSet<NodeId>,
}

impl Plan {
    /// The ways into the workflow.
    pub(crate) fn start(&self) -> &Exits {
        &self.start
    }

    /// The ways out of a node.
    pub(crate) fn exits(&self, node: NodeId) -> &Exits {
        &self.exits[node.0]
    }

    /// Where the written order leads, from a node or from the start.
    pub(crate) fn written_next(&self, node: Option<NodeId>) -> Next {
        let next = node.map_or(0, |node| node.0 + 1);
        match next < self.names.len() {
            true => Next::Node(NodeId(next)),
            false => Next::End,
        }
    }

    /// The fan-out that [`Next::FanOut`] speaks of.
    pub(crate) fn fan_out(&self, id: FanOutId) -> &FanOut {
        &self.fan_outs[id.0]
    }

    /// Whether there is that fan-out.
    pub(crate) fn has_fan_out(&self, id: FanOutId) -> bool {
        id.0 < self.fan_outs.len()
    }

    /// All fan-outs.
    pub(crate) fn fan_outs(&self) -> &[FanOut] {
        &self.fan_outs
    }

    /// How many branches the widest fan-out has; `None` if that is only known when it runs.
    pub(crate) fn widest(&self) -> Option<usize> {
        let widths = self.fan_outs.iter().map(|fan_out| fan_out.branches.len());
        match self.is_dynamic {
            true => None,
            false => Some(widths.max().unwrap_or(0)),
        }
    }

    /// All nodes, in the written order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.names.len()).map(NodeId)
    }

    /// The fan-in of each fan-out.
    pub(crate) fn fan_ins(&self) -> Vec<Option<NodeId>> {
        let fan_ins = self.fan_outs.iter().map(|fan_out| Some(fan_out.fan_in));
        fan_ins.collect()
    }

    /// Whether a node runs on the main path.
    pub(crate) fn is_on_main(&self, node: NodeId) -> bool {
        self.on_main.contains(&node)
    }

    /// Whether a node runs in a branch.
    pub(crate) fn is_in_branch(&self, node: NodeId) -> bool {
        self.in_branches.contains(&node)
    }

    /// The plan of the subgraph in a node.
    pub(crate) fn subgraph(&self, node: NodeId) -> Option<&Plan> {
        self.subgraphs.get(&node).map(|plan| &**plan)
    }

    /// How many branches can be inside of each other, at the most.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The name of a node.
    pub(crate) fn name(&self, node: NodeId) -> &str {
        &self.names[node.0]
    }

    /// The node of a name.
    pub(crate) fn find(&self, name: &str) -> Option<NodeId> {
        self.names
            .iter()
            .position(|known| **known == *name)
            .map(NodeId)
    }
}

impl Exits {
    /// Everywhere that the ways can lead, and the place of each.
    pub(crate) fn nexts(&self) -> impl Iterator<Item = (Next, Place)> {
        self.ways.iter().flat_map(|way| {
            let (one, many) = match &way.leads {
                Leads::To(next) => (Some(*next), None),
                Leads::Targets(targets) => (None, Some(targets.iter().map(|(_, next)| *next))),
            };
            let nexts = one.into_iter().chain(many.into_iter().flatten());
            nexts.map(|next| (next, way.place))
        })
    }

    /// Whether none of the ways may be open, so that a run goes where it goes without any.
    pub(crate) fn falls_through(&self) -> bool {
        !self
            .ways
            .iter()
            .any(|way| way.condition.is_none() && matches!(way.leads, Leads::To(_)))
    }
}
