//! What an expression sees: `state`, `variables`, where they are granted `secrets` and `env`, and
//! the state's own keys by their names.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value};
use serde_json::Map;

use crate::workflow::json::{self, Json};
use crate::workflow::outside::{Origin, Outside};
use crate::workflow::state::State;

/// The names that an expression may use.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    state: Arc<View>,
    variables: Arc<Variables>,
    outside: Option<Arc<Outside>>,
}

impl Scope {
    /// The names of `state`, as it is now, and `variables`.
    pub(crate) fn new(state: &State, variables: &Arc<Map<String, serde_json::Value>>) -> Scope {
        let view = View {
            state: state.clone(),
            converted: Mutex::default(),
        };
        Scope {
            state: Arc::new(view),
            variables: Arc::new(Variables {
                json: Arc::clone(variables),
                converted: OnceLock::new(),
            }),
            outside: None,
        }
    }

    /// These, and secrets and environment variables.
    pub(crate) fn with_outside(self, outside: &Arc<Outside>) -> Scope {
        Scope {
            outside: Some(Arc::clone(outside)),
            ..self
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
            "variables" => Some(self.variables.get()),
            other => match (Origin::named(other), &self.outside) {
                (Some(origin), Some(outside)) => Some(Value::from(outside.of(origin).clone())),
                _ => self.state.get(other),
            },
        }
    }
}

/// The variables, converted once if any of them is asked for.
#[derive(Debug)]
struct Variables {
    json: Arc<Map<String, serde_json::Value>>,
    converted: OnceLock<Value>,
}

impl Variables {
    fn get(&self) -> Value {
        let convert = || Value::from(Serde(&*self.json));
        self.converted.get_or_init(convert).clone()
    }
}

/// The state as a mapping. Only the keys that are asked for are converted, and each of them once,
/// however often an expression names it.
struct View {
    state: State,
    converted: Mutex<HashMap<String, Value>>,
}

impl View {
    fn get(&self, key: &str) -> Option<Value> {
        let mut converted = self
            .converted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = converted.get(key) {
            return Some(value.clone());
        }
        let value = convert(self.state.get(key)?);
        converted.insert(key.to_owned(), value.clone());
        Some(value)
    }
}

/// A value for expressions. What is there in parts is converted part by part, as it is asked for.
fn convert(json: &Json) -> Value {
    match json {
        Json::Whole(value) => Value::from(Serde(&**value)),
        Json::List(items) => Value::from_object(Items(Arc::clone(items))),
        Json::Object(members) => Value::from_object(Members(Arc::clone(members))),
    }
}

#[derive(Debug)]
struct Items(Arc<[Json]>);

impl Object for Items {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).map(convert)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

#[derive(Debug)]
struct Members(Arc<json::Object>);

impl Object for Members {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).map(convert)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|key| Value::from(&**key)).collect())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

impl Object for View {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.state.keys().map(Value::from).collect())
    }
}
