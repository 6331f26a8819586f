//! Values that are there several times, on their way to a node and back: they pass once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeTuple, Serializer};
use serde_json::{Map, Number, Value};

use crate::codec::{Extension, NOT_UTF8};
use crate::wire::Numbered;
use crate::workflow::json::Json;
use crate::workflow::state::{RESULT, State};

/// A state as it passes to a node.
pub(crate) struct Passed {
    state: Json,
    /// The numbers of what is there several times, as far as it has been written, by where it lies.
    numbers: RefCell<HashMap<*const (), Option<u32>>>,
}

impl Passed {
    pub(crate) fn new(state: &State) -> Passed {
        let state = state.share();
        let mut times = HashMap::new();
        count(&state, &mut times);
        times.retain(|_, times| *times > 1);
        Passed {
            state,
            numbers: RefCell::new(times.into_keys().map(|place| (place, None)).collect()),
        }
    }

    fn forget(&self) {
        self.numbers
            .borrow_mut()
            .values_mut()
            .for_each(|number| *number = None);
    }
}

/// Counts how often each part is there. What lies in one that is there again is not counted again.
fn count(json: &Json, times: &mut HashMap<*const (), usize>) {
    if !is_worth_it(json) {
        return;
    }
    let times_of_this = times.entry(json.place()).or_default();
    *times_of_this += 1;
    if *times_of_this > 1 {
        return;
    }
    match json {
        Json::Whole(_) => {}
        Json::List(items) => items.iter().for_each(|item| count(item, times)),
        Json::Object(members) => members.values().for_each(|member| count(member, times)),
    }
}

/// Whether a number takes less than the value.
fn is_worth_it(json: &Json) -> bool {
    match json {
        Json::Whole(value) => match &**value {
            Value::String(text) => text.len() >= Numbered::LONG,
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => false,
        },
        Json::List(_) | Json::Object(_) => true,
    }
}

impl Serialize for Passed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.numbers.borrow().is_empty() {
            return self.state.serialize(serializer);
        }
        self.forget();
        let next = RefCell::new(1);
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Numbered::Definition(0))?;
        let of = Numbering {
            passed: self,
            next: &next,
        };
        pair.serialize_element(&InFull(Part {
            json: &self.state,
            of,
        }))?;
        pair.end()
    }
}

#[derive(Clone, Copy)]
struct Numbering<'p> {
    passed: &'p Passed,
    next: &'p RefCell<u32>,
}

#[derive(Clone, Copy)]
struct Part<'p> {
    json: &'p Json,
    of: Numbering<'p>,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self
            .of
            .passed
            .numbers
            .borrow()
            .get(&self.json.place())
            .copied();
        let Some(number) = known.filter(|_| is_worth_it(self.json)) else {
            return InFull(*self).serialize(serializer);
        };
        if let Some(number) = number {
            return Numbered::Reference(number).serialize(serializer);
        }
        let number = self.of.next.replace_with(|next| *next + 1);
        let place = self.json.place();
        self.of
            .passed
            .numbers
            .borrow_mut()
            .insert(place, Some(number));
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Numbered::Definition(number))?;
        pair.serialize_element(&InFull(*self))?;
        pair.end()
    }
}

struct InFull<'p>(Part<'p>);

impl Serialize for InFull<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Part { json, of } = self.0;
        match json {
            Json::Whole(value) => value.serialize(serializer),
            Json::List(items) => serializer.collect_seq(items.iter().map(|json| Part { json, of })),
            Json::Object(members) => {
                let members = members.iter();
                serializer.collect_map(members.map(|(key, json)| (&**key, Part { json, of })))
            }
        }
    }
}

/// What a node returned.
#[derive(Clone, Debug)]
pub(crate) struct Returned(Json);

