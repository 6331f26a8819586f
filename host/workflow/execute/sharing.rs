//! Values that are there several times, on their way to a node and back: they pass once.
//!
//! The guest gets each of them under a number, and so it does what has parts that may be there several times,
//! such as the entries of branches. In place of what came under a number and is as it came it names the
//! number. So what a node leaves as it was stays what it is, shared by all who have it.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeTuple, Serializer};
use serde_json::Value;

use crate::wire::Numbered;
use crate::workflow::execute::answer::Answer;
use crate::workflow::json::Json;
use crate::workflow::state::{RESULT, State};

/// A state as it passes to a node.
pub(crate) struct Passed {
    state: Json,
    /// What the instance holds already, if it holds anything, and whether any of it is in the state.
    kept: Option<Arc<Kept>>,
    has_kept: bool,
    /// What goes by numbers, by where it lies: the number, once it has been written.
    numbers: RefCell<HashMap<*const (), Option<u32>>>,
    /// What has been written under a number: that of the first one is 1, or comes after those of what is
    /// held already.
    numbered: RefCell<Vec<Json>>,
}

/// Values that an instance holds from the start, under numbers: they pass to none of its nodes.
pub(crate) struct Kept {
    /// By where they lie, as long as they are here.
    numbers: HashMap<usize, u32>,
    /// That of the first one is 1.
    numbered: Vec<Json>,
}

impl Kept {
    fn number(&self, json: &Json) -> Option<u32> {
        self.numbers.get(&json.place().addr()).copied()
    }
}

impl Passed {
    /// A state on its way to a node, on an instance that holds what is `kept`.
    pub(crate) fn new(state: &State, kept: Option<&Arc<Kept>>) -> Passed {
        Passed::found(
            state,
            Found {
                kept: kept.cloned(),
                ..Found::default()
            },
        )
    }

    /// A state whose values are all to be held, one by one: see [`into_kept`](Self::into_kept).
    pub(crate) fn to_be_kept(state: &State) -> Passed {
        let found = Found::default();
        let mut passed = Passed::found(state, found);
        let numbers = passed.numbers.get_mut();
        parts(&passed.state, &mut |part| {
            if is_worth_it(part) {
                numbers.insert(part.place(), None);
            }
        });
        passed
    }

    /// What an instance holds that was passed this.
    pub(crate) fn into_kept(self) -> Arc<Kept> {
        let numbered = self.numbered.into_inner();
        let numbers = (1..).zip(&numbered);
        Arc::new(Kept {
            numbers: numbers
                .map(|(number, json)| (json.place().addr(), number))
                .collect(),
            numbered,
        })
    }

    fn found(state: &State, mut found: Found) -> Passed {
        let state = state.share();
        parts(&state, &mut |part| find(part, &mut found));
        let numbers = found.numbered.into_iter().map(|place| (place, None));
        Passed {
            state,
            kept: found.kept,
            has_kept: found.has_kept,
            numbers: RefCell::new(numbers.collect()),
            numbered: RefCell::default(),
        }
    }

    /// Whether anything goes by a number: only then can there be numbers in what comes back.
    pub(crate) fn has_numbers(&self) -> bool {
        self.has_kept || !self.numbers.borrow().is_empty()
    }

    /// What the instance held before.
    fn held(&self) -> &[Json] {
        self.kept.as_ref().map_or(&[], |kept| &kept.numbered)
    }

    /// The number of a value, if it goes by one, and whether it has been written.
    fn number(&self, json: &Json) -> Option<(u32, bool)> {
        if let Some(number) = self.kept.as_ref().and_then(|kept| kept.number(json)) {
            return Some((number, true));
        }
        let mut numbers = self.numbers.borrow_mut();
        let number = numbers.get_mut(&json.place())?;
        if let Some(number) = *number {
            return Some((number, true));
        }
        let mut numbered = self.numbered.borrow_mut();
        numbered.push(json.clone());
        // No request is that long.
        let next = u32::try_from(self.held().len() + numbered.len()).unwrap_or(u32::MAX);
        *number = Some(next);
        Some((next, false))
    }

