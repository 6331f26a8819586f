//! The shape of a workflow as plain data: for programs that draw it.

use std::collections::HashSet;

use serde::Serialize;

use crate::workflow::definition::Workflow;
use crate::workflow::model::{END, Items, Node, START, Work};
use crate::workflow::plan::{Exits, Graph, Leads, Next, NodeId, Plan, Walk};

/// Steps that may be taken to find which nodes lead to the fan-in of which fan-outs: the same node
/// may lead to that of each.
const MAX_STEPS: u64 = 1_000_000;

/// The shape of a workflow: its nodes, and the ways between them.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outline {
    /// The name of the workflow, if it has one.
    pub name: Option<String>,
    /// What it says about itself.
    pub description: Option<String>,
    /// Its nodes, in the written order.
    pub nodes: Vec<OutlineNode>,
    /// The ways between them, in the order they are tried in.
    pub ways: Vec<OutlineWay>,
    /// Whether these are all of them. Some hundred thousand are listed at the most.
    pub complete: bool,
}

/// A node of a workflow.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct OutlineNode {
    /// Its name.
    pub name: String,
    /// What the file says about it.
    pub description: Option<String>,
    /// What it does, in one word: `lua`, `expression`, `call`, `steps`, `while_loop`, `dynamic_parallel`,
    /// `matrix`, `parallel_each`, `nothing`.
    pub kind: &'static str,
    /// The line it is written on.
    pub line: usize,
    /// Whether it runs in a branch.
    pub in_branch: bool,
    /// What it does in more words, where there are any: a function, a condition, a list.
    pub detail: Option<String>,
}

/// A way from one node to another; `__start__` and `__end__` are the ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct OutlineWay {
    /// Where it comes from.
    pub from: String,
    /// Where it leads.
    pub to: String,
    /// What kind of way it is.
    pub kind: WayKind,
    /// What has to hold for it to be taken.
    pub condition: Option<String>,
}

/// A kind of way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WayKind {
    /// Said by `goto` or an edge.
    Way,
    /// The written order.
    Next,
    /// Into a branch.
    Branch,
    /// Out of a branch, or past the branches, to the fan-in.
    FanIn,
    /// On failure.
    Fallback,
}

impl Workflow {
    /// The shape of the workflow.
    pub fn outline(&self) -> Outline {
        let plan = &self.plan;
        let node = |(index, node): (usize, &Node)| {
            let (kind, detail) = describe(&node.work);
            OutlineNode {
                name: node.name.value.to_string(),
                description: node.description.clone(),
                kind,
                line: node.name.place.line,
                in_branch: plan.is_in_branch(NodeId(index)),
                detail,
            }
        };
        let (ways, complete) = ways(plan);
        Outline {
            name: self.model.name.clone(),
            description: self.model.description.clone(),
            nodes: self.model.nodes.iter().enumerate().map(node).collect(),
            ways,
            complete,
        }
    }
}

fn describe(work: &Work) -> (&'static str, Option<String>) {
    match work {
        Work::Nothing => ("nothing", None),
        Work::Lua(_) => ("lua", None),
        Work::Expression(expression) => {
            let value = expression.value.value.source();
            (
                "expression",
                Some(format!("{} = {value}", expression.output)),
            )
        }
        Work::Call(call) => ("call", Some(call.function.value.clone())),
        Work::Steps(steps) => ("steps", Some(names(steps))),
        Work::Subgraph(_) => ("subgraph", None),
        Work::Loop(repeated) => {
            let condition = repeated.condition.value.source();
            let most = repeated.max_iterations;
            let body = names(&repeated.body);
            let detail = format!("while {condition}, at most {most} times: {body}");
            ("while_loop", Some(detail))
        }
        Work::Each(each) => {
            let body = describe(&each.body).0;
            match &each.items {
                Items::Dynamic {
                    items, item_var, ..
                } => {
                    let items = items.value.source();
                    let detail = format!("{body} for each {item_var} of {items}");
                    ("dynamic_parallel", Some(detail))
                }
                Items::List(items) => {
                    let detail = format!("{body} for each item of {}", items.value.source());
                    ("parallel_each", Some(detail))
                }
                Items::Matrix(matrix) => {
                    let axes = matrix.axes.iter();
                    let axes: Vec<_> = axes.map(|(axis, _)| axis.as_str()).collect();
                    let detail = format!("{body} for each combination of {}", axes.join(", "));
                    ("matrix", Some(detail))
                }
            }
        }
    }
}

fn names(nodes: &[Node]) -> String {
    let names: Vec<_> = nodes.iter().map(|node| &*node.name.value).collect();
    names.join(", ")
}

/// All ways, each once, and whether these are all.
fn ways(plan: &Plan) -> (Vec<OutlineWay>, bool) {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    let mut add = |way: OutlineWay| {
        if known.insert(way.clone()) {
            found.push(way);
        }
    };
    let nodes = std::iter::once(None).chain(plan.nodes().map(Some));
    for node in nodes {
        let (from, exits) = match node {
            None => (START, plan.start()),
            Some(node) => (plan.name(node), plan.exits(node)),
        };
        of_exits(plan, from, exits, &mut add);
        let is_on_main = node.is_none_or(|node| plan.is_on_main(node));
        if is_on_main && exits.falls_through() {
            add(way(
                plan,
                from,
                plan.written_next(node),
                WayKind::Next,
                None,
            ));
        }
    }
    let fan_ins = plan.fan_ins();
    let graph = Graph::new(plan, &fan_ins);
    let mut walk = Walk::with_steps(MAX_STEPS);
    walk.enter(plan.names.len());
    for fan_out in plan.fan_outs() {
        let fan_in = Next::Node(fan_out.fan_in);
        for node in graph.inside(fan_out, &mut walk) {
            if plan.exits(node).falls_through() {
                let to = plan.exits(node).fan_in.map_or(fan_in, Next::Node);
                add(way(plan, plan.name(node), to, WayKind::FanIn, None));
            }
        }
    }
    (found, !walk.is_spent())
}

fn of_exits(plan: &Plan, from: &str, exits: &Exits, add: &mut impl FnMut(OutlineWay)) {
    for one in &exits.ways {
        let condition = one.condition.as_ref().map(|it| it.source().to_owned());
        match &one.leads {
            Leads::To(Next::FanOut(id)) => {
                for branch in &plan.fan_out(*id).branches {
                    let next = Next::Node(*branch);
                    add(way(plan, from, next, WayKind::Branch, condition.clone()));
                }
            }
            Leads::To(next) => add(way(plan, from, *next, WayKind::Way, condition)),
            Leads::Targets(targets) => {
                for (result, next) in targets {
                    let condition = condition.clone().unwrap_or_default();
                    let condition = Some(format!("{condition} is \"{result}\""));
                    add(way(plan, from, *next, WayKind::Way, condition));
                }
            }
        }
    }
    if let Some(fallback) = exits.fallback {
        add(way(plan, from, fallback, WayKind::Fallback, None));
    }
}

fn way(
    plan: &Plan,
    from: &str,
    next: Next,
    kind: WayKind,
    condition: Option<String>,
) -> OutlineWay {
    let to = match next {
        Next::Node(node) => plan.name(node),
        Next::FanOut(id) => plan.name(plan.fan_out(id).fan_in),
        Next::End => END,
    };
    OutlineWay {
        from: from.to_owned(),
        to: to.to_owned(),
        kind,
        condition,
    }
}
