//! One walk through a finished plan: it must end, and it should come by every node.

use std::collections::HashSet;

use super::super::model::Model;
use super::super::problem::{Code, Problems};
use super::build::EdgeWays;
use super::{Next, NodeId, Plan};

/// Checks that a run of `plan` ends, and warns of nodes that it leaves out or doesn't run where
/// one would expect. `None` if it doesn't end.
pub(super) fn check(
    plan: &Plan,
    ways: &EdgeWays,
    model: &Model,
    problems: &mut Problems,
) -> Option<()> {
    let mut main = Vec::new();
    let mut in_branches = HashSet::new();
    let mut next = plan.start();
    loop {
        let node = match next {
            Next::End => break,
            Next::Node(node) => node,
            Next::FanOut(id) => {
                let fan_out = plan.fan_out(id);
                for first in &fan_out.branches {
                    in_branches.extend(plan.branch(*first, fan_out));
                }
                fan_out.fan_in
            }
        };
        if main.contains(&node) {
            report_cycle(&main, node, ways, model, problems);
            return None;
        }
        main.push(node);
        next = plan.after(node);
    }
    warn(&main, &in_branches, ways, model, problems);
    Some(())
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

fn warn(
    main: &[NodeId],
    in_branches: &HashSet<NodeId>,
    ways: &EdgeWays,
    model: &Model,
    problems: &mut Problems,
) {
    for (index, node) in model.nodes.iter().enumerate() {
        let id = NodeId(index);
        if !main.contains(&id) && !in_branches.contains(&id) {
            let message = format!("no way leads to the node `{}`", node.name.value);
            problems.warning(Code::UnreferencedNode, node.name.place, message);
        }
    }
    for step in main.windows(2) {
        let (before, node) = (step[0], step[1]);
        let by_written_order = ways.by_node[before.0].is_none();
        if by_written_order && in_branches.contains(&node) {
            let before = &model.nodes[before.0].name.value;
            let node = &model.nodes[node.0].name;
            let message = format!(
                "`{0}` runs in a branch, and once more after `{before}`, where it is written",
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
