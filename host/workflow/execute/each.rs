//! Nodes that fan out at run time, one branch for each of many values.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::PartialLimits;
use crate::workflow::execute::branches::Branches;
use crate::workflow::execute::job::{Body, FanOutJob};
use crate::workflow::execute::matrix;
use crate::workflow::execute::path::{Flow, Path};
use crate::workflow::execute::position::At;
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::expression::Scope;
use crate::workflow::json::Json;
use crate::workflow::model::{Each, Items, Merge, Node, Policy, Subgraph, Work};
use crate::workflow::plan::{NodeId, Plan};
use crate::workflow::report::{Failure, chunk_name};
use crate::workflow::state::{PARALLEL_RESULTS, State};

impl Path<'_> {
    /// Runs the body of `each` for each of its values, and puts what they gave into the state.
    ///
    /// # Errors
    /// If there is no list to run it for, or as for other fan-outs.
    pub(crate) fn each(
        &mut self,
        id: NodeId,
        node: &Node,
        each: &Each,
        state: &mut State,
        terms: &Terms,
    ) -> Result<(), Trouble> {
        let name = &node.name.value;
        let scope = self.scope(state);
        let fail = |why: String| {
            let message = format!("{}: {why}", chunk_name(name));
            Trouble::from(Failure::own("ExecutionError", message))
        };
        let items = items(&each.items, &scope).map_err(fail)?;
        let items: Vec<Arc<Value>> = items.into_iter().map(Arc::new).collect();
        let most = most(each, &scope).map_err(fail)?;
        let settings = &self.flow.model.settings.parallel;
        let branch = |index: usize| Arc::from(format!("{name}[{index}]"));
        let (merge, leave) = match &each.items {
            // What the values go by in each branch is no result.
            Items::Dynamic {
                item_var,
                index_var,
                ..
            } => (
                settings.merge.with(&each.together),
                vec![item_var.as_str(), index_var.as_str()],
            ),
            // The entries of these say what they returned, and hold no state.
            Items::Matrix(_) | Items::List(_) => (Merge::default(), Vec::new()),
        };
        let branches = Branches {
            names: (0..items.len()).map(branch).collect(),
            most: most.unwrap_or(usize::MAX),
            fail_fast: each.fail_fast.unwrap_or(settings.fail_fast),
            terms,
            together: &each.together,
            merge,
            leave,
            place: None,
            items: &items,
            job: FanOutJob {
                body: Body::Each(id),
                fan_in: None,
                timeout: each.timeout.or(settings.timeout),
                state: state.clone(),
                keys: self.track.keys.fan_out("each", name),
            },
        };
        let results = self.run_branches(&branches, state, None)?;
        if let Some(output) = &each.output {
            state.set(output.as_str(), results.clone());
        }
        state.set(PARALLEL_RESULTS, results);
        Ok(())
    }

    /// Runs the body of a node that fans out for one of its values, on the path of its branch. The state
    /// becomes that of the branch's entry; the answer is the one that it ended with, where that is another.
    ///
    /// # Errors
    /// Whatever it fails with.
    pub(crate) fn each_item(
        &mut self,
        id: NodeId,
        index: usize,
        item: &Arc<Value>,
        state: &mut State,
    ) -> Result<Option<State>, Trouble> {
        let node = &self.flow.model.nodes[id.0];
        let Work::Each(each) = &node.work else {
            let message = format!("{}: it doesn't fan out", chunk_name(&node.name.value));
            return Err(Failure::own("ExecutionError", message).into());
        };
        enter(&each.items, index, item, state);
        let returned = self.item(id, node, each, state)?;
        Ok(leave(&each.items, index, item, state, returned))
    }

    /// Runs the body for one value, on the path of its branch.
    fn item(
        &mut self,
        id: NodeId,
        node: &Node,
        each: &Each,
        state: &mut State,
    ) -> Result<Option<Json>, Trouble> {
        let terms = self.terms.narrowed(&Policy {
            // The time for the node is that of all its branches together.
            limits: node.policy.limits,
            capabilities: node.policy.capabilities.clone(),
            ..Policy::default()
        });
        let Some((subgraph, plan)) = subgraph(self.flow, id) else {
            let started = Instant::now();
            let result = self.work(Some(id), node, &each.body, state, &terms);
            let error = result.as_ref().err().map(|trouble| &*trouble.failure);
            self.track.record(&node.name.value, 1, error, started);
            return result.map_err(|trouble| trouble.at(&node.name.value, node.place()));
        };
        if let Some(input) = &subgraph.input {
            let scope = self.scope(state);
            let input = input.value.fill(&scope).map_err(|why| {
                let message = format!("{}: `input`: {why}", chunk_name(&node.name.value));
                Trouble::from(Failure::own("ExecutionError", message))
            })?;
            *state = State::from_json(State::as_update(input));
        }
        let input = std::mem::take(state).into_json();
        *state = State::new(&subgraph.model.initial_state, input);
        let inside = &subgraph.model;
        inside.schema.conform(state);
        inside.schema.check(state).map_err(|why| {
            let message = format!("{}: {why}", chunk_name(&node.name.value));
            Trouble::from(Failure::own("SchemaError", message))
        })?;
        // What a workflow says of itself holds for it inside of another, too.
        let limits = &inside.settings.limits;
        self.terms = terms.narrowed(&Policy {
            timeout: limits.wall,
            limits: PartialLimits {
                wall: None,
                ..*limits
            },
            capabilities: inside.settings.capabilities.clone(),
            ..Policy::default()
        });
        self.flow = Flow {
            model: &subgraph.model,
            plan,
        };
        self.follow(At::Start, state)?;
        Ok(None)
    }
}

