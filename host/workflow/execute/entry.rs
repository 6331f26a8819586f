//! Entries of `parallel_results`: how each branch went.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::workflow::json::Json;
use crate::workflow::report::{Failure, InstanceReport};
use crate::workflow::state::State;

/// How one branch went.
pub(crate) struct Entry {
    pub(crate) branch: Arc<str>,
    /// The value that it ran for, and which of them that was, if it was made for one.
    pub(crate) item: Option<(Arc<Value>, usize)>,
    pub(crate) result: Result<State, Failed>,
    pub(crate) timing_ms: f64,
    pub(crate) retry_count: u32,
    pub(crate) report: Option<InstanceReport>,
}

/// What a branch left that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// The state that it had reached; `None` if it didn't begin.
    pub(crate) state: Option<State>,
}

impl Entry {
    /// The entry as nodes see it. What the branch was given and left as it was is shared with the
    /// state from before it.
    fn into_json(self, common: &mut Common) -> Json {
        let failed = self.result.as_ref().err();
        let failure = failed.map(|failed| &failed.failure);
        let is_timeout = failure.is_some_and(Failure::is_timeout);
        let state = |state: Option<&State>, common: &mut Common| match state {
            Some(state) => state.share(),
            None => common.value(Value::Null),
        };
        let mut members = vec![
            ("branch", json!(&*self.branch).into()),
            ("success", common.value(json!(failed.is_none()))),
            ("state", state(self.result.as_ref().ok(), common)),
            (
                "error",
                common.value(json!(failure.map(|failure| &failure.message))),
            ),
            (
                "error_type",
                common.value(json!(failure.map(|failure| failure.error_type))),
            ),
            ("timeout", common.value(json!(is_timeout))),
            ("timing_ms", json!(self.timing_ms).into()),
            ("retry_count", common.value(json!(self.retry_count))),
            ("report", json!(self.report).into()),
        ];
        if let Some((item, index)) = self.item {
            members.push(("item", Json::Whole(item)));
            members.push(("index", json!(index).into()));
        }
        if let Some(failed) = failed {
            let value = json!(failed.failure.value);
            members.push(("error_value", common.value(value)));
            members.push(("last_state", state(failed.state.as_ref(), common)));
        }
        let members = members.into_iter();
        Json::object(members.map(|(key, value)| (common.key(key), value)))
    }
}

/// What many entries have in common.
#[derive(Default)]
struct Common {
    keys: HashMap<&'static str, Arc<str>>,
    values: HashMap<Value, Json>,
}

impl Common {
    fn key(&mut self, key: &'static str) -> Arc<str> {
        let known = self.keys.entry(key).or_insert_with(|| key.into());
        Arc::clone(known)
    }

    /// The value, of which there are few.
    fn value(&mut self, value: Value) -> Json {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                let known = self.values.entry(value.clone());
                known.or_insert_with(|| value.into()).clone()
            }
            other => other.into(),
        }
    }
}

/// All of them, as they go into the state.
pub(crate) fn list(entries: impl Iterator<Item = Entry>) -> Json {
    let mut common = Common::default();
    Json::List(entries.map(|entry| entry.into_json(&mut common)).collect())
}
