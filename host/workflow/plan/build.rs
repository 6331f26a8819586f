//! A validated model to a plan.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::fan_in::FanOutDraft;
use super::graph::Walk;
use super::ways::{Exits, FanOut, FanOutId, Leads, Next, NodeId, Plan, Way};
use super::{check, fan_in};
use crate::diagnostics::{Code, Problems};
use crate::workflow::model::{self, END, Edge, Model, Node, START, Spanned, Together, Work};

/// Makes the plan of a model whose names lead somewhere. `None` if there is none; the reasons
/// are among `problems` then.
pub(crate) fn build(model: &Model, problems: &mut Problems) -> Option<Plan> {
    let mut builder = Builder {
        walk: Walk::new(),
        subgraphs: HashMap::new(),
    };
    let plan = builder.plan(model, problems);
    if builder.walk.is_spent() {
        let message = "this workflow has too many fan-outs over the same nodes to be planned";
        problems
            .error(Code::TooManyWays, None, message)
            .with_hint("name the fan-ins (`fan_in: <node>`), or put parts of it into subgraphs");
        return None;
    }
    plan
}

/// Makes plans, one for each model.
struct Builder {
    walk: Walk,
    /// Plans of subgraphs, by where their models are: a file that is used many times over is
    /// planned once.
    subgraphs: HashMap<*const Model, Option<Arc<Plan>>>,
}

impl Builder {
    fn plan(&mut self, model: &Model, problems: &mut Problems) -> Option<Plan> {
        let before = problems.errors();
        let mut reader = Reader {
            ids: ids(model),
            by_origin: by_origin(model),
            fan_outs: Vec::new(),
            problems,
        };
        let start = Exits {
            ways: reader.edges(None, START),
            ..Exits::default()
        };
        let nodes = model.nodes.iter().enumerate();
        let exits: Vec<_> = nodes
            .map(|(index, node)| reader.exits(NodeId(index), node))
            .collect();
        reader.check_until();
        let drafts = reader.fan_outs;
        if problems.errors() > before {
            return None;
        }
        self.walk.enter(model.nodes.len());
        let fan_ins = fan_in::resolve(&drafts, &exits, model, &mut self.walk, problems);
        let mut subgraphs = BTreeMap::new();
        let mut sound = true;
        for (index, node) in model.nodes.iter().enumerate() {
            if let Work::Each(each) = &node.work
                && let Work::Subgraph(subgraph) = &each.body
            {
                match self.subgraph(&subgraph.model, problems) {
                    Some(plan) => drop(subgraphs.insert(NodeId(index), plan)),
                    None => sound = false,
                }
            }
        }
        let fan_outs: Option<Vec<_>> = drafts
            .into_iter()
            .zip(fan_ins)
            .map(|(draft, fan_in)| {
                Some(FanOut {
                    place: draft.place,
                    branches: draft.branches,
                    fan_in: fan_in?,
                    together: draft.together,
                })
            })
            .collect();
        let mut plan = Plan {
            names: model
                .nodes
                .iter()
                .map(|node| node.name.value.clone())
                .collect(),
            start,
            exits,
            fan_outs: fan_outs?,
            subgraphs,
            depth: 0,
            is_dynamic: model
                .nodes
                .iter()
                .any(|node| matches!(node.work, Work::Each(_))),
            on_main: HashSet::new(),
            in_branches: HashSet::new(),
        };
        let checked = check::check(&plan, model, &mut self.walk, problems);
        plan.on_main = checked.on_main;
        plan.in_branches = checked.in_branches;
        plan.depth = check::depth(&plan, model, &mut self.walk);
        (sound && problems.errors() == before).then_some(plan)
    }

