//! States on their way between processes: what is there several times passes once, and what the other side has
//! already doesn't pass at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::workflow::json::Json;
use crate::workflow::state::State;

/// A value as it passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Packed {
    #[serde(rename = "v")]
    Value(#[serde(with = "value")] Arc<Value>),
    /// That under a key of the state that both sides have.
    #[serde(rename = "b")]
    Base(String),
    #[serde(rename = "l")]
    List(Vec<Packed>),
    #[serde(rename = "o")]
    Object(BTreeMap<String, Packed>),
    /// One that may come again: its number is that of such values before it.
    #[serde(rename = "k")]
    Kept(Box<Packed>),
    /// That with a number.
    #[serde(rename = "a")]
    Again(u32),
}

/// A value that nobody else needs a copy of.
pub(crate) mod value {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(crate) fn serialize<S: Serializer>(value: &Arc<Value>, out: S) -> Result<S::Ok, S::Error> {
        Value::serialize(value, out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Arc<Value>, D::Error> {
        Value::deserialize(source).map(Arc::new)
    }
}

/// Packs a state for a side that has `base`.
pub(crate) fn pack(state: &State, base: &State) -> Packed {
    let mut packer = Packer::new(base);
    let members = state.iter();
    Packed::Object(
        members
            .map(|(key, value)| (key.to_string(), packer.pack(value)))
            .collect(),
    )
}

/// Packs one value for a side that has `base`.
#[cfg(feature = "nats")]
pub(crate) fn pack_value(json: &Json, base: &State) -> Packed {
    Packer::new(base).pack(json)
}

struct Packer<'b> {
    base: HashMap<*const (), &'b str>,
    /// The numbers of values that may come again, by where they lie.
    kept: HashMap<*const (), u32>,
}

impl<'b> Packer<'b> {
    fn new(base: &'b State) -> Packer<'b> {
        let places = base.iter().map(|(key, value)| (value.place(), &**key));
        Packer {
            base: places.collect(),
            kept: HashMap::new(),
        }
    }

    fn pack(&mut self, json: &Json) -> Packed {
        if let Some(key) = self.base.get(&json.place()) {
            return Packed::Base((*key).to_owned());
        }
        let is_small = matches!(json.kind(), Value::Null | Value::Bool(_) | Value::Number(_));
        if is_small || !json.is_shared() {
            return self.inside(json);
        }
        if let Some(number) = self.kept.get(&json.place()) {
            return Packed::Again(*number);
        }
        let packed = self.inside(json);
        // No state has that many.
        let number = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.kept.insert(json.place(), number);
        Packed::Kept(Box::new(packed))
    }

    fn inside(&mut self, json: &Json) -> Packed {
        match json {
            Json::Whole(value) => Packed::Value(Arc::clone(value)),
            Json::List(items) => Packed::List(items.iter().map(|it| self.pack(it)).collect()),
            Json::Object(members) => {
                let members = members.iter();
                Packed::Object(
                    members
                        .map(|(key, value)| (key.to_string(), self.pack(value)))
                        .collect(),
                )
            }
        }
    }
}

/// The state that was packed for a side that has `base`.
///
/// # Errors
/// If it refers to what isn't there, or is no state.
pub(crate) fn unpack(packed: Packed, base: &State) -> Result<State, String> {
    let Packed::Object(members) = packed else {
        return Err("it is no state".to_owned());
    };
    let mut unpacker = Unpacker {
        base,
        kept: Vec::new(),
    };
    let mut state = State::default();
    for (key, value) in members {
        state.set(key, unpacker.unpack(value)?);
    }
    Ok(state)
}

/// The value that was packed for a side that has `base`.
///
/// # Errors
/// If it refers to what isn't there.
#[cfg(feature = "nats")]
pub(crate) fn unpack_value(packed: Packed, base: &State) -> Result<Json, String> {
    let kept = Vec::new();
    Unpacker { base, kept }.unpack(packed)
}

struct Unpacker<'b> {
    base: &'b State,
    kept: Vec<Json>,
}

impl Unpacker<'_> {
    fn unpack(&mut self, packed: Packed) -> Result<Json, String> {
        Ok(match packed {
            Packed::Value(value) => Json::Whole(value),
            Packed::Base(key) => {
                let value = self.base.get(&key);
                value
                    .ok_or_else(|| format!("there is no `{key}` in the state before it"))?
                    .clone()
            }
            Packed::List(items) => {
                let items = items.into_iter().map(|it| self.unpack(it));
                Json::List(items.collect::<Result<_, _>>()?)
            }
            Packed::Object(members) => {
                let members = members.into_iter();
                let members: Result<Vec<_>, String> = members
                    .map(|(key, it)| Ok((key.into(), self.unpack(it)?)))
                    .collect();
                Json::object(members?)
            }
            Packed::Kept(inside) => {
                let json = self.unpack(*inside)?;
                self.kept.push(json.clone());
                json
            }
            Packed::Again(number) => {
                let known = usize::try_from(number).ok();
                let known = known.and_then(|number| self.kept.get(number));
                known
                    .ok_or_else(|| format!("there is no value {number}"))?
                    .clone()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::worker::frame;
    use serde_json::{Map, json};

    fn state(value: Value) -> State {
        let Value::Object(object) = value else {
            panic!("a state is an object");
        };
        State::new(&object, Map::new())
    }

    /// The state on the other side, and how many bytes passed.
    fn passed(state: &State, base: &State, base_there: &State) -> (State, usize) {
        let bytes = frame::encode(&pack(state, base)).expect("it is small");
        let packed = frame::read(&mut &bytes[..]).expect("it was just written");
        let there = unpack(packed.expect("a message"), base_there).expect("it is sound");
        (there, bytes.len())
    }

    #[test]
    fn what_the_other_side_has_does_not_pass() {
        let rows: Vec<_> = (0..1000)
            .map(|n| json!({"n": n, "x": n as f64 / 3.0}))
            .collect();
        let base = state(json!({"rows": rows, "n": 1, "gone": true}));
        let (there, bytes) = passed(&base, &State::default(), &State::default());
        assert_eq!(there, base);
        assert!(bytes > 10_000, "{bytes}");
        let mut after = base.clone();
        after.set("n", json!(2));
        after.remove("gone");
        after.set("all", base.share());
        let (back, bytes) = passed(&after, &base, &there);
        assert_eq!(back, after);
        assert!(back.shares("rows", &there));
        // Not under its own key, either: `all` is the whole of the state from before.
        assert!(bytes < 200, "{bytes}");
    }

    #[test]
    fn what_is_there_several_times_passes_once() {
        let text = Json::from(json!("x".repeat(10_000)));
        let mut all = State::default();
        for key in ["a", "b", "c"] {
            all.set(key, Json::List([text.clone(), text.clone()].into()));
        }
        let (there, bytes) = passed(&all, &State::default(), &State::default());
        assert_eq!(there, all);
        assert!((10_000..11_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let all = state(json!({
            "integers": [i64::MIN, -1, 0, i64::MAX],
            "floats": [1.0, -0.0, 0.1, 5e-324, 1.797_693_134_862_315_7e308],
        }));
        let (there, _) = passed(&all, &State::default(), &State::default());
        let text = |state: &State| serde_json::to_string(&state.to_json()).unwrap();
        assert_eq!(text(&there), text(&all));
    }

    #[test]
    fn what_refers_to_nothing_is_refused() {
        let packed = |value| Packed::Object([("a".to_owned(), value)].into());
        for wrong in [
            packed(Packed::Again(0)),
            packed(Packed::Base("b".to_owned())),
            Packed::Again(0),
        ] {
            assert!(unpack(wrong, &State::default()).is_err());
        }
    }
}
