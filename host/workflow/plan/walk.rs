//! One walk through a finished plan: it must end, and it should come by every node.

use std::collections::HashSet;

use super::draft::EdgeWays;
use super::{Next, NodeId, Plan};
use crate::workflow::model::Model;
use crate::workflow::problem::{Code, Problems};

/// Checks that a run of `plan` ends, and warns of nodes that it leaves out or doesn't run where
/// one would expect. `None` if it doesn't end.
pub(super) fn check(
    plan: &Plan,
    ways: &EdgeWays,
    model: &Model,
    problems: &mut Problems,
) -> Option<()> {
    let mut walk = Walk::default();
    let mut next = plan.start();
    loop {
        let node = match next {
            Next::End => break,
            Next::Node(node) => node,
            Next::FanOut(id) => {
                let fan_out = plan.fan_out(id);
                for first in &fan_out.branches {
                    let branch = plan.branch(*first, fan_out);
                    walk.in_branches.extend(branch);
                }
                walk.fan_ins.insert(fan_out.fan_in);
                fan_out.fan_in
            }
        };
        if !walk.on_main.insert(node) {
            report_cycle(&walk.main, node, ways, model, problems);
            return None;
        }
        walk.main.push(node);
        next = plan.after(node);
    }
    walk.warn_of_nodes(model, problems);
    walk.warn_of_steps(ways, model, problems);
    Some(())
}

/// What a run comes by.
#[derive(Default)]
struct Walk {
    /// The nodes outside of branches, in the order they run in.
    main: Vec<NodeId>,
    on_main: HashSet<NodeId>,
    in_branches: HashSet<NodeId>,
    fan_ins: HashSet<NodeId>,
}

impl Walk {
    fn warn_of_nodes(&self, model: &Model, problems: &mut Problems) {
        for (index, node) in model.nodes.iter().enumerate() {
            let id = NodeId(index);
            let (name, place) = (&node.name.value, node.name.place);
            if !self.on_main.contains(&id) && !self.in_branches.contains(&id) {
                let message = format!("no way leads to the node `{name}`");
                problems.warning(Code::UnreferencedNode, place, message);
            } else if node.fan_in && !self.fan_ins.contains(&id) {
                let message = format!("`{name}` is marked as a fan-in, but no branches meet there");
                problems.warning(Code::UnusedFanIn, place, message);
            }
        }
    }

    /// Warns where the written order leads into a branch.
    fn warn_of_steps(&self, ways: &EdgeWays, model: &Model, problems: &mut Problems) {
        for (before, node) in self.main.iter().zip(self.main.iter().skip(1)) {
            if ways.by_node[before.0].is_some() || !self.in_branches.contains(node) {
                continue;
            }
            let before = &model.nodes[before.0].name.value;
            let node = &model.nodes[node.0].name;
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
}

/// Reports that the step after the last node of `main` leads back to `node`.
fn report_cycle(
    main: &[NodeId],
    node: NodeId,
    ways: &EdgeWays,
    model: &Model,
    problems: &mut Problems,
) {
    let name = |node: &NodeId| model.nodes[node.0].name.value.to_string();
    let cycle = main.iter().skip_while(|before| **before != node);
    let cycle: Vec<_> = cycle.chain([&node]).map(name).collect();
    let edge = main.last().and_then(|last| ways.by_node[last.0]);
    let place = edge.map_or(model.nodes[node.0].name.place, |edge| edge.place);
    let message = format!("a run would never end: {}", cycle.join(" -> "));
    problems.error(Code::UnconditionalCycle, place, message);
}
