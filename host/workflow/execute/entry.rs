//! Entries of `parallel_results`: how each branch went.

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
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// The state that it had reached; `None` if it didn't begin.
    pub(crate) state: Option<State>,
}

impl Entry {
    /// The entry as nodes see it. What the branch was given and left as it was is shared with the
    /// state from before it.
    fn into_json(self) -> Json {
        let failed = self.result.as_ref().err();
        let failure = failed.map(|failed| &failed.failure);
        let whole = |value: Value| Json::from(value);
        let shared = |state: Option<&State>| state.map_or_else(|| Value::Null.into(), State::share);
        let mut members = vec![
            ("branch", whole(json!(&*self.branch))),
            ("success", whole(json!(failed.is_none()))),
            ("state", shared(self.result.as_ref().ok())),
            (
                "error",
                whole(json!(failure.map(|failure| &failure.message))),
            ),
            (
                "error_type",
                whole(json!(failure.map(|failure| failure.error_type))),
            ),
            (
                "timeout",
                whole(json!(failure.is_some_and(Failure::is_timeout))),
            ),
            ("timing_ms", whole(json!(self.timing_ms))),
            ("retry_count", whole(json!(self.retry_count))),
            ("report", whole(json!(self.report))),
        ];
        if let Some((item, index)) = self.item {
            members.push(("item", Json::Whole(item)));
            members.push(("index", whole(json!(index))));
        }
        if let Some(failed) = failed {
            members.push(("error_value", whole(json!(failed.failure.value))));
            members.push(("last_state", shared(failed.state.as_ref())));
        }
        Json::object(members.into_iter().map(|(key, value)| (key.into(), value)))
    }
}

/// All of them, as they go into the state.
pub(crate) fn list(entries: Vec<Entry>) -> Json {
    Json::List(entries.into_iter().map(Entry::into_json).collect())
}