    /// The plan of a subgraph. What is wrong with one is said once.
    fn subgraph(&mut self, model: &Arc<Model>, problems: &mut Problems) -> Option<Arc<Plan>> {
        let key = Arc::as_ptr(model);
        if let Some(known) = self.subgraphs.get(&key) {
            return known.clone();
        }
        let plan = self.plan(model, problems).map(Arc::new);
        self.subgraphs.insert(key, plan.clone());
        plan
    }
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

struct Reader<'a> {
    ids: HashMap<&'a str, NodeId>,
    by_origin: HashMap<&'a str, Vec<&'a Edge>>,
    fan_outs: Vec<FanOutDraft>,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    /// All ways out of a node: `goto` first, then the edges.
    fn exits(&mut self, id: NodeId, node: &Node) -> Exits {
        let rules = node.goto.iter().map(|rule| Way {
            place: rule.place,
            condition: rule.condition.clone(),
            leads: Leads::To(self.target(&rule.to.value)),
        });
        let mut ways: Vec<_> = rules.collect();
        if ways.last().is_some_and(|way| way.condition.is_none()) {
            self.warn_of_edges(&node.name.value);
        } else {
            ways.extend(self.edges(Some(id), &node.name.value));
        }
        let fan_in = match &node.work {
            Work::Each(each) => each.fan_in.as_ref(),
            _ => None,
        };
        Exits {
            ways,
            fallback: node.fallback().map(|to| self.target(&to.value)),
            fan_in: fan_in.and_then(|name| self.ids.get(name.value.as_str()).copied()),
        }
    }

    /// Warns of edges that no run takes, as `goto` always leads elsewhere.
    fn warn_of_edges(&mut self, name: &str) {
        if let Some(edge) = self.by_origin.get(name).and_then(|edges| edges.first()) {
            let message = format!("no run takes an edge from `{name}`: its `goto` comes first");
            self.problems
                .warning(Code::EdgeNeverTaken, edge.place, message);
        }
    }

    /// The ways that the edges from `name` say: those with conditions as they are written, and
    /// after them those without.
    fn edges(&mut self, origin: Option<NodeId>, name: &str) -> Vec<Way> {
        let edges = self.by_origin.get(name).cloned().unwrap_or_default();
        let (conditional, plain): (Vec<_>, Vec<_>) =
            edges.into_iter().partition(|edge| edge.condition.is_some());
        let mut ways = self.conditional(origin, &conditional);
        ways.extend(self.plain(origin, &plain));
        ways
    }

