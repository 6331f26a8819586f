//! Where the branches of a fan-out meet.
//!
//! It is the node that an edge names; else one that is marked `fan_in: true`; else the first
//! node that every way out of every branch passes. Branches that don't meet are refused.

use std::collections::HashSet;

use super::draft::{EdgeWays, FanOutDraft};
use super::{FanOut, Next, NodeId};
use crate::workflow::model::Model;
use crate::workflow::problem::{Code, Place, Problems};

/// Settles the fan-in of one fan-out. `None` if it has none, or if a branch can't be followed
/// up to it.
pub(super) fn resolve(
    draft: &FanOutDraft,
    ways: &EdgeWays,
    model: &Model,
    problems: &mut Problems,
) -> Option<FanOut> {
    let branches: Vec<_> = draft
        .branches
        .iter()
        .map(|first| follow(*first, ways))
        .collect();
    let found = draft
        .named
        .or_else(|| marked(draft, &branches, model))
        .or_else(|| shared(draft, &branches));
    let name = |node: NodeId| &*model.nodes[node.0].name.value;

    let mut sound = true;
    for branch in &branches {
        let first = branch.nodes[0];
        if found == Some(first) {
            let message = format!("the branch `{}` starts at its own fan-in", name(first));
            problems.error(Code::InvalidEdge, draft.place, message);
            sound = false;
        }
        if found.is_some_and(|fan_in| branch.passes.contains(&fan_in)) {
            // What lies behind the fan-in is no matter of the branch.
            continue;
        }
        match branch.end {
            End::Open | End::Ends => {}
            End::FanOut(place) => {
                let message = "a fan-out inside of a branch is not supported yet";
                problems.error(Code::NotSupported, place, message);
                sound = false;
            }
            End::Cycle(place) => {
                let message = "a branch that comes by here would never end";
                problems.error(Code::UnconditionalCycle, place, message);
                sound = false;
            }
        }
    }
    if found.is_none() && sound {
        problems
            .error(
                Code::FanInMissing,
                draft.place,
                "the branches of this fan-out don't meet in any node",
            )
            .with_hint("name the node that gets their results: `fan_in: <node>`");
    }
    Some(FanOut {
        branches: draft.branches.clone(),
        fan_in: found.filter(|_| sound)?,
    })
}

/// The nodes that edges lead to from the start of a branch, and how that goes out.
struct Branch {
    nodes: Vec<NodeId>,
    passes: HashSet<NodeId>,
    end: End,
}

enum End {
    /// At a node without edges: it leads to the fan-in, whichever that is.
    Open,
    /// At `__end__`.
    Ends,
    /// At another fan-out.
    FanOut(Place),
    /// At a node that was there before.
    Cycle(Place),
}

impl Branch {
    /// Whether the branch comes through `node` if `node` is the fan-in.
    fn leads_to(&self, node: NodeId) -> bool {
        self.passes.contains(&node) || matches!(self.end, End::Open)
    }
}

fn follow(first: NodeId, ways: &EdgeWays) -> Branch {
    let mut nodes = vec![first];
    let mut passes = HashSet::from([first]);
    let mut node = first;
    let end = loop {
        let Some(way) = ways.by_node[node.0] else {
            break End::Open;
        };
        match way.next {
            Next::End => break End::Ends,
            Next::FanOut(_) => break End::FanOut(way.place),
            Next::Node(next) if !passes.insert(next) => break End::Cycle(way.place),
            Next::Node(next) => {
                nodes.push(next);
                node = next;
            }
        }
    };
    Branch { nodes, passes, end }
}

/// The first node marked `fan_in: true` that all branches lead to: on their ways, or, where
/// they end without naming any, in the written order after the fan-out.
fn marked(draft: &FanOutDraft, branches: &[Branch], model: &Model) -> Option<NodeId> {
    let on_the_way = branches
        .iter()
        .flat_map(|branch| branch.nodes.iter().copied());
    let after = draft.origin.map_or(0, |origin| origin.0 + 1);
    let written_after = (after..model.nodes.len()).map(NodeId);
    on_the_way
        .chain(written_after)
        .filter(|node| model.nodes[node.0].fan_in)
        .filter(|node| !draft.branches.contains(node))
        .find(|node| branches.iter().all(|branch| branch.leads_to(*node)))
}

/// The first node that all branches pass.
fn shared(draft: &FanOutDraft, branches: &[Branch]) -> Option<NodeId> {
    let (first, others) = branches.split_first()?;
    let mut nodes = first.nodes.iter().copied();
    nodes
        .by_ref()
        .filter(|node| !draft.branches.contains(node))
        .find(|node| others.iter().all(|branch| branch.passes.contains(node)))
}
