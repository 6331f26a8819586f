//! `state_schema`: the types that keys of the state have.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::codec;
use crate::workflow::json::Json;
use crate::workflow::state::State;

/// The declared keys. Other keys may be there, and declared ones may be absent or null.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Schema {
    keys: Vec<(String, Type)>,
}

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Type {
    Any,
    Bool,
    Integer,
    Number,
    Text,
    List,
    Mapping,
}

/// The words for each type, those of JSON and of Python.
const WORDS: [(&str, Type); 20] = [
    ("any", Type::Any),
    ("object", Type::Mapping),
    ("dict", Type::Mapping),
    ("map", Type::Mapping),
    ("mapping", Type::Mapping),
    ("array", Type::List),
    ("list", Type::List),
    ("bool", Type::Bool),
    ("boolean", Type::Bool),
    ("int", Type::Integer),
    ("integer", Type::Integer),
    ("float", Type::Number),
    ("number", Type::Number),
    ("str", Type::Text),
    ("string", Type::Text),
    ("text", Type::Text),
    ("double", Type::Number),
    ("null", Type::Any),
    ("none", Type::Any),
    ("table", Type::Mapping),
];

impl Type {
    /// The type that a word stands for. `list[str]` is a list: what is in it is not looked at.
    /// `optional[str]` is a string, since null fits everything, and one of several types is
    /// anything.
    pub(crate) fn from_word(word: &str) -> Option<Type> {
        let lower = word.trim().to_lowercase();
        let (outer, inner) = match lower.split_once('[') {
            Some((outer, inner)) => (outer.trim(), inner.strip_suffix(']')),
            None => (lower.as_str(), None),
        };
        match (outer, inner) {
            ("optional", Some(inner)) => Type::from_word(inner),
            ("union", Some(_)) => Some(Type::Any),
            _ if lower.contains('|') => Some(Type::Any),
            _ => {
                let found = WORDS.iter().find(|(known, _)| *known == outer);
                found.map(|(_, kind)| *kind)
            }
        }
    }

    /// All words there are.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    fn name(self) -> &'static str {
        match self {
            Type::Any => "anything",
            Type::Bool => "a boolean",
            Type::Integer => "an integer",
            Type::Number => "a number",
            Type::Text => "a string",
            Type::List => "a list",
            Type::Mapping => "a mapping",
        }
    }

    fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Type::Any, _) | (_, Value::Null) => true,
            (Type::Bool, value) => value.is_boolean(),
            (Type::Integer, value) => is_integer(value),
            (Type::Number, value) => value.is_number(),
            (Type::Text, value) => value.is_string(),
            (Type::List, value) => value.is_array(),
            (Type::Mapping, value) => value.is_object(),
        }
    }
}

/// Whether it is an integer, or a float with the value of one, as Lua's division gives it.
fn is_integer(value: &Value) -> bool {
    let float = value.as_f64().filter(|_| value.is_f64());
    value.is_i64() || float.and_then(codec::integer_of).is_some()
}

impl Schema {
    pub(crate) fn new(keys: Vec<(String, Type)>) -> Schema {
        Schema { keys }
    }

    /// The declared keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, _)| key.as_str())
    }

    /// Checks a whole state.
    ///
    /// # Errors
    /// The first key that is not what it was declared.
    pub(crate) fn check(&self, state: &State) -> Result<(), String> {
        self.check_with(|key| state.get(key).map(Json::kind))
    }

    /// Checks what a node returned. An empty table of Lua's, which is no list and no mapping more than
    /// the other, is a list where one was declared.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn check_update(&self, update: &mut [(String, Json)]) -> Result<(), String> {
        if self.keys.is_empty() {
            return Ok(());
        }
        for (key, value) in &mut *update {
            let is_list = |(known, kind): &(String, Type)| known == key && *kind == Type::List;
            if is_empty_table(value) && self.keys.iter().any(is_list) {
                *value = Value::Array(Vec::new()).into();
            }
        }
        let update: HashMap<_, _> = update.iter().map(|(key, it)| (key.as_str(), it)).collect();
        self.check_with(|key| update.get(key).map(|it| it.kind()))
    }

    /// Makes lists of empty tables of Lua's, as [`check_update`](Self::check_update) does, in a state that
    /// comes from nodes of another workflow.
    pub(crate) fn conform(&self, state: &mut State) {
        for (key, kind) in &self.keys {
            if *kind == Type::List && state.get(key).is_some_and(is_empty_table) {
                state.set(key.as_str(), Value::Array(Vec::new()));
            }
        }
    }

    fn check_with<'v>(&self, get: impl Fn(&str) -> Option<&'v Value>) -> Result<(), String> {
        for (key, kind) in &self.keys {
            if let Some(value) = get(key)
                && !kind.admits(value)
            {
                let found = match value {
                    Value::Bool(_) => "a boolean",
                    Value::Number(number) if number.is_i64() => "an integer",
                    Value::Number(_) => "a number",
                    Value::String(_) => "a string",
                    Value::Array(_) => "a list",
                    _ => "a mapping",
                };
                let expected = kind.name();
                return Err(format!(
                    "state.{key} must be {expected} by the `state_schema`, not {found}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether nothing is in it, and it isn't known to be a list.
fn is_empty_table(json: &Json) -> bool {
    match json {
        Json::Whole(value) => value.as_object().is_some_and(Map::is_empty),
        Json::List(_) => false,
        Json::Object(members) => members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("string", Some(Type::Text))]
    #[case("Str", Some(Type::Text))]
    #[case("list[str]", Some(Type::List))]
    #[case("Optional[List[int]]", Some(Type::List))]
    #[case("int | None", Some(Type::Any))]
    #[case("union[int, str]", Some(Type::Any))]
    #[case("datetime", None)]
    fn words(#[case] word: &str, #[case] expected: Option<Type>) {
        assert_eq!(Type::from_word(word), expected);
    }

    #[rstest]
    #[case(json!(5), true)]
    #[case(json!(5.0), true)]
    #[case(json!(-0.0), true)]
    #[case(json!(5.5), false)]
    #[case(json!(1e300), false)]
    #[case(json!(9_223_372_036_854_775_808.0), false)]
    #[case(json!("5"), false)]
    fn integers(#[case] value: Value, #[case] admitted: bool) {
        assert_eq!(Type::Integer.admits(&value), admitted);
    }
}
