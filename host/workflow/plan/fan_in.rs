//! Where the branches of a fan-out meet.
//!
//! It is the node that an edge names; else one that is marked `fan_in: true`; else the first
//! node that every way out of every branch passes. Branches that don't meet are refused.

use super::graph::Graph;
use super::{Exits, NodeId};
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::model::Model;

/// A fan-out whose fan-in is not settled.
pub(crate) struct FanOutDraft {
    /// The node it starts from; `None` for the start of the run.
    pub(crate) origin: Option<NodeId>,
    /// Its first edge.
    pub(crate) place: Place,
    /// The first node of each branch, in the written order.
    pub(crate) branches: Vec<NodeId>,
    /// The fan-in that an edge names.
    pub(crate) named: Option<NodeId>,
}

/// Settles the fan-ins of all fan-outs; `None` for those that have none.
pub(crate) fn resolve(
    drafts: &[FanOutDraft],
    exits: &[Exits],
    model: &Model,
    problems: &mut Problems,
) -> Vec<Option<NodeId>> {
    let mut fan_ins: Vec<_> = drafts.iter().map(|draft| draft.named).collect();
    // A branch with branches of its own goes on at their fan-in: these have to be known first.
    // Each round settles those that hang on nothing unsettled, and a last one the rest.
    loop {
        let settled = fan_ins.iter().flatten().count();
        for (index, draft) in drafts.iter().enumerate() {
            if fan_ins[index].is_none() && !hangs(draft, exits, &fan_ins) {
                fan_ins[index] = derive(draft, exits, &fan_ins, model);
            }
        }
        if fan_ins.iter().flatten().count() == settled {
            break;
        }
    }
    for (index, draft) in drafts.iter().enumerate() {
        if fan_ins[index].is_none() {
            fan_ins[index] = derive(draft, exits, &fan_ins, model);
        }
        report(draft, fan_ins[index], model, problems);
    }
    fan_ins
}

/// Whether a branch can come by a fan-out that isn't settled.
fn hangs(draft: &FanOutDraft, exits: &[Exits], fan_ins: &[Option<NodeId>]) -> bool {
    let graph = Graph { exits, fan_ins };
    let reach = graph.reach(&draft.branches, None);
    reach.nodes.iter().any(|node| {
        exits[node.0].nexts().any(|(next, _)| match next {
            super::Next::FanOut(id) => fan_ins[id.0].is_none(),
            _ => false,
        })
    })
}

fn derive(
    draft: &FanOutDraft,
    exits: &[Exits],
    fan_ins: &[Option<NodeId>],
    model: &Model,
) -> Option<NodeId> {
    let graph = Graph { exits, fan_ins };
    let on_the_way = graph.reach(&draft.branches, None).nodes;
    let after = draft.origin.map_or(0, |origin| origin.0 + 1);
    let written_after = (after..model.nodes.len()).map(NodeId);
    let is_marked = |node: &NodeId| model.nodes[node.0].fan_in;
    let marked = on_the_way
        .iter()
        .copied()
        .chain(written_after)
        .filter(is_marked)
        .find(|node| is_possible(&graph, draft, *node));
    let shared = || {
        let reached: Vec<_> = draft
            .branches
            .iter()
            .map(|first| graph.reach(&[*first], None).seen)
            .collect();
        let by_all = |node: &NodeId| reached.iter().all(|seen| seen.contains(node));
        let candidates = on_the_way.iter().copied().filter(by_all);
        let candidates: Vec<_> = candidates
            .filter(|node| !draft.branches.contains(node))
            .collect();
        // A way that ends at a node without any other leads to the fan-in, whichever it is: it
        // is asked last, since it fits anything.
        [Open::No, Open::Yes].into_iter().find_map(|open| {
            let mut candidates = candidates.iter().copied();
            candidates.find(|node| is_passed(&graph, draft, *node, open))
        })
    };
    marked.or_else(shared)
}

/// Whether ways may end at a node without any other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    No,
    Yes,
}

/// Whether every way out of every branch passes `node`.
fn is_passed(graph: &Graph<'_>, draft: &FanOutDraft, node: NodeId, open: Open) -> bool {
    draft.branches.iter().all(|first| {
        let around = graph.reach(&[*first], Some(node));
        !around.ends && (open == Open::Yes || !around.open)
    })
}

/// Whether `node` can be the fan-in: no way around it ends elsewhere.
fn is_possible(graph: &Graph<'_>, draft: &FanOutDraft, node: NodeId) -> bool {
    !draft.branches.contains(&node) && !graph.reach(&draft.branches, Some(node)).ends
}

fn report(draft: &FanOutDraft, fan_in: Option<NodeId>, model: &Model, problems: &mut Problems) {
    match fan_in {
        None => problems
            .error(
                Code::FanInMissing,
                draft.place,
                "the branches of this fan-out don't meet in any node",
            )
            .with_hint("name the node that gets their results: `fan_in: <node>`"),
        Some(fan_in) if draft.branches.contains(&fan_in) => {
            let name = &model.nodes[fan_in.0].name.value;
            let message = format!("the branch `{name}` starts at its own fan-in");
            problems.error(Code::InvalidEdge, draft.place, message);
        }
        Some(_) => {}
    }
}