    /// What a node returned that was passed this.
    ///
    /// # Errors
    /// If a number stands for nothing, or something would be nested too deeply, neither of which the guest
    /// we built lets happen.
    pub(crate) fn resolve(&self, answer: Answer) -> Result<Returned, String> {
        match answer.into_plain() {
            Ok(value) => Ok(value.into()),
            Err(answer) => answer
                .resolve(self.held(), &self.numbered.borrow())
                .map(Returned),
        }
    }
}

/// What a state is made of.
#[derive(Default)]
struct Found {
    /// What the instance holds, and whether any of it was met.
    kept: Option<Arc<Kept>>,
    has_kept: bool,
    /// Values without parts that may be there several times, and were met.
    met: HashSet<*const ()>,
    /// What goes by a number.
    numbered: HashSet<*const ()>,
}

/// Finds what goes by a number: what has parts, and what is there several times. What lies in one that is
/// there again isn't looked at again.
fn find(json: &Json, found: &mut Found) {
    let place = json.place();
    if let Some(kept) = &found.kept
        && kept.number(json).is_some()
    {
        found.has_kept = true;
        return;
    }
    match json {
        Json::Whole(_) => {
            if json.is_shared() && is_worth_it(json) && !found.met.insert(place) {
                found.numbered.insert(place);
            }
        }
        _ => {
            if found.numbered.insert(place) {
                parts(json, &mut |part| find(part, found));
            }
        }
    }
}

/// Does `each` with the parts of a value.
fn parts(json: &Json, each: &mut dyn FnMut(&Json)) {
    match json {
        Json::Whole(_) => {}
        Json::List(items) => items.iter().for_each(each),
        Json::Object(members) => members.values().for_each(each),
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
        if !self.has_numbers() {
            return self.state.serialize(serializer);
        }
        // It may be written again, from the start.
        self.numbered.borrow_mut().clear();
        let mut numbers = self.numbers.borrow_mut();
        numbers.values_mut().for_each(|number| *number = None);
        drop(numbers);
        let state = InFull(Part {
            json: &self.state,
            of: self,
        });
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Numbered::Definition(0))?;
        pair.serialize_element(&state)?;
        pair.end()
    }
}

#[derive(Clone, Copy)]
struct Part<'p> {
    json: &'p Json,
    of: &'p Passed,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.of.number(self.json) {
            None => InFull(*self).serialize(serializer),
            Some((number, true)) => Numbered::Reference(number).serialize(serializer),
            Some((number, false)) => {
                let mut pair = serializer.serialize_tuple(2)?;
                pair.serialize_element(&Numbered::Definition(number))?;
                pair.serialize_element(&InFull(*self))?;
                pair.end()
            }
        }
    }
}

