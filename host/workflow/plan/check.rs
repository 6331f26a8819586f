//! What a finished plan makes of the nodes: which it leaves out, which run where one wouldn't
//! expect it, and which lead back to themselves.

use std::collections::HashSet;

use super::graph::{Graph, Walk, inside};
use super::ways::{Leads, Next, NodeId, Plan};
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::model::{Model, Work};

/// Which nodes run where.
pub(crate) struct Checked {
    pub(crate) on_main: HashSet<NodeId>,
    pub(crate) in_branches: HashSet<NodeId>,
}

/// Names that a message lists of a way that leads back to itself.
const MAX_NAMES: usize = 8;

/// Reports what the author of the file should know.
pub(crate) fn check(
    plan: &Plan,
    model: &Model,
    walk: &mut Walk,
    problems: &mut Problems,
) -> Checked {
    let fan_ins = plan.fan_ins();
    let graph = Graph::new(plan, &fan_ins);
    let main = Main::of(plan);
    let reached = reached_fan_outs(plan, &main);
    let in_branches = inside(&graph, &plan.fan_outs, reached, walk);
    let in_branches = (0..in_branches.len()).filter(|index| in_branches[*index]);
    let in_branches = in_branches.map(NodeId).collect();
    let checks = Checks {
        plan,
        model,
        main,
        in_branches,
    };
    checks.nodes(problems);
    checks.steps(problems);
    checks.interrupts(problems);
    if model.settings.allow_cycles {
        checks.endless(problems);
    } else {
        checks.cycles(problems);
    }
    Checked {
        on_main: checks.main.seen,
        in_branches: checks.in_branches,
    }
}

/// The fan-outs that nodes on the main path lead to.
fn reached_fan_outs(plan: &Plan, main: &Main) -> HashSet<usize> {
    let of_nodes = main
        .order
        .iter()
        .flat_map(|node| plan.exits[node.0].nexts());
    let all = plan.start.nexts().chain(of_nodes);
    all.filter_map(|(next, _)| match next {
        Next::FanOut(id) => Some(id.0),
        _ => None,
    })
    .collect()
}

/// How many branches can be inside of each other, those that are made at run time included.
pub(crate) fn depth(plan: &Plan, model: &Model, walk: &mut Walk) -> usize {
    let fan_ins = plan.fan_ins();
    let graph = Graph::new(plan, &fan_ins);
    let of_node = |node: NodeId| match &model.nodes[node.0].work {
        Work::Each(_) => 1 + plan.subgraph(node).map_or(0, Plan::depth),
        _ => 0,
    };
    let dynamic = (0..model.nodes.len()).map(|index| of_node(NodeId(index)));
    let dynamic = dynamic.max().unwrap_or(0);
    // How deep each is by the nodes in it, and the fan-outs that start from them.
    let mut depths = Vec::with_capacity(plan.fan_outs.len());
    let mut within: Vec<Vec<usize>> = Vec::with_capacity(plan.fan_outs.len());
    for (index, fan_out) in plan.fan_outs.iter().enumerate() {
        let (mut deepest, mut found) = (0, Vec::new());
        for node in graph.inside(fan_out, walk) {
            deepest = deepest.max(of_node(node));
            let fan_outs = plan.exits[node.0]
                .nexts()
                .filter_map(|(next, _)| match next {
                    Next::FanOut(id) if id.0 != index => Some(id.0),
                    _ => None,
                });
            found.extend(fan_outs);
        }
        depths.push(1 + deepest);
        within.push(found);
    }
    // Fan-outs that come by each other would be as deep as there are fan-outs; none is inside of
    // itself, though, as a branch of it ends at its fan-in.
    let most = plan.fan_outs.len() + 1 + dynamic;
    let mut changed = true;
    while changed && walk.take(depths.len() as u64) {
        changed = false;
        for index in (0..depths.len()).rev() {
            let deepest = within[index].iter().map(|id| 1 + depths[*id]).max();
            let deepest = deepest.unwrap_or(0).min(most);
            changed |= deepest > depths[index];
            depths[index] = depths[index].max(deepest);
        }
    }
    depths.into_iter().max().unwrap_or(0).max(dynamic)
}

/// The nodes that the main path can come by.
struct Main {
    order: Vec<NodeId>,
    seen: HashSet<NodeId>,
}

