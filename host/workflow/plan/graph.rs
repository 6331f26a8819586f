//! Who leads to whom, as far as it can be told before a run.

use std::collections::{HashSet, VecDeque};

use super::{Exits, FanOut, FanOutId, Next, NodeId, Plan};
use crate::diagnostics::Place;

/// The ways of a workflow, and the fan-ins as far as they are known.
pub(crate) struct Graph<'g> {
    pub(crate) exits: &'g [Exits],
    /// The fan-in of each fan-out, once it is settled.
    pub(crate) fan_ins: &'g [Option<NodeId>],
}

/// Where one step leads to from a node of a branch.
#[derive(Default)]
pub(crate) struct Steps {
    pub(crate) nodes: Vec<(NodeId, Option<Place>)>,
    /// Whether the branch can end.
    pub(crate) ends: bool,
    /// Whether the branch can come to its fan-in by having no other way.
    pub(crate) open: bool,
}

/// What can be come by from some nodes.
pub(crate) struct Reach {
    /// In the order they are come by.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) seen: HashSet<NodeId>,
    pub(crate) ends: bool,
    pub(crate) open: bool,
}

impl<'g> Graph<'g> {
    /// The ways of a finished plan, whose fan-ins these are.
    pub(crate) fn new(plan: &'g Plan, fan_ins: &'g [Option<NodeId>]) -> Graph<'g> {
        Graph {
            exits: &plan.exits,
            fan_ins,
        }
    }

    /// The nodes of the branches of a fan-out, without those of branches inside of them.
    pub(crate) fn inside(&self, fan_out: &FanOut) -> Vec<NodeId> {
        self.reach(&fan_out.branches, Some(fan_out.fan_in)).nodes
    }

    /// The steps of a branch from a node. What branches of its own do is no matter here: it
    /// goes on at their fan-in.
    pub(crate) fn steps(&self, node: NodeId) -> Steps {
        let exits = &self.exits[node.0];
        let mut steps = Steps::default();
        for (next, place) in exits.nexts() {
            steps.add(self, next, Some(place));
        }
        if let Some(fallback) = exits.fallback {
            steps.add(self, fallback, None);
        }
        if exits.falls_through() {
            match exits.fan_in {
                Some(fan_in) => steps.nodes.push((fan_in, None)),
                None => steps.open = true,
            }
        }
        steps
    }

    /// Everything that a branch can come by from `starts` without entering `stop`.
    pub(crate) fn reach(&self, starts: &[NodeId], stop: Option<NodeId>) -> Reach {
        let mut reach = Reach {
            nodes: Vec::new(),
            seen: HashSet::new(),
            ends: false,
            open: false,
        };
        let mut queue: VecDeque<NodeId> = starts.iter().copied().collect();
        while let Some(node) = queue.pop_front() {
            if Some(node) == stop || !reach.seen.insert(node) {
                continue;
            }
            reach.nodes.push(node);
            let steps = self.steps(node);
            reach.ends |= steps.ends;
            reach.open |= steps.open;
            queue.extend(steps.nodes.into_iter().map(|(node, _)| node));
        }
        reach
    }

    fn fan_in(&self, id: FanOutId) -> Option<NodeId> {
        self.fan_ins.get(id.0).copied().flatten()
    }
}

impl Steps {
    fn add(&mut self, graph: &Graph<'_>, next: Next, place: Option<Place>) {
        match next {
            Next::Node(node) => self.nodes.push((node, place)),
            Next::End => self.ends = true,
            // While it isn't settled where it leads, it leads nowhere.
            Next::FanOut(id) => {
                self.nodes
                    .extend(graph.fan_in(id).map(|node| (node, place)));
            }
        }
    }
}

/// The nodes of the branches of a fan-out, those of branches inside of them included.
pub(crate) fn inside(graph: &Graph<'_>, fan_outs: &[FanOut], fan_out: &FanOut) -> Vec<NodeId> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut queue = vec![fan_out];
    while let Some(fan_out) = queue.pop() {
        for node in graph.inside(fan_out) {
            if !seen.insert(node) {
                continue;
            }
            found.push(node);
            for (next, _) in graph.exits[node.0].nexts() {
                if let Next::FanOut(id) = next {
                    queue.push(&fan_outs[id.0]);
                }
            }
        }
    }
    found
}
