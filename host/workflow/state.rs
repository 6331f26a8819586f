//! The state of a run: what nodes see, and what they change by returning.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::codec::large_integers_of;
use crate::workflow::json::{Json, Object};

/// The key under which a node's result goes that is not a table with string keys.
pub(crate) const RESULT: &str = "result";

/// The key under which a fan-in finds what the branches gave.
pub(crate) const PARALLEL_RESULTS: &str = "parallel_results";

/// Bytes that a result may take more than what is in it, because it has the same several times.
const MAX_EXCESS: u64 = 64_000_000;

/// The same without what entries of `parallel_results` share.
const MAX_LEFT: u64 = 512_000_000;

/// A JSON object that is cheap to copy: copies share the values under its keys, however large,
/// until one of them replaces a key. A branch starts on such a copy.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State(Arc<Object>);

impl State {
    /// The state before anything ran: `initial`, overlaid with `input` key by key.
    pub(crate) fn new(initial: &Map<String, Value>, input: Map<String, Value>) -> Self {
        let initial = initial.iter().filter(|(key, _)| !input.contains_key(*key));
        let initial = initial.map(|(key, value)| (key.as_str().into(), value.clone().into()));
        let mut state = State(Arc::new(initial.collect()));
        state.merge(input);
        state
    }

    /// What a node returned, as keys to replace.
    pub(crate) fn as_update(returned: Value) -> Map<String, Value> {
        match returned {
            Value::Null => Map::new(),
            Value::Object(update) => update,
            scalar_or_array => Map::from_iter([(RESULT.to_owned(), scalar_or_array)]),
        }
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        self.0.get(key)
    }

    /// Whether both have the same value under a key because neither has replaced it since one
    /// was copied from the other.
    pub(crate) fn shares(&self, key: &str, other: &State) -> bool {
        match (self.0.get(key), other.0.get(key)) {
            (Some(value), Some(other)) => value.is_same(other),
            _ => false,
        }
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &str) {
        Arc::make_mut(&mut self.0).remove(key);
    }

    /// All keys, sorted.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|key| &**key)
    }

    /// All keys with their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Json)> {
        self.0.iter()
    }

    /// Sets one key.
    pub(crate) fn set(&mut self, key: impl Into<Arc<str>>, value: impl Into<Json>) {
        Arc::make_mut(&mut self.0).insert(key.into(), value.into());
    }

    /// A shallow merge: each key replaces the old value. One that has the same value stays what it
    /// is, so that it is shared still with those who share it.
    pub(crate) fn merge(&mut self, update: Map<String, Value>) {
        let update = update
            .into_iter()
            .map(|(key, value)| (key, Json::from(value)));
        self.replace(update.collect());
    }

    /// The same with values that may be shared.
    pub(crate) fn replace(&mut self, update: Vec<(String, Json)>) {
        let is_new = |(key, value): &(String, Json)| self.0.get(key.as_str()) != Some(value);
        let new: Vec<_> = update.into_iter().filter(is_new).collect();
        if !new.is_empty() {
            let new = new.into_iter().map(|(key, value)| (key.into(), value));
            Arc::make_mut(&mut self.0).extend(new);
        }
    }

    /// What is said of each integer in it that Lua can't hold.
    pub(crate) fn large_integers(&self) -> Vec<String> {
        let entries = self.0.iter();
        large_integers_of("state", entries.map(|(key, value)| (&**key, value.kind())))
    }

    /// The state that consists of these keys.
    pub(crate) fn from_json(object: Map<String, Value>) -> Self {
        let mut state = State::default();
        state.merge(object);
        state
    }

    /// The state, as it can be written out in full. Where that would take much more than what is in it, since it
    /// has the same many times, entries of `parallel_results` are without what several places have; how many bytes it
    /// would have taken more is said then.
    ///
    /// # Errors
    /// If it would take too much all the same.
    pub(crate) fn bounded(mut self) -> Result<(State, Option<u64>), String> {
        let excess = self.share().excess();
        if excess <= MAX_EXCESS {
            return Ok((self, None));
        }
        self.shorten();
        let left = self.share().excess();
        match left <= MAX_LEFT {
            true => Ok((self, (left < excess).then_some(excess))),
            false => Err(format!(
                "the state would take {} MB more written out in full than what is in it, since it has \
                 the same many times; {} MB are allowed: leave out what entries of \
                 `{PARALLEL_RESULTS}` share, or all of them, in what nodes keep",
                left / 1_000_000,
                MAX_LEFT / 1_000_000
            )),
        }
    }

    /// Leaves out of the states in entries of `parallel_results` what several places have.
    fn shorten(&mut self) {
        let several = self.share().several();
        let Some(Json::List(entries)) = self.get(PARALLEL_RESULTS) else {
            return;
        };
        let short = |key: &str, member: &Json| match member {
            Json::Object(state) if matches!(key, "state" | "last_state") => {
                let state = state.iter();
                let own = state.filter(|(_, value)| !several.contains(&value.place()));
                Json::object(own.map(|(key, value)| (Arc::clone(key), value.clone())))
            }
            other => other.clone(),
        };
        let entries: Vec<Json> = entries
            .iter()
            .map(|entry| match entry {
                Json::Object(members) => {
                    let members = members.iter();
                    Json::object(members.map(|(key, it)| (Arc::clone(key), short(key, it))))
                }
                other => other.clone(),
            })
            .collect();
        self.set(PARALLEL_RESULTS, Json::List(entries.into()));
    }

    /// A copy of the state as JSON.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let members = self.0.iter();
        let copy = |(key, value): (&Arc<str>, &Json)| (key.to_string(), value.value().into_owned());
        members.map(copy).collect()
    }

    /// The state as JSON; values that no copy shares any more are moved, not copied.
    pub(crate) fn into_json(self) -> Map<String, Value> {
        let members = Arc::unwrap_or_clone(self.0).into_iter();
        members
            .map(|(key, value)| (key.to_string(), value.into_value()))
            .collect()
    }

    /// The state as a value that others may share.
    pub(crate) fn share(&self) -> Json {
        Json::Object(Arc::clone(&self.0))
    }
}

