//! The Lua that the branches of a fan-out run, for their instances to hold from the start.

use crate::Chunk;
use crate::workflow::execute::job::{Body, FanOutJob};
use crate::workflow::execute::path::Flow;
use crate::workflow::execute::track::named;
#[cfg(feature = "compile")]
use crate::workflow::model::Model;
use crate::workflow::model::{Node, Work};
#[cfg(feature = "compile")]
use crate::workflow::parts;
use crate::workflow::report::chunk_name;

/// Chunks that are held: what comes behind these is loaded by each branch.
const MOST: usize = 64;

/// The chunks of the nodes that branches with this job may come to. Those of workflows inside of them aren't
/// among them.
pub(crate) fn lua_of_branches<'r>(flow: Flow<'r>, job: &FanOutJob) -> Vec<Chunk<'r>> {
    let mut chunks = Vec::new();
    if let Body::Each(id) = job.body {
        let node = &flow.model.nodes[id.0];
        if let Work::Each(each) = &node.work {
            add(node, &each.body, &mut chunks);
        }
        return chunks;
    }
    for id in flow.plan.nodes().filter(|id| flow.plan.is_in_branch(*id)) {
        let node = &flow.model.nodes[id.0];
        add(node, &node.work, &mut chunks);
    }
    chunks
}

/// The chunks of all nodes of a workflow, with those of the workflows in it.
#[cfg(feature = "compile")]
pub(crate) fn lua_of_nodes(model: &Model) -> Vec<Chunk<'_>> {
    let parts = parts::of(model);
    let nodes = parts.into_iter().flat_map(|part| part.nodes);
    let chunks = nodes.filter_map(|inside| {
        let node = inside.node;
        match inside.work() {
            Work::Lua(code) => Some(named(code, &chunk_name(&node.name.value))),
            _ => None,
        }
    });
    chunks.collect()
}

fn add<'r>(node: &'r Node, work: &'r Work, chunks: &mut Vec<Chunk<'r>>) {
    let steps = match work {
        Work::Lua(code) if chunks.len() < MOST => {
            chunks.push(named(code, &chunk_name(&node.name.value)));
            return;
        }
        Work::Steps(steps) => steps,
        Work::Loop(repeated) => &repeated.body,
        // What these run for each value runs in branches of their own.
        Work::Lua(_)
        | Work::Nothing
        | Work::Expression(_)
        | Work::Call(_)
        | Work::Each(_)
        | Work::Subgraph(_) => return,
    };
    for step in steps {
        add(step, &step.work, chunks);
    }
}
