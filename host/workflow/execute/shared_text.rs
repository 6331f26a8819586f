//! States as JSON text in which what is there several times is written once.
//!
//! Such a value is in a list beside the state. In its place, there and in what comes after it in the list, is
//! an object with one key, `{"$shared": 0}`, which names its place in the list. An object that has only such
//! a key by itself gets one more `$` in front of it. Where nothing is there several times, there is no list, and
//! objects are as they are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::MAX_DEPTH;
use crate::workflow::json::Json;
use crate::workflow::state::State;

/// The key of an object that stands for a value of the list.
const KEY: &str = "$shared";

/// What is shared takes a text of so many bytes, or has something in it.
const LONG: usize = 64;

/// How deeply what is read may be nested: more than any state that is written, and less than ends the stack.
const MAX_NESTED: usize = 4 * MAX_DEPTH;

/// A state as it is written: two keys, of which the first is there only where it is needed.
#[derive(Serialize)]
pub(crate) struct Written<'s> {
    #[serde(skip_serializing_if = "Listed::is_empty")]
    shared: Listed<'s>,
    state: Part<'s>,
}

/// What is there several times.
pub(crate) struct Shared {
    /// What is named by those behind it, and by the state.
    list: Vec<Json>,
    places: HashMap<*const (), usize>,
    state: Json,
}

impl Shared {
    /// Finds what is there several times in a state.
    pub(crate) fn of(state: &State) -> Shared {
        let state = state.share();
        let several = state.several();
        let mut shared = Shared {
            list: Vec::new(),
            places: HashMap::new(),
            state: state.clone(),
        };
        shared.add(&state, &several, &mut HashSet::new());
        shared
    }

    /// Adds what is inside of a value before the value.
    fn add(&mut self, json: &Json, several: &HashSet<*const ()>, met: &mut HashSet<*const ()>) {
        let place = json.place();
        if json.is_shared() && !met.insert(place) {
            return;
        }
        match json {
            Json::Whole(_) => {}
            Json::List(items) => items.iter().for_each(|it| self.add(it, several, met)),
            Json::Object(members) => members.values().for_each(|it| self.add(it, several, met)),
        }
        if several.contains(&place) && is_worth_it(json) {
            self.places.insert(place, self.list.len());
            self.list.push(json.clone());
        }
    }

    /// As it is written.
    pub(crate) fn written(&self) -> Written<'_> {
        Written {
            shared: Listed(self),
            state: Part {
                json: &self.state,
                of: self,
            },
        }
    }
}

/// Whether its name takes less than the value.
fn is_worth_it(json: &Json) -> bool {
    match json.kind() {
        Value::String(text) => text.len() >= LONG,
        Value::Array(items) => matches!(json, Json::List(_)) || !items.is_empty(),
        Value::Object(members) => matches!(json, Json::Object(_)) || !members.is_empty(),
        _ => false,
    }
}

/// The list.
struct Listed<'s>(&'s Shared);

impl Listed<'_> {
    fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }
}

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Listed(of) = *self;
        serializer.collect_seq(of.list.iter().map(|json| InFull(Part { json, of })))
    }
}

/// A value, or what stands for it.
#[derive(Clone, Copy)]
struct Part<'s> {
    json: &'s Json,
    of: &'s Shared,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.of.places.get(&self.json.place()) {
            Some(index) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(KEY, index)?;
                map.end()
            }
            None => InFull(*self).serialize(serializer),
        }
    }
}

struct InFull<'s>(Part<'s>);

impl Serialize for InFull<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Part { json, of } = self.0;
        let is_plain = of.list.is_empty();
        match json {
            Json::Whole(value) if is_plain => value.serialize(serializer),
            Json::Whole(value) => Escaped(value).serialize(serializer),
            Json::List(items) => serializer.collect_seq(items.iter().map(|json| Part { json, of })),
            Json::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, json) in members.iter() {
                    let part = Part { json, of };
                    match members.len() == 1 && !is_plain && is_key(key) {
                        true => map.serialize_entry(&format!("${key}"), &part)?,
                        false => map.serialize_entry(&**key, &part)?,
                    }
                }
                map.end()
            }
        }
    }
}

