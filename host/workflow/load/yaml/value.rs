//! A YAML value, and where it was written.

use serde_json::{Map, Number, Value};

use crate::diagnostics::Place;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Yaml {
    pub(crate) place: Place,
    pub(crate) data: Data,
    /// The line that the first line of a string is on: a block may begin with empty ones.
    pub(crate) first_line: usize,
    /// The comment behind a plain string on one line, with the blanks between them.
    pub(crate) comment: Option<Box<str>>,
}

/// What a value can be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Yaml>),
    Mapping(Vec<Entry>),
    /// A value that can't be had, which was reported.
    Refused,
}

/// One key of a mapping, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Yaml,
}

impl Yaml {
    /// A value at a place.
    pub(crate) fn new(place: Place, data: Data) -> Yaml {
        Yaml {
            place,
            data,
            first_line: place.line,
            comment: None,
        }
    }

    /// What it is, for messages: "a list".
    pub(crate) fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "a string",
            Data::List(_) => "a list",
            Data::Mapping(_) => "a mapping",
            Data::Refused => "a value that can't be had",
        }
    }

    /// The same value without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null | Data::Refused => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Yaml::to_json).collect(),
            Data::Mapping(entries) => Value::Object(to_object(entries)),
        }
    }

    /// The same value as YAML text, its keys in their order.
    pub(crate) fn to_text(&self) -> String {
        // Only what can't be a key, or a recursion without end, could fail to be written.
        serde_yaml::to_string(&self.to_yaml()).unwrap_or_default()
    }

    fn to_yaml(&self) -> serde_yaml::Value {
        use serde_yaml::Value;
        match &self.data {
            Data::Null | Data::Refused => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Number(integer.into()),
                (None, Some(float)) => Value::Number(float.into()),
                (None, None) => Value::Null,
            },
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => Value::Sequence(items.iter().map(Yaml::to_yaml).collect()),
            Data::Mapping(entries) => {
                let member = |entry: &Entry| (entry.key.as_str().into(), entry.value.to_yaml());
                Value::Mapping(entries.iter().map(member).collect())
            }
        }
    }

    /// How many levels of lists and mappings it has.
    pub(super) fn depth(&self) -> usize {
        match &self.data {
            Data::List(items) => 1 + items.iter().map(Yaml::depth).max().unwrap_or(0),
            Data::Mapping(entries) => {
                let values = entries.iter().map(|entry| entry.value.depth());
                1 + values.max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        /// What a value takes, and a key, beside its text.
        const VALUE: usize = 64;
        VALUE
            + match &self.data {
                Data::Text(text) => text.len(),
                Data::List(items) => items.iter().map(Yaml::size).sum(),
                Data::Mapping(entries) => {
                    let size = |entry: &Entry| VALUE + entry.key.len() + entry.value.size();
                    entries.iter().map(size).sum()
                }
                _ => 0,
            }
    }
}

/// A mapping as JSON.
pub(crate) fn to_object(entries: &[Entry]) -> Map<String, Value> {
    let member = |entry: &Entry| (entry.key.clone(), entry.value.to_json());
    entries.iter().map(member).collect()
}
