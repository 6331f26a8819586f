//! Who leads to whom, as far as it can be told before a run.
//!
//! Looking is counted: a file of a thousand fan-outs over the same thousand nodes takes a million
//! steps, and one that is ten times as long a hundred times as many.

use super::ways::{Exits, FanOut, FanOutId, Next, NodeId, Plan};

/// Steps that planning one workflow may take: some tenths of a second. A file that people write
/// takes less than a thousandth of them.
const MAX_STEPS: u64 = 20_000_000;

/// The ways of a workflow, and the fan-ins as far as they are known.
#[derive(Clone, Copy)]
pub(crate) struct Graph<'g> {
    pub(crate) exits: &'g [Exits],
    /// The fan-in of each fan-out, once it is settled.
    pub(crate) fan_ins: &'g [Option<NodeId>],
}

/// Where one step leads to from a node of a branch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    To(NodeId),
    /// The branch ends.
    Ends,
    /// The branch comes to its fan-in by having no other way.
    Open,
    /// It leads to branches, and it isn't settled where these meet.
    Unsettled(FanOutId),
}

/// What can be come by from some nodes.
#[derive(Default)]
pub(crate) struct Reach {
    /// In the order they are come by.
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) ends: bool,
    pub(crate) open: bool,
    /// A fan-out on the way whose branches meet nobody knows where.
    pub(crate) unsettled: Option<FanOutId>,
}

/// Nodes that were come by, and how many steps may still be taken to come by others.
pub(crate) struct Walk {
    /// The round that each node was come by in last.
    seen: Vec<u32>,
    round: u32,
    left: u64,
}

impl Walk {
    pub(crate) fn new() -> Walk {
        Walk::with_steps(MAX_STEPS)
    }

    /// One of no more steps than these.
    pub(crate) fn with_steps(left: u64) -> Walk {
        Walk {
            seen: Vec::new(),
            round: 0,
            left,
        }
    }

    /// Goes on in a workflow with this many nodes.
    pub(crate) fn enter(&mut self, nodes: usize) {
        let nodes = nodes.max(self.seen.len());
        self.seen.resize(nodes, 0);
    }

    /// Forgets what was come by.
    fn start(&mut self) {
        self.round += 1;
    }

    /// Whether it is the first time; never again once all steps are taken.
    fn visit(&mut self, node: NodeId) -> bool {
        let seen = &mut self.seen[node.0];
        let is_new = *seen != self.round;
        *seen = self.round;
        is_new && self.take(1)
    }

    /// Takes steps, unless there are too few left.
    pub(crate) fn take(&mut self, steps: u64) -> bool {
        self.left = self.left.saturating_sub(steps);
        !self.is_spent()
    }