impl Main {
    fn of(plan: &Plan) -> Main {
        let mut main = Main {
            order: Vec::new(),
            seen: HashSet::new(),
        };
        let mut queue: Vec<NodeId> = successors(plan, None).into_iter().map(|it| it.0).collect();
        queue.reverse();
        while let Some(node) = queue.pop() {
            if !main.seen.insert(node) {
                continue;
            }
            main.order.push(node);
            let next = successors(plan, Some(node));
            queue.extend(next.into_iter().rev().map(|it| it.0));
        }
        main
    }
}

/// Where the main path can go from a node, or from the start.
fn successors(plan: &Plan, node: Option<NodeId>) -> Vec<(NodeId, Option<Place>)> {
    let exits = node.map_or(&plan.start, |node| &plan.exits[node.0]);
    let mut found = Vec::new();
    let mut add = |next: Next, place: Option<Place>| match next {
        Next::Node(node) => found.push((node, place)),
        Next::FanOut(id) => found.push((plan.fan_outs[id.0].fan_in, place)),
        Next::End => {}
    };
    for (next, place) in exits.nexts() {
        add(next, Some(place));
    }
    if exits.falls_through() {
        add(plan.written_next(node), None);
    }
    if let Some(fallback) = exits.fallback {
        add(fallback, None);
    }
    found
}

struct Checks<'a> {
    plan: &'a Plan,
    model: &'a Model,
    main: Main,
    in_branches: HashSet<NodeId>,
}