impl Returned {
    /// The keys that it replaces in the state.
    pub(crate) fn into_update(self) -> Vec<(String, Json)> {
        match self.0 {
            Json::Object(members) => {
                let members = Arc::unwrap_or_clone(members).into_iter();
                members
                    .map(|(key, value)| (key.to_string(), value))
                    .collect()
            }
            Json::Whole(value) if value.is_null() => Vec::new(),
            Json::Whole(value) if value.is_object() => match Arc::unwrap_or_clone(value) {
                Value::Object(update) => {
                    let update = update.into_iter();
                    update.map(|(key, value)| (key, value.into())).collect()
                }
                other => vec![(RESULT.to_owned(), other.into())],
            },
            scalar_or_array => vec![(RESULT.to_owned(), scalar_or_array)],
        }
    }

    /// The value.
    pub(crate) fn into_json(self) -> Json {
        self.0
    }
}

impl From<Value> for Returned {
    /// The members of an object are shared one by one.
    fn from(value: Value) -> Returned {
        Returned(match value {
            Value::Object(members) => {
                let members = members.into_iter();
                Json::object(members.map(|(key, value)| (key.into(), value.into())))
            }
            other => other.into(),
        })
    }
}

impl<'de> Deserialize<'de> for Returned {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Returned, D::Error> {
        let known = RefCell::default();
        Ok(match (Read { known: &known }).deserialize(source)? {
            Item::Plain(value) => value.into(),
            Item::Shared(json) => Returned(json),
            Item::Definition(_) => return Err(de::Error::custom(LOST)),
        })
    }
}

/// What is said of numbers that stand for nothing, which the guest we built never writes.
const LOST: &str = "a number that stands for no value";

/// Something that was read.
enum Item {
    /// Nothing in it is shared.
    Plain(Value),
    Shared(Json),
    /// What stands for the value behind it.
    Definition(u32),
}

impl Item {
    fn into_json<E: de::Error>(self) -> Result<Json, E> {
        match self {
            Item::Plain(value) => Ok(value.into()),
            Item::Shared(json) => Ok(json),
            Item::Definition(_) => Err(E::custom(LOST)),
        }
    }
}