/// The subgraph in the body of a node, and its plan.
fn subgraph(flow: Flow<'_>, id: NodeId) -> Option<(&Subgraph, &Plan)> {
    let Work::Each(each) = &flow.model.nodes[id.0].work else {
        return None;
    };
    let Work::Subgraph(subgraph) = &each.body else {
        return None;
    };
    Some((subgraph, flow.plan.subgraph(id)?))
}

/// The values to run for.
fn items(items: &Items, scope: &Scope) -> Result<Vec<Value>, String> {
    match items {
        Items::Dynamic { items, .. } => matrix::list("items", items.value.fill(scope)?),
        Items::List(items) => matrix::list("parallel_each", items.value.fill(scope)?),
        Items::Matrix(matrix) => matrix::combinations(matrix, scope),
    }
}

fn most(each: &Each, scope: &Scope) -> Result<Option<usize>, String> {
    let Some(most) = &each.max_concurrency else {
        return Ok(None);
    };
    let value = most.value.fill(scope)?;
    let number = match &value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number.and_then(|number| usize::try_from(number).ok()) {
        Some(number) if number > 0 => Ok(Some(number)),
        _ => Err(format!(
            "how many may run at once must be a whole number of at least 1, not `{value}`"
        )),
    }
}

/// Gives a branch its value.
fn enter(items: &Items, index: usize, item: &Arc<Value>, state: &mut State) {
    let item = Json::Whole(Arc::clone(item));
    match items {
        Items::Dynamic {
            item_var,
            index_var,
            ..
        } => {
            state.set(item_var.as_str(), item);
            state.set(index_var.as_str(), json!(index));
        }
        Items::Matrix(_) => state.set("matrix", item),
        Items::List(_) => {
            state.set("item", item);
            state.set("item_index", json!(index));
        }
    }
}

/// Makes the state that goes into the entry of a branch of the one that it ended with, which is returned
/// where it is another.
fn leave(
    items: &Items,
    index: usize,
    item: &Arc<Value>,
    state: &mut State,
    returned: Option<Json>,
) -> Option<State> {
    let item = Json::Whole(Arc::clone(item));
    let mut entry = State::default();
    match items {
        Items::Dynamic { .. } => return None,
        Items::Matrix(_) => entry.set("matrix", item),
        Items::List(_) => {
            entry.set("item", item);
            entry.set("index", json!(index));
        }
    }
    entry.set("result", returned.unwrap_or_else(|| state.share()));
    Some(std::mem::replace(state, entry))
}
