//! A workflow, taken apart for those who look at all of it.

use std::collections::HashSet;

use crate::workflow::model::{Each, Model, Node, Policy, Work};

/// A workflow or a subgraph, and its nodes, those inside of others with them.
pub(crate) struct Part<'m> {
    pub(crate) model: &'m Model,
    pub(crate) nodes: Vec<Inside<'m>>,
}

/// A node, and what those around it say of what it may use: outermost first, itself last.
pub(crate) struct Inside<'m> {
    pub(crate) node: &'m Node,
    pub(crate) policies: Vec<&'m Policy>,
}

impl<'m> Inside<'m> {
    /// What the node does itself, or for each of many values.
    pub(crate) fn work(&self) -> &'m Work {
        match &self.node.work {
            Work::Each(each) => &each.body,
            work => work,
        }
    }
}

/// A workflow and the subgraphs in it. One that several nodes share is there once.
pub(crate) fn of(model: &Model) -> Vec<Part<'_>> {
    let mut parts = Parts::default();
    parts.model(model, &mut Vec::new());
    parts.found
}

#[derive(Default)]
struct Parts<'m> {
    seen: HashSet<*const Model>,
    found: Vec<Part<'m>>,
}

impl<'m> Parts<'m> {
    fn model(&mut self, model: &'m Model, around: &mut Vec<&'m Policy>) {
        if !self.seen.insert(std::ptr::from_ref(model)) {
            return;
        }
        let mut nodes = Vec::new();
        let at = self.found.len();
        self.found.push(Part {
            model,
            nodes: Vec::new(),
        });
        self.nodes(&model.nodes, around, &mut nodes);
        self.found[at].nodes = nodes;
    }

    fn nodes(
        &mut self,
        nodes: &'m [Node],
        around: &mut Vec<&'m Policy>,
        found: &mut Vec<Inside<'m>>,
    ) {
        for node in nodes {
            around.push(&node.policy);
            found.push(Inside {
                node,
                policies: around.clone(),
            });
            match &node.work {
                Work::Steps(steps) => self.nodes(steps, around, found),
                Work::Loop(repeated) => self.nodes(&repeated.body, around, found),
                Work::Each(each) => self.each(each, around, found),
                _ => {}
            }
            around.pop();
        }
    }

    fn each(&mut self, each: &'m Each, around: &mut Vec<&'m Policy>, found: &mut Vec<Inside<'m>>) {
        match &each.body {
            Work::Steps(steps) => self.nodes(steps, around, found),
            Work::Subgraph(subgraph) => self.model(&subgraph.model, around),
            _ => {}
        }
    }
}
