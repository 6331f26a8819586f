//! What an expression sees: `state`, `variables`, and the state's own keys by their names.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde, Value};
use serde_json::Map;

use crate::workflow::execute::state::State;

/// The names that an expression may use.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    state: Arc<View>,
    variables: Arc<Map<String, serde_json::Value>>,
}

impl Scope {
    /// The names of `state`, as it is now, and `variables`.
    pub(crate) fn new(state: &State, variables: &Arc<Map<String, serde_json::Value>>) -> Scope {
        Scope {
            state: Arc::new(View(state.clone())),
            variables: Arc::clone(variables),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::from_object(self.clone())
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "state" => Some(Value::from_dyn_object(Arc::clone(&self.state))),
            "variables" => Some(Value::from(Serde(&*self.variables))),
            own => self.state.0.get(own).map(to_value),
        }
    }
}

/// The state as a mapping. Only the keys that are asked for are converted.
struct View(State);

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Object for View {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).map(to_value)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(Value::from).collect())
    }
}

fn to_value(json: &serde_json::Value) -> Value {
    Value::from(Serde(json))
}