    /// Whether all steps are taken: what was found since is not all there is.
    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }
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
    pub(crate) fn inside(&self, fan_out: &FanOut, walk: &mut Walk) -> Vec<NodeId> {
        self.reach(&fan_out.branches, Some(fan_out.fan_in), walk)
            .nodes
    }

    /// The steps of a branch from a node. What branches of its own do is no matter here: it
    /// goes on at their fan-in.
    pub(crate) fn steps(&self, node: NodeId) -> impl Iterator<Item = Step> + use<'g> {
        let (exits, fan_ins) = (&self.exits[node.0], self.fan_ins);
        let said = exits.nexts().map(|(next, _)| next).chain(exits.fallback);
        let said = said.map(|next| match next {
            Next::Node(node) => Step::To(node),
            Next::End => Step::Ends,
            Next::FanOut(id) => match fan_ins.get(id.0).copied().flatten() {
                Some(fan_in) => Step::To(fan_in),
                None => Step::Unsettled(id),
            },
        });
        let through = exits.falls_through().then_some(match exits.fan_in {
            Some(fan_in) => Step::To(fan_in),
            None => Step::Open,
        });
        said.chain(through)
    }

    /// Everything that a branch can come by from `starts` without entering `stop`.
    pub(crate) fn reach(&self, starts: &[NodeId], stop: Option<NodeId>, walk: &mut Walk) -> Reach {
        walk.start();
        let mut reach = Reach::default();
        let is_new = |node: NodeId, walk: &mut Walk| Some(node) != stop && walk.visit(node);
        for start in starts {
            if is_new(*start, walk) {
                reach.nodes.push(*start);
            }
        }
        let mut at = 0;
        while let Some(node) = reach.nodes.get(at).copied() {
            at += 1;
            for step in self.steps(node) {
                walk.take(1);
                match step {
                    Step::To(node) if is_new(node, walk) => reach.nodes.push(node),
                    Step::To(_) => {}
                    Step::Ends => reach.ends = true,
                    Step::Open => reach.open = true,
                    Step::Unsettled(id) => reach.unsettled = Some(id),
                }
            }
        }
        reach
    }

    /// The nodes that every way passes which leads from `starts` to where `is_goal` says, in the
    /// order they are passed; `None` if no way leads there.
    pub(crate) fn passed(
        &self,
        starts: &[NodeId],
        is_goal: impl Fn(Step) -> bool,
        walk: &mut Walk,
    ) -> Option<Vec<NodeId>> {
        let path = self.path(starts, &is_goal, walk)?;
        let mut place: Vec<Option<usize>> = vec![None; self.exits.len()];
        for (index, node) in path.iter().enumerate() {
            place[node.0] = Some(index);
        }
        // How far along the path one gets without the nodes of it that weren't come to yet. Where
        // that is just as far as the next of them, no way leads around it.
        walk.start();
        let mut furthest = 0;
        let mut passed = Vec::new();
        let mut beside: Vec<NodeId> = Vec::new();
        let come_to =
            |node: NodeId, furthest: &mut usize, beside: &mut Vec<NodeId>| match place[node.0] {
                Some(index) => *furthest = (*furthest).max(index),
                None => beside.push(node),
            };
        for start in starts {
            come_to(*start, &mut furthest, &mut beside);
        }
        let from = |node: NodeId, furthest: &mut usize, beside: &mut Vec<NodeId>| {
            for step in self.steps(node) {
                match step {
                    step if is_goal(step) => *furthest = path.len(),
                    Step::To(next) => come_to(next, furthest, beside),
                    _ => {}
                }
            }
        };
        for (index, node) in path.iter().enumerate() {
            while let Some(next) = beside.pop() {
                if walk.visit(next) {
                    from(next, &mut furthest, &mut beside);
                }
            }
            if furthest == index {
                passed.push(*node);
            }
            from(*node, &mut furthest, &mut beside);
        }
        Some(passed)
    }

    /// One way to a goal.
    fn path(
        &self,
        starts: &[NodeId],
        is_goal: &impl Fn(Step) -> bool,
        walk: &mut Walk,
    ) -> Option<Vec<NodeId>> {
        walk.start();
        // Each node with the place of the one before it.
        let mut found: Vec<(NodeId, Option<usize>)> = Vec::new();
        for start in starts {
            if walk.visit(*start) {
                found.push((*start, None));
            }
        }
        let mut at = 0;
        while let Some((node, _)) = found.get(at).copied() {
            for step in self.steps(node) {
                walk.take(1);
                if is_goal(step) {
                    let mut path = Vec::new();
                    let mut place = Some(at);
                    while let Some(index) = place {
                        path.push(found[index].0);
                        place = found[index].1;
                    }
                    path.reverse();
                    return Some(path);
                }
                if let Step::To(next) = step
                    && walk.visit(next)
                {
                    found.push((next, Some(at)));
                }
            }
            at += 1;
        }
        None
    }

    /// Whether a way leads from one node to another. No more is looked at than lies before it.
    pub(crate) fn leads(&self, from: NodeId, to: NodeId, walk: &mut Walk) -> bool {
        let is_goal = |step| step == Step::To(to);
        from == to || self.path(&[from], &is_goal, walk).is_some()
    }
}

/// The nodes of the branches of these fan-outs, those of branches inside of them included.
pub(crate) fn inside(
    graph: &Graph<'_>,
    fan_outs: &[FanOut],
    outermost: impl IntoIterator<Item = usize>,
    walk: &mut Walk,
) -> Vec<bool> {
    let mut found = vec![false; graph.exits.len()];
    let mut known = vec![false; fan_outs.len()];
    let mut queue: Vec<usize> = outermost.into_iter().collect();
    while let Some(id) = queue.pop() {
        if std::mem::replace(&mut known[id], true) {
            continue;
        }
        for node in graph.inside(&fan_outs[id], walk) {
            if std::mem::replace(&mut found[node.0], true) {
                continue;
            }
            for (next, _) in graph.exits[node.0].nexts() {
                if let Next::FanOut(id) = next {
                    queue.push(id.0);
                }
            }
        }
    }
    found
}
