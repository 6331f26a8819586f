//! A validated model to a plan.

use std::collections::HashMap;

use super::draft::{EdgeWay, EdgeWays, FanOutDraft};
use super::{FanOutId, Next, NodeId, Plan, fan_in, walk};
use crate::workflow::model::{Edge, Model, START, Spanned, Way};
use crate::workflow::problem::{Code, Problems};

/// Makes the plan of a model whose names lead somewhere. `None` if there is none; the reasons
/// are among `problems` then.
pub(in crate::workflow) fn build(model: &Model, problems: &mut Problems) -> Option<Plan> {
    let before = problems.errors();
    let mut reader = EdgeReader {
        ids: ids(model),
        by_origin: by_origin(model),
        fan_outs: Vec::new(),
        problems,
    };
    let start = reader.way_from(None, START);
    let by_node = model.nodes.iter().enumerate();
    let by_node = by_node
        .map(|(index, node)| reader.way_from(Some(NodeId(index)), &node.name.value))
        .collect();
    let ways = EdgeWays { start, by_node };
    let drafts = reader.fan_outs;
    if problems.errors() > before {
        return None;
    }
    let fan_outs: Vec<_> = drafts
        .iter()
        .map(|draft| fan_in::resolve(draft, &ways, model, problems))
        .collect();
    let plan = Plan {
        names: model
            .nodes
            .iter()
            .map(|node| node.name.value.clone())
            .collect(),
        start: ways.start.map_or(Next::Node(NodeId(0)), |way| way.next),
        edges: ways
            .by_node
            .iter()
            .map(|way| way.map(|way| way.next))
            .collect(),
        fan_outs: fan_outs.into_iter().collect::<Option<_>>()?,
    };
    walk::check(&plan, &ways, model, problems)?;
    Some(plan)
}

fn ids(model: &Model) -> HashMap<&str, NodeId> {
    let names = model.nodes.iter().map(|node| &*node.name.value);
    names
        .enumerate()
        .map(|(index, name)| (name, NodeId(index)))
        .collect()
}

fn by_origin(model: &Model) -> HashMap<&str, Vec<&Edge>> {
    let mut edges: HashMap<&str, Vec<&Edge>> = HashMap::new();
    for edge in &model.edges {
        edges.entry(&edge.from.value).or_default().push(edge);
    }
    edges
}

struct EdgeReader<'a> {
    ids: HashMap<&'a str, NodeId>,
    by_origin: HashMap<&'a str, Vec<&'a Edge>>,
    fan_outs: Vec<FanOutDraft>,
    problems: &'a mut Problems,
}

impl<'a> EdgeReader<'a> {
    /// The way that the edges from `name` say, if there are any.
    fn way_from(&mut self, origin: Option<NodeId>, name: &str) -> Option<EdgeWay> {
        let edges = self.by_origin.get(name)?.clone();
        let (first, more) = edges.split_first()?;
        let next = match &first.way {
            Way::To(to) => {
                self.refuse_more(to, more);
                self.target(&to.value)
            }
            Way::Parallel { .. } => Next::FanOut(self.fan_out(origin, first, &edges)),
        };
        let place = first.place;
        Some(EdgeWay { next, place })
    }

    fn target(&self, name: &str) -> Next {
        match self.ids.get(name) {
            Some(node) => Next::Node(*node),
            // `__end__`: all other names have been found to be nodes.
            None => Next::End,
        }
    }

    /// Reports every edge that leads away from a node that already has an edge to `to`.
    fn refuse_more(&mut self, to: &Spanned<String>, more: &[&Edge]) {
        for edge in more {
            let from = &edge.from.value;
            match &edge.way {
                Way::To(other) if other.value == to.value => {
                    let message = format!("the edge from `{from}` to `{}` again", to.value);
                    self.problems.error(Code::InvalidEdge, edge.place, message);
                }
                Way::To(other) => {
                    let (to, other) = (&to.value, &other.value);
                    let message = format!("a second edge from `{from}` is not supported yet");
                    self.problems
                        .error(Code::NotSupported, edge.place, message)
                        .with_hint(format!(
                            "to run both in parallel, write `parallel: [{to}, {other}]`"
                        ));
                }
                Way::Parallel { .. } => self.refuse_mixture(edge),
            }
        }
    }

    fn refuse_mixture(&mut self, edge: &Edge) {
        let from = &edge.from.value;
        let message = format!("`{from}` has edges that are parallel and edges that are not");
        self.problems.error(Code::InvalidEdge, edge.place, message);
    }

    /// Puts the parallel edges of one node together.
    fn fan_out(&mut self, origin: Option<NodeId>, first: &Edge, edges: &[&'a Edge]) -> FanOutId {
        let mut draft = FanOutDraft {
            origin,
            place: first.place,
            branches: Vec::new(),
            named: None,
        };
        for edge in edges {
            match &edge.way {
                Way::To(_) => self.refuse_mixture(edge),
                Way::Parallel { branches, fan_in } => {
                    for branch in branches {
                        self.add_branch(&mut draft, branch);
                    }
                    if let Some(fan_in) = fan_in {
                        self.name_fan_in(&mut draft, fan_in);
                    }
                }
            }
        }
        self.fan_outs.push(draft);
        FanOutId(self.fan_outs.len() - 1)
    }

    fn add_branch(&mut self, draft: &mut FanOutDraft, branch: &Spanned<String>) {
        let Some(id) = self.ids.get(branch.value.as_str()).copied() else {
            return;
        };
        if draft.branches.contains(&id) {
            let message = format!("there is a branch `{}` already", branch.value);
            self.problems
                .error(Code::InvalidEdge, branch.place, message);
        } else {
            draft.branches.push(id);
        }
    }

    fn name_fan_in(&mut self, draft: &mut FanOutDraft, fan_in: &Spanned<String>) {
        let id = self.ids.get(fan_in.value.as_str()).copied();
        if draft.named.is_some() && draft.named != id {
            let message = "the branches of one fan-out have one fan-in; an edge before this \
                           one names another";
            self.problems
                .error(Code::InvalidEdge, fan_in.place, message);
        } else {
            draft.named = id;
        }
    }
}