/// Written out in full.
impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.share().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn state(value: Value) -> State {
        let Value::Object(object) = value else {
            panic!("a state is an object");
        };
        State::new(&object, Map::new())
    }

    #[rstest]
    #[case::keys_are_replaced(json!({"a": 5}), json!({"a": 5, "b": {"c": 2}}))]
    #[case::keys_are_added(json!({"d": []}), json!({"a": 1.0, "b": {"c": 2}, "d": []}))]
    #[case::the_merge_is_shallow(json!({"b": {"x": 0}}), json!({"a": 1.0, "b": {"x": 0}}))]
    #[case::null_is_a_value(json!({"a": null}), json!({"a": null, "b": {"c": 2}}))]
    #[case::nothing_changes_nothing(json!(null), json!({"a": 1.0, "b": {"c": 2}}))]
    #[case::no_keys_change_nothing(json!({}), json!({"a": 1.0, "b": {"c": 2}}))]
    #[case::a_scalar_is_the_result(json!(7), json!({"a": 1.0, "b": {"c": 2}, "result": 7}))]
    #[case::an_array_is_the_result(json!([1]), json!({"a": 1.0, "b": {"c": 2}, "result": [1]}))]
    fn what_a_node_returns_updates_the_state(#[case] returned: Value, #[case] expected: Value) {
        let mut state = state(json!({"a": 1.0, "b": {"c": 2}}));
        state.merge(State::as_update(returned));
        assert_eq!(Value::Object(state.into_json()), expected);
    }

    #[test]
    fn what_is_given_back_as_it_was_stays_shared() {
        let before = state(json!({"big": [1, 2, 3], "n": 1}));
        let mut copy = before.clone();
        copy.merge(State::as_update(json!({"big": [1, 2, 3], "n": 1})));
        assert!(copy.shares("big", &before));
        assert!(copy.share().is_same(&before.share()));
        copy.merge(State::as_update(json!({"big": [1, 2, 3], "n": 1.0})));
        assert!(copy.shares("big", &before));
        assert_eq!(copy.to_json()["n"], json!(1.0));
    }

    #[test]
    fn a_copy_shares_values_but_no_change() {
        let before = state(json!({"big": [1, 2, 3], "n": 1}));
        let mut copy = before.clone();
        copy.merge(State::as_update(json!({"n": 2})));
        assert!(before.shares("big", &copy));
        assert!(!before.shares("n", &copy));
        assert_eq!(before.get("n"), Some(&json!(1).into()));
    }

    #[test]
    fn what_entries_share_is_left_out_where_it_would_be_too_much() {
        let text = "x".repeat(1_000_000);
        let results = |count: usize, key: &str| {
            let before = state(json!({"text": text, "n": 0}));
            let entries = (0..count).map(|n| {
                let mut branch = before.clone();
                branch.set("n", json!(n));
                Json::object([
                    ("state".into(), branch.share()),
                    ("success".into(), json!(true).into()),
                ])
            });
            let mut all = before.clone();
            all.set(key, Json::List(entries.collect()));
            all
        };
        let (few, shortened) = results(60, PARALLEL_RESULTS).bounded().unwrap();
        assert_eq!(shortened, None);
        assert_eq!(few, results(60, PARALLEL_RESULTS));
        let (many, shortened) = results(70, PARALLEL_RESULTS).bounded().unwrap();
        assert!(
            shortened.is_some_and(|bytes| bytes / 1_000_000 == 70),
            "{shortened:?}"
        );
        assert_eq!(many.get("text"), results(0, "x").get("text"));
        let entry = json!({"state": {"n": 69}, "success": true});
        assert_eq!(many.to_json()[PARALLEL_RESULTS][69], entry);
        // Under another name they are the node's own.
        let (kept, shortened) = results(500, "kept").bounded().unwrap();
        assert_eq!((kept.share().excess() / 1_000_000, shortened), (500, None));
        let error = results(520, "kept").bounded().unwrap_err();
        assert!(error.contains("520 MB more"), "{error}");
    }
}