impl Checks<'_> {
    /// Warns of nodes that nothing leads to, and of fan-ins that collect nothing.
    fn nodes(&self, problems: &mut Problems) {
        let collectors: HashSet<_> = self.plan.fan_outs.iter().map(|it| it.fan_in).collect();
        let dynamic: HashSet<_> = self.plan.exits.iter().filter_map(|it| it.fan_in).collect();
        let after_each: HashSet<_> = (0..self.model.nodes.len())
            .filter(|index| matches!(self.model.nodes[*index].work, Work::Each(_)))
            .flat_map(|index| successors(self.plan, Some(NodeId(index))))
            .map(|(node, _)| node)
            .collect();
        for (index, node) in self.model.nodes.iter().enumerate() {
            let id = NodeId(index);
            let (name, place) = (&node.name.value, node.name.place);
            if !self.main.seen.contains(&id) && !self.in_branches.contains(&id) {
                let message = format!("no way leads to the node `{name}`");
                problems.warning(Code::UnreferencedNode, place, message);
            } else if node.fan_in
                && !collectors.contains(&id)
                && !dynamic.contains(&id)
                && !after_each.contains(&id)
            {
                let message = format!("`{name}` is marked as a fan-in, but no branches meet there");
                problems.warning(Code::UnusedFanIn, place, message);
            }
            if let Work::Each(each) = &node.work
                && let Some(fan_in) = &each.fan_in
                && self.main.seen.contains(&id)
                && let Some(named) = self.plan.exits[index].fan_in
                && !successors(self.plan, Some(id))
                    .iter()
                    .any(|(next, _)| *next == named)
            {
                let message = format!(
                    "the run doesn't go on at `{}` after `{name}`: what comes next is for `goto`, \
                     edges and the written order to say",
                    fan_in.value
                );
                problems.warning(Code::DynamicFanInNotNext, fan_in.place, message);
            }
        }
    }

    /// Warns where the written order leads into a branch.
    fn steps(&self, problems: &mut Problems) {
        for before in &self.main.order {
            let Next::Node(node) = self.plan.written_next(Some(*before)) else {
                continue;
            };
            if !self.plan.exits[before.0].falls_through() || !self.in_branches.contains(&node) {
                continue;
            }
            let before = &self.model.nodes[before.0].name.value;
            let node = &self.model.nodes[node.0].name;
            let message = format!(
                "`{}` runs in a branch, and once more after `{before}`, where it is written",
                node.value
            );
            problems
                .warning(Code::BranchNodeInSequence, node.place, message)
                .with_hint(format!(
                    "to end there, add the edge `{{from: {before}, to: __end__}}`"
                ));
        }
    }

    /// Refuses interrupts where a run can't stop.
    fn interrupts(&self, problems: &mut Problems) {
        let interrupts = self.model.interrupts();
        for (index, node) in self.model.nodes.iter().enumerate() {
            let (before, after) = interrupts.of(node);
            if (before || after) && self.in_branches.contains(&NodeId(index)) {
                let name = &node.name.value;
                let message =
                    format!("`{name}` runs in a branch, where a run can't be interrupted");
                problems
                    .error(Code::InterruptInBranch, node.name.place, message)
                    .with_hint("interrupt before the fan-out, or at the fan-in");
            }
        }
    }

    /// Warns of loops that nothing but an error or the limit can end.
    fn endless(&self, problems: &mut Problems) {
        let mut done: HashSet<NodeId> = HashSet::new();
        for index in 0..self.plan.exits.len() {
            let mut path = Vec::new();
            let mut on_path = HashSet::new();
            let mut node = NodeId(index);
            if !self.main.seen.contains(&node) && !self.in_branches.contains(&node) {
                continue;
            }
            while !done.contains(&node) {
                done.insert(node);
                on_path.insert(node);
                path.push(node);
                let Some((next, place)) = self.only_way(node) else {
                    break;
                };
                if on_path.contains(&next) {
                    self.report_endless(&path, next, place, problems);
                }
                node = next;
            }
        }
    }

    /// The next node, if there is no other.
    fn only_way(&self, node: NodeId) -> Option<(NodeId, Place)> {
        let exits = &self.plan.exits[node.0];
        if exits.fallback.is_some() {
            return None;
        }
        let [way] = exits.ways.as_slice() else {
            return match self.plan.written_next(Some(node)) {
                // Where a branch goes is not for the written order to say.
                Next::Node(next) if exits.ways.is_empty() && !self.in_branches.contains(&node) => {
                    Some((next, self.model.nodes[next.0].name.place))
                }
                _ => None,
            };
        };
        if way.condition.is_some() {
            return None;
        }
        match way.leads {
            Leads::To(Next::Node(next)) => Some((next, way.place)),
            Leads::To(Next::FanOut(id)) => Some((self.plan.fan_outs[id.0].fan_in, way.place)),
            _ => None,
        }
    }

    fn report_endless(&self, path: &[NodeId], back: NodeId, place: Place, problems: &mut Problems) {
        let message = format!(
            "nothing but an error ends this loop: {}",
            self.names(path, back)
        );
        let most = self.model.settings.max_iterations;
        problems
            .warning(Code::UnconditionalCycle, place, message)
            .with_hint(format!("the run fails after {most} nodes"));
    }

    /// The names along a way that leads back to its beginning; of a long one those at its ends.
    fn names(&self, path: &[NodeId], back: NodeId) -> String {
        let cycle = path.iter().position(|node| *node == back);
        let cycle = &path[cycle.unwrap_or(0)..];
        let name = |node: &NodeId| self.plan.name(*node);
        let mut names: Vec<_> = match cycle.len() > MAX_NAMES {
            false => cycle.iter().map(name).collect(),
            true => {
                let (first, last) = (
                    &cycle[..MAX_NAMES / 2],
                    &cycle[cycle.len() - MAX_NAMES / 2..],
                );
                let first = first.iter().map(name).chain(["..."]);
                first.chain(last.iter().map(name)).collect()
            }
        };
        names.push(name(&back));
        names.join(" -> ")
    }

    /// Refuses any way back, where none is allowed.
    fn cycles(&self, problems: &mut Problems) {
        // Depth first, on a stack of its own: white, on the path, done.
        let mut colour = vec![0_u8; self.plan.exits.len()];
        for root in 0..colour.len() {
            if colour[root] != 0 {
                continue;
            }
            let mut path: Vec<NodeId> = Vec::new();
            let mut stack = vec![(NodeId(root), None::<Place>, false)];
            while let Some((node, place, leaving)) = stack.pop() {
                if leaving {
                    colour[node.0] = 2;
                    path.pop();
                    continue;
                }
                match colour[node.0] {
                    1 => {
                        let place = place.unwrap_or(self.model.nodes[node.0].name.place);
                        let names = self.names(&path, node);
                        let message = format!("`allow_cycles` is false, but here is one: {names}");
                        problems.error(Code::CycleNotAllowed, place, message);
                    }
                    0 => {
                        colour[node.0] = 1;
                        path.push(node);
                        stack.push((node, place, true));
                        stack.extend(self.all_ways(node).map(|(to, place)| (to, place, false)));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Every node that can follow, in branches or out of them.
    fn all_ways(&self, node: NodeId) -> impl Iterator<Item = (NodeId, Option<Place>)> {
        let branches = self.plan.exits[node.0].nexts().filter_map(|(next, place)| {
            let Next::FanOut(id) = next else {
                return None;
            };
            let branches = self.plan.fan_outs[id.0].branches.iter();
            Some(branches.map(move |branch| (*branch, Some(place))))
        });
        branches.flatten().chain(successors(self.plan, Some(node)))
    }
}