    fn conditional(&mut self, origin: Option<NodeId>, edges: &[&'a Edge]) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        // Parallel edges under the same condition are branches of one fan-out.
        let mut by_condition: HashMap<&str, FanOutId> = HashMap::new();
        for edge in edges {
            let source = edge.condition.as_ref().map_or("", |it| it.source());
            let leads = match &edge.way {
                model::Way::To(to) => Leads::To(self.target(&to.value)),
                model::Way::Targets(targets) => {
                    let target = |(result, to): &(String, Spanned<String>)| {
                        (result.clone(), self.target(&to.value))
                    };
                    Leads::Targets(targets.iter().map(target).collect())
                }
                model::Way::Parallel {
                    branches,
                    fan_in,
                    together,
                } => {
                    if let Some(id) = by_condition.get(source) {
                        self.extend(*id, branches, fan_in.as_ref(), together);
                        continue;
                    }
                    let id = self.new_fan_out(origin, edge);
                    self.extend(id, branches, fan_in.as_ref(), together);
                    by_condition.insert(source, id);
                    Leads::To(Next::FanOut(id))
                }
            };
            ways.push(Way {
                place: edge.place,
                condition: edge.condition.clone(),
                leads,
            });
        }
        ways
    }

    /// The one way that edges without conditions are: to a node, or to a fan-out.
    fn plain(&mut self, origin: Option<NodeId>, edges: &[&'a Edge]) -> Option<Way> {
        let (first, more) = edges.split_first()?;
        let way = |next| Way {
            place: first.place,
            condition: None,
            leads: Leads::To(next),
        };
        if more.is_empty()
            && let model::Way::To(to) = &first.way
        {
            return Some(way(self.target(&to.value)));
        }
        let before = self.problems.errors();
        let is_parallel = matches!(first.way, model::Way::Parallel { .. });
        let id = self.new_fan_out(origin, first);
        for edge in edges {
            match &edge.way {
                model::Way::Parallel {
                    branches,
                    fan_in,
                    together,
                } if is_parallel => {
                    self.extend(id, branches, fan_in.as_ref(), together);
                }
                model::Way::To(to) if !is_parallel => self.several(id, edge, to),
                _ => {
                    let from = &edge.from.value;
                    let message =
                        format!("`{from}` has edges that are parallel and edges that are not");
                    self.problems.error(Code::InvalidEdge, edge.place, message);
                }
            }
        }
        (self.problems.errors() == before).then(|| way(Next::FanOut(id)))
    }

    /// Adds one of several plain edges, which are branches together.
    fn several(&mut self, id: FanOutId, edge: &Edge, to: &Spanned<String>) {
        let from = &edge.from.value;
        let known = self.ids.get(to.value.as_str()).copied();
        if to.value == END {
            let message = format!(
                "several edges from `{from}` without conditions are branches, and none can \
                 start at `{END}`"
            );
            self.problems
                .error(Code::InvalidEdge, edge.place, message)
                .with_hint("give the others a condition: `when`");
        } else if known.is_some_and(|known| !self.fan_outs[id.0].add(known)) {
            let message = format!("the edge from `{from}` to `{}` again", to.value);
            self.problems.error(Code::InvalidEdge, edge.place, message);
        }
    }

    fn target(&self, name: &str) -> Next {
        match self.ids.get(name) {
            Some(node) => Next::Node(*node),
            // `__end__`: all other names have been found to be nodes.
            None => Next::End,
        }
    }

    fn new_fan_out(&mut self, origin: Option<NodeId>, first: &Edge) -> FanOutId {
        self.fan_outs.push(FanOutDraft {
            origin,
            place: first.place,
            branches: Vec::new(),
            known: HashSet::new(),
            named: None,
            together: Together::default(),
        });
        FanOutId(self.fan_outs.len() - 1)
    }

    /// Adds what an edge says of all branches of its fan-out: the edges of one don't contradict
    /// each other.
    fn agree(&mut self, id: FanOutId, together: &Together) {
        let draft = &mut self.fan_outs[id.0];
        let (known, place) = (&mut draft.together, draft.place);
        let sides = [
            (&mut known.merge, &together.merge),
            (&mut known.reduce, &together.reduce),
        ];
        for (known, said) in sides {
            for (key, reducer) in said {
                let before = *known.entry(key.clone()).or_insert(*reducer);
                if before != *reducer {
                    let message = format!(
                        "the reducer of `{key}` is `{}` here, and `{}` on another edge of the \
                         same fan-out",
                        reducer.word(),
                        before.word()
                    );
                    self.problems.error(Code::InvalidEdge, place, message);
                    return;
                }
            }
        }
        if let Some(key) = known.key_of_both() {
            let message = format!(
                "`{key}` has a reducer in `merge` and in `reduce` of the same fan-out: it is one \
                 of them"
            );
            self.problems.error(Code::InvalidEdge, place, message);
        }
        let other = |what: &str| {
            format!("`{what}` says something else on another edge of the same fan-out")
        };
        if let Some(until) = &together.until {
            match &known.until {
                Some(before) if before.value != until.value => {
                    self.problems
                        .error(Code::InvalidEdge, until.place, other("until"));
                }
                _ => known.until = Some(until.clone()),
            }
        }
        if let Some(collect) = &together.collect {
            match &known.collect {
                Some(before) if before.value != collect.value => {
                    self.problems
                        .error(Code::InvalidEdge, collect.place, other("collect"));
                }
                _ => known.collect = Some(collect.clone()),
            }
        }
    }

    /// Reports races that no branches could end.
    fn check_until(&mut self) {
        for draft in &self.fan_outs {
            let branches = draft.branches.len();
            if let Some(until) = &draft.together.until
                && until.value.get() > branches
            {
                let message = format!(
                    "`until: {}`, and there are {branches} branches",
                    until.value
                );
                self.problems.error(Code::InvalidEdge, until.place, message);
            }
        }
    }

    fn extend(
        &mut self,
        id: FanOutId,
        branches: &[Spanned<String>],
        fan_in: Option<&Spanned<String>>,
        together: &Together,
    ) {
        self.agree(id, together);
        for branch in branches {
            let Some(node) = self.ids.get(branch.value.as_str()).copied() else {
                continue;
            };
            if !self.fan_outs[id.0].add(node) {
                let message = format!("there is a branch `{}` already", branch.value);
                self.problems
                    .error(Code::InvalidEdge, branch.place, message);
            }
        }
        let Some(fan_in) = fan_in else { return };
        let node = self.ids.get(fan_in.value.as_str()).copied();
        let draft = &mut self.fan_outs[id.0];
        if draft.named.is_some() && draft.named != node {
            let message = "the branches of one fan-out have one fan-in; an edge before this \
                           one names another";
            self.problems
                .error(Code::InvalidEdge, fan_in.place, message);
        } else {
            draft.named = node;
        }
    }
}