/// A part, whether or not it goes by a number.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use crate::wire::MAX_DEPTH;
    use serde_json::{Map, json};

    fn bytes(passed: &Passed) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode("state", passed, &mut bytes).unwrap();
        bytes
    }

    fn state(value: Value) -> State {
        let Value::Object(object) = value else {
            panic!("a state is an object");
        };
        State::new(&object, Map::new())
    }

    fn answer(value: &impl Serialize) -> Answer {
        let bytes = rmp_serde::to_vec(value).unwrap();
        codec::decode("result", &bytes, usize::MAX).unwrap()
    }

    #[test]
    fn what_is_there_once_passes_as_it_is() {
        let value = json!({"a": [1, {"b": null}], "c": "x", "d": 1.5, "e": {}});
        let state = state(value.clone());
        let mut plain = Vec::new();
        codec::encode("state", &state, &mut plain).unwrap();
        assert_eq!(bytes(&Passed::new(&state, None)), plain);
        let returned = Passed::new(&state, None).resolve(answer(&value)).unwrap();
        assert_eq!(*returned.into_json().value(), value);
    }

    /// A state with entries of branches that replaced a number, and the entries once more.
    fn several() -> State {
        let text = "x".repeat(Numbered::LONG);
        let mut all = state(json!({"rows": vec![7; 1000], "text": text, "n": 1}));
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
        all
    }

    #[test]
    fn what_is_there_several_times_passes_once() {
        let all = several();
        let mut once = all.clone();
        once.remove("results");
        once.remove("again");
        let before = bytes(&Passed::new(&once, None)).len();
        let passed = Passed::new(&all, None);
        let written = bytes(&passed);
        assert!(
            written.len() < before + 100 * 40,
            "{} bytes after {before}",
            written.len()
        );
        // Writing it once more writes the same.
        assert_eq!(bytes(&passed), written);
    }

    #[test]
    fn numbers_stand_for_what_was_passed() {
        let all = several();
        let passed = Passed::new(&all, None);
        bytes(&passed);
        let number = |json: &Json| {
            let numbers = passed.numbers.borrow();
            Numbered::Reference(numbers[&json.place()].unwrap())
        };
        let rows = all.get("rows").unwrap();
        let results = all.get("results").unwrap();
        let written = json!({"deep": [0]});
        let mut bytes = Vec::new();
        let out = &mut bytes;
        rmp::encode::write_map_len(out, 3).unwrap();
        for (key, numbered) in [("rows", number(rows)), ("kept", number(results))] {
            rmp::encode::write_str(out, key).unwrap();
            out.extend(rmp_serde::to_vec(&numbered).unwrap());
        }
        rmp::encode::write_str(out, "new").unwrap();
        out.extend(rmp_serde::to_vec(&(written.clone(), number(rows), 1)).unwrap());
        let answer = codec::decode("result", &bytes, usize::MAX).unwrap();
        let update: HashMap<_, _> = passed
            .resolve(answer)
            .unwrap()
            .into_update()
            .into_iter()
            .collect();
        assert!(update["rows"].is_same(rows));
        assert!(update["kept"].is_same(results));
        let Json::List(new) = &update["new"] else {
            panic!("it has parts");
        };
        assert_eq!(*new[0].value(), written);
        assert!(new[1].is_same(rows));
        assert_eq!(new[2], Json::from(json!(1)));
    }

    #[test]
    fn numbers_that_stand_for_nothing_are_refused() {
        let passed = Passed::new(&several(), None);
        bytes(&passed);
        let count = passed.numbered.borrow().len() as u32;
        for (number, stands) in [(0, false), (1, true), (count, true), (count + 1, false)] {
            let value = Numbered::Reference(number);
            assert_eq!(passed.resolve(answer(&value)).is_ok(), stands, "{number}");
            assert_eq!(
                passed.resolve(answer(&(value,))).is_ok(),
                stands,
                "{number}"
            );
        }
        assert!(
            passed
                .resolve(answer(&Numbered::Reference(u32::MAX)))
                .is_err()
        );
        let definition = rmp_serde::to_vec(&(Numbered::Definition(1), 1)).unwrap();
        assert!(codec::decode::<Answer>("result", &definition, usize::MAX).is_err());
        let other = rmp_serde::to_vec(&(1, Numbered::Definition(1))).unwrap();
        assert!(codec::decode::<Answer>("result", &other, usize::MAX).is_err());
    }

    #[test]
    fn what_numbers_stand_for_is_nested_no_deeper_than_other_values() {
        let mut deep = json!(1);
        for _ in 0..60 {
            deep = json!([deep]);
        }
        let mut all = state(json!({"a": deep}));
        let shared = all.get("a").unwrap().clone();
        all.set("b", shared);
        let passed = Passed::new(&all, None);
        bytes(&passed);
        for (levels, fits) in [(0, true), (MAX_DEPTH - 60, true), (MAX_DEPTH - 59, false)] {
            let mut bytes = vec![0x91; levels];
            bytes.extend(rmp_serde::to_vec(&Numbered::Reference(1)).unwrap());
            let answer = codec::decode("result", &bytes, usize::MAX).unwrap();
            assert_eq!(passed.resolve(answer).is_ok(), fits, "{levels}");
        }
    }
}