/// Reads a value, with the values that go by numbers.
#[derive(Clone, Copy)]
struct Read<'k> {
    known: &'k RefCell<HashMap<u32, Json>>,
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Item, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Item, E> {
        Ok(Item::Plain(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Item, E> {
        Ok(Item::Plain(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Item, E> {
        Err(E::custom(NOT_UTF8))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, source: D) -> Result<Item, D::Error> {
        let extension = Extension::deserialize(source)?;
        match extension.numbered() {
            Some(Numbered::Definition(number)) => Ok(Item::Definition(number)),
            Some(Numbered::Reference(number)) => {
                let known = self.known.borrow().get(&number).cloned();
                known
                    .map(Item::Shared)
                    .ok_or_else(|| de::Error::custom(LOST))
            }
            None => Err(de::Error::custom("raw bytes")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            if let (Item::Definition(number), true) = (&item, read.is_empty()) {
                let value = items.next_element_seed(self)?;
                let value = value.ok_or_else(|| de::Error::custom(LOST))?;
                let json: Json = value.into_json()?;
                if items.next_element_seed(self)?.is_some() {
                    return Err(de::Error::custom(LOST));
                }
                self.known.borrow_mut().insert(*number, json.clone());
                return Ok(Item::Shared(json));
            }
            read.push(item);
        }
        if read.iter().all(|item| matches!(item, Item::Plain(_))) {
            let plain = read.into_iter().filter_map(|item| match item {
                Item::Plain(value) => Some(value),
                _ => None,
            });
            return Ok(Item::Plain(plain.collect()));
        }
        let items: Result<Vec<_>, _> = read.into_iter().map(Item::into_json).collect();
        Ok(Item::Shared(Json::List(items?.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Item, A::Error> {
        let mut read: Vec<(String, Item)> = Vec::new();
        while let Some(key) = entries.next_key()? {
            read.push((key, entries.next_value_seed(self)?));
        }
        if read.iter().all(|(_, item)| matches!(item, Item::Plain(_))) {
            let plain = read.into_iter().filter_map(|(key, item)| match item {
                Item::Plain(value) => Some((key, value)),
                _ => None,
            });
            return Ok(Item::Plain(Value::Object(plain.collect::<Map<_, _>>())));
        }
        let members = read.into_iter();
        let members = members.map(|(key, item)| Ok((Arc::from(key), item.into_json()?)));
        let members: Result<Vec<_>, A::Error> = members.collect();
        Ok(Item::Shared(Json::object(members?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use serde_json::json;

    fn bytes(state: &State) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode("state", &Passed::new(state), &mut bytes).unwrap();
        bytes
    }

    fn state(value: Value) -> State {
        let Value::Object(object) = value else {
            panic!("a state is an object");
        };
        State::new(&object, Map::new())
    }

    /// As a guest would give back what it was given.
    fn returned(bytes: &[u8]) -> State {
        let returned: Returned = codec::decode("result", bytes, usize::MAX).unwrap();
        let mut state = State::default();
        state.replace(returned.into_update());
        state
    }

    #[test]
    fn what_is_there_once_passes_as_it_is() {
        let state = state(json!({"a": [1, {"b": null}], "c": "x", "d": 1.5, "e": {}}));
        let mut plain = Vec::new();
        codec::encode("state", &state, &mut plain).unwrap();
        assert_eq!(bytes(&state), plain);
        assert_eq!(returned(&plain), state);
    }

    #[test]
    fn what_is_there_several_times_passes_once() {
        let text = "x".repeat(Numbered::LONG);
        let mut all = state(json!({"rows": vec![7; 1000], "text": text, "n": 1}));
        let before = bytes(&all).len();
        let entries: Vec<_> = (0..100)
            .map(|index| {
                let mut branch = all.clone();
                branch.set("n", json!(index));
                branch.share()
            })
            .collect();
        let entries = Json::List(entries.into());
        all.set("results", entries.clone());
        all.set("again", entries);
        let passed = bytes(&all);
        assert!(passed.len() < before + 100 * 40, "{} bytes", passed.len());
        let again = returned(&passed);
        assert_eq!(again, all);
        let Some(Json::List(entries)) = again.get("results") else {
            panic!("it has parts");
        };
        for entry in entries.iter() {
            let Json::Object(members) = entry else {
                panic!("it has parts");
            };
            assert!(members["rows"].is_same(again.get("rows").unwrap()));
            assert!(members["text"].is_same(again.get("text").unwrap()));
        }
        assert!(
            again
                .get("again")
                .unwrap()
                .is_same(again.get("results").unwrap())
        );
        // Writing it twice writes the same.
        assert_eq!(bytes(&again), passed);
    }

    #[test]
    fn numbers_that_stand_for_nothing_are_refused() {
        let read = |value: &dyn erased::Written| {
            let bytes = value.bytes();
            codec::decode::<Returned>("result", &bytes, usize::MAX).is_err()
        };
        assert!(read(&Numbered::Reference(1)));
        assert!(read(&Numbered::Definition(1)));
        assert!(read(&(Numbered::Definition(1),)));
        assert!(read(&(Numbered::Definition(1), 1, 2)));
        assert!(read(&(1, Numbered::Definition(1))));
        assert!(read(&(
            Numbered::Definition(1),
            (1, Numbered::Reference(1))
        )));
        assert!(!read(&(Numbered::Definition(1), 1)));
    }

    mod erased {
        use serde::Serialize;

        /// Anything that can be written, with its bytes.
        pub(super) trait Written {
            fn bytes(&self) -> Vec<u8>;
        }

        impl<T: Serialize> Written for T {
            fn bytes(&self) -> Vec<u8> {
                rmp_serde::to_vec(self).unwrap()
            }
        }
    }
}
