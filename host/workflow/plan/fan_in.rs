//! Where the branches of a fan-out meet.
//!
//! It is the node that an edge names; else one that is marked `fan_in: true`; else the first
//! node that every way out of every branch passes. Branches that don't meet are refused.

use std::collections::HashSet;

use super::graph::{Graph, Step, Walk};
use super::ways::{Exits, NodeId};
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::model::{Model, Together};

/// A fan-out whose fan-in is not settled.
pub(crate) struct FanOutDraft {
    /// The node it starts from; `None` for the start of the run.
    pub(crate) origin: Option<NodeId>,
    /// Its first edge.
    pub(crate) place: Place,
    /// The first node of each branch, in the written order.
    pub(crate) branches: Vec<NodeId>,
    /// The same nodes.
    pub(crate) known: HashSet<NodeId>,
    /// The fan-in that an edge names.
    pub(crate) named: Option<NodeId>,
    /// What its edges say of all branches.
    pub(crate) together: Together,
}

impl FanOutDraft {
    /// Adds a branch; false if it is there already.
    pub(crate) fn add(&mut self, first: NodeId) -> bool {
        let is_new = self.known.insert(first);
        if is_new {
            self.branches.push(first);
        }
        is_new
    }
}

/// Settles the fan-ins of all fan-outs; `None` for those that have none.
pub(crate) fn resolve(
    drafts: &[FanOutDraft],
    exits: &[Exits],
    model: &Model,
    walk: &mut Walk,
    problems: &mut Problems,
) -> Vec<Option<NodeId>> {
    let mut fan_ins: Vec<_> = drafts.iter().map(|draft| draft.named).collect();
    // A branch with branches of its own goes on at their fan-in: these have to be known first.
    // Whoever hangs on an unsettled one waits for it.
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    let mut queue: Vec<usize> = (0..drafts.len())
        .filter(|it| fan_ins[*it].is_none())
        .collect();
    while let Some(index) = queue.pop() {
        if walk.is_spent() {
            break;
        }
        let graph = Graph {
            exits,
            fan_ins: &fan_ins,
        };
        let draft = &drafts[index];
        if let Some(id) = graph.reach(&draft.branches, None, walk).unsettled {
            waiting[id.0].push(index);
            continue;
        }
        fan_ins[index] = derive(draft, graph, model, walk);
        if fan_ins[index].is_some() {
            queue.append(&mut waiting[index]);
        }
    }
    for (index, draft) in drafts.iter().enumerate() {
        if fan_ins[index].is_none() && !walk.is_spent() {
            let graph = Graph {
                exits,
                fan_ins: &fan_ins,
            };
            fan_ins[index] = derive(draft, graph, model, walk);
        }
        if !walk.is_spent() {
            report(draft, fan_ins[index], model, problems);
        }
    }
    fan_ins
}

fn derive(draft: &FanOutDraft, graph: Graph<'_>, model: &Model, walk: &mut Walk) -> Option<NodeId> {
    let on_the_way = graph.reach(&draft.branches, None, walk).nodes;
    let starts = flags(graph.exits.len(), &draft.branches);
    let ends = |step| step == Step::Ends;
    let open = |step| matches!(step, Step::Ends | Step::Open);
    let before_ends = graph.passed(&draft.branches, ends, walk);
    let before_ends = before_ends.map(|passed| flags(graph.exits.len(), &passed));
    // No way around it ends elsewhere.
    let is_possible =
        |node: &NodeId| !starts[node.0] && before_ends.as_ref().is_none_or(|passed| passed[node.0]);

    let after = draft.origin.map_or(0, |origin| origin.0 + 1);
    let written_after = (after..model.nodes.len()).map(NodeId);
    let all = on_the_way.iter().copied().chain(written_after);
    let marked = all
        .filter(|node| model.nodes[node.0].fan_in)
        .find(is_possible);
    if marked.is_some() {
        return marked;
    }

    // A way that ends at a node without any other leads to the fan-in, whichever it is: it
    // is asked last, since it fits anything.
    let before_open = graph.passed(&draft.branches, open, walk);
    let before_open = before_open.map(|passed| flags(graph.exits.len(), &passed));
    let is_passed = |node: &NodeId| before_open.as_ref().is_none_or(|passed| passed[node.0]);
    let mut candidates = on_the_way;
    candidates.retain(is_possible);
    let mut by_all = |node: &NodeId| {
        let mut branches = draft.branches.iter();
        branches.all(|first| graph.leads(*first, *node, walk))
    };
    let passed = candidates
        .iter()
        .copied()
        .filter(is_passed)
        .find(&mut by_all);
    passed.or_else(|| candidates.iter().copied().find(by_all))
}

fn flags(len: usize, nodes: &[NodeId]) -> Vec<bool> {
    let mut flags = vec![false; len];
    for node in nodes {
        flags[node.0] = true;
    }
    flags
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
        Some(fan_in) if draft.known.contains(&fan_in) => {
            let name = &model.nodes[fan_in.0].name.value;
            let message = format!("the branch `{name}` starts at its own fan-in");
            problems.error(Code::InvalidEdge, draft.place, message);
        }
        Some(_) => {}
    }
}