/// A value in which objects aren't to be taken for what stands for others.
struct Escaped<'v>(&'v Value);

impl Serialize for Escaped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Escaped)),
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    match members.len() == 1 && is_key(key) {
                        true => map.serialize_entry(&format!("${key}"), &Escaped(value))?,
                        false => map.serialize_entry(key, &Escaped(value))?,
                    }
                }
                map.end()
            }
            other => other.serialize(serializer),
        }
    }
}

/// Whether an object that has this key alone needs one more `$`, or has one too many.
fn is_key(key: &str) -> bool {
    let rest = key.trim_start_matches('$');
    rest == &KEY[1..] && rest.len() < key.len()
}

/// A state as it is read.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Read {
    pub(crate) shared: Vec<Value>,
    pub(crate) state: Map<String, Value>,
}

impl Read {
    /// The state, in which what was written once is there once.
    ///
    /// # Errors
    /// If something stands for a value that there is not, or it is nested too deeply.
    pub(crate) fn into_state(self) -> Result<State, String> {
        if self.shared.is_empty() {
            return Ok(State::from_json(self.state));
        }
        let mut known: Vec<(Json, usize)> = Vec::new();
        for (index, value) in self.shared.into_iter().enumerate() {
            let (read, depth) = resolve(value, &known, MAX_NESTED)
                .map_err(|why| format!("shared[{index}]: {why}"))?;
            known.push((read.into_json(), depth));
        }
        let mut state = State::default();
        for (key, value) in self.state {
            let (read, _) =
                resolve(value, &known, MAX_NESTED).map_err(|why| format!("state.{key}: {why}"))?;
            state.set(key, read.into_json());
        }
        Ok(state)
    }
}

/// What was read of a value.
enum Resolved {
    /// Nothing in it is shared.
    Plain(Value),
    Shared(Json),
}

impl Resolved {
    fn into_json(self) -> Json {
        match self {
            Resolved::Plain(value) => value.into(),
            Resolved::Shared(json) => json,
        }
    }
}

/// The value, and how deeply it is nested: `left` at the most.
fn resolve(
    value: Value,
    known: &[(Json, usize)],
    left: usize,
) -> Result<(Resolved, usize), String> {
    let too_deep = || "it is nested too deeply".to_owned();
    let inside = || left.checked_sub(1).ok_or_else(too_deep);
    match value {
        Value::Array(items) => {
            let inside = inside()?;
            let items = items.into_iter().map(|item| resolve(item, known, inside));
            let items: Vec<_> = items.collect::<Result<_, _>>()?;
            let depth = 1 + items.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
            let items = items.into_iter().map(|(item, _)| item);
            Ok((list(items.collect()), depth))
        }
        Value::Object(members) => {
            if members.len() == 1
                && let Some((key, value)) = members.iter().next()
                && key == KEY
            {
                let index = value.as_u64().and_then(|it| usize::try_from(it).ok());
                let found = index.and_then(|index| known.get(index));
                let (json, depth) =
                    found.ok_or_else(|| format!("`{KEY}` names no value: {value}"))?;
                return match *depth <= left {
                    true => Ok((Resolved::Shared(json.clone()), *depth)),
                    false => Err(too_deep()),
                };
            }
            let inside = inside()?;
            let only = members.len() == 1;
            let mut depth = 0;
            let mut read = Vec::with_capacity(members.len());
            for (key, value) in members {
                let key = match only && is_key(&key) {
                    true => key[1..].to_owned(),
                    false => key,
                };
                let (value, nested) = resolve(value, known, inside)?;
                depth = depth.max(nested);
                read.push((key, value));
            }
            Ok((object(read), depth + 1))
        }
        other => Ok((Resolved::Plain(other), 0)),
    }
}

fn list(items: Vec<Resolved>) -> Resolved {
    if items.iter().any(|item| matches!(item, Resolved::Shared(_))) {
        let items = items.into_iter().map(Resolved::into_json);
        return Resolved::Shared(Json::List(items.collect()));
    }
    let items = items.into_iter().filter_map(|item| match item {
        Resolved::Plain(value) => Some(value),
        Resolved::Shared(_) => None,
    });
    Resolved::Plain(items.collect())
}

fn object(members: Vec<(String, Resolved)>) -> Resolved {
    if members
        .iter()
        .any(|(_, it)| matches!(it, Resolved::Shared(_)))
    {
        let members = members.into_iter();
        let members = members.map(|(key, it)| (Arc::from(key), it.into_json()));
        return Resolved::Shared(Json::object(members));
    }
    let members = members.into_iter().filter_map(|(key, it)| match it {
        Resolved::Plain(value) => Some((key, value)),
        Resolved::Shared(_) => None,
    });
    Resolved::Plain(Value::Object(members.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(value: Value) -> State {
        let Value::Object(object) = value else {
            panic!("a state is an object");
        };
        State::from_json(object)
    }

    fn written(state: &State) -> Value {
        serde_json::to_value(Shared::of(state).written()).unwrap()
    }

    fn read(text: Value) -> Result<State, String> {
        let read: Read = match text.get("shared") {
            Some(_) => serde_json::from_value(text).unwrap(),
            None => Read {
                shared: Vec::new(),
                state: text["state"].as_object().unwrap().clone(),
            },
        };
        read.into_state()
    }

    #[test]
    fn what_is_there_once_is_written_as_it_is() {
        let value = json!({"a": {"$shared": 1}, "b": [{"$$shared": null}, {"$shared": 2, "c": 3}]});
        let state = state(value.clone());
        assert_eq!(written(&state), json!({"state": value}));
        assert_eq!(read(written(&state)), Ok(state));
    }

    #[test]
    fn what_is_there_several_times_is_written_once() {
        let odd =
            json!([{"$shared": 0}, {"$$shared": [{"$shared": null}]}, {"shared": 1}, {"$": 1}]);
        let mut all = state(json!({"rows": [1, 2, 3], "odd": odd, "n": 1, "short": "x"}));
        let entries: Vec<_> = (0..3)
            .map(|index| {
                let mut branch = all.clone();
                branch.set("n", json!(index));
                branch.share()
            })
            .collect();
        all.set(
            "only",
            Json::object([("$shared".into(), entries[0].clone())]),
        );
        all.set("results", Json::List(entries.into()));
        let text = written(&all);
        assert_eq!(text["shared"].as_array().unwrap().len(), 3, "{text}");
        assert_eq!(text.to_string().matches("[1,2,3]").count(), 1, "{text}");
        let again = read(text).unwrap();
        assert_eq!(again, all);
        let Some(Json::List(entries)) = again.get("results") else {
            panic!("it has parts");
        };
        for entry in entries.iter() {
            let Json::Object(members) = entry else {
                panic!("it has parts");
            };
            assert!(members["rows"].is_same(again.get("rows").unwrap()));
        }
        assert_eq!(written(&again), written(&all));
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for (shared, state, fits) in [
            (json!([[1]]), json!({"a": {"$shared": 0}}), true),
            (json!([[1]]), json!({"a": {"$shared": 1}}), false),
            (json!([[1]]), json!({"a": {"$shared": -1}}), false),
            (json!([[1]]), json!({"a": {"$shared": "0"}}), false),
            (
                json!([[1], [{"$shared": 0}]]),
                json!({"a": {"$shared": 1}}),
                true,
            ),
            (json!([[{"$shared": 0}]]), json!({}), false),
            (json!([[{"$shared": 1}], [1]]), json!({}), false),
        ] {
            let text = json!({"shared": shared, "state": state});
            assert_eq!(read(text.clone()).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        let chain = |len: usize| -> Value {
            let links = (0..len).map(|index| match index {
                0 => json!([1]),
                _ => json!([{"$shared": index - 1}]),
            });
            json!({"shared": links.collect::<Value>(), "state": {}})
        };
        assert!(read(chain(MAX_NESTED)).is_ok());
        assert!(read(chain(MAX_NESTED + 1)).is_err());
        assert!(read(chain(100_000)).is_err());
    }
}
