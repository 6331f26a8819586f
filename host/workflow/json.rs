//! JSON whose parts may be shared: a copy is a pointer, however large what it points to.
//!
//! What branches give holds, for each branch, all of its state. Most of that is what the branch was
//! given and left as it was, which is there once, however many branches there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// A JSON value. Whatever is inside of [`Whole`](Json::Whole) is shared as a whole.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Whole(Arc<Value>),
    List(Arc<[Json]>),
    Object(Arc<Object>),
}

/// The members of an object.
pub(crate) type Object = BTreeMap<Arc<str>, Json>;

impl Json {
    /// An object with these members.
    pub(crate) fn object(members: impl IntoIterator<Item = (Arc<str>, Json)>) -> Json {
        Json::Object(Arc::new(members.into_iter().collect()))
    }

    /// Whether both are the same in memory, which takes no look at what is in them.
    pub(crate) fn is_same(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Whole(one), Json::Whole(other)) => Arc::ptr_eq(one, other),
            (Json::List(one), Json::List(other)) => Arc::ptr_eq(one, other),
            (Json::Object(one), Json::Object(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Where it lies in memory: two that lie at the same place are one.
    pub(crate) fn place(&self) -> *const () {
        match self {
            Json::Whole(value) => Arc::as_ptr(value).cast(),
            Json::List(items) => Arc::as_ptr(items).cast(),
            Json::Object(members) => Arc::as_ptr(members).cast(),
        }
    }

    /// As `serde_json` has it: a copy of all, if it isn't whole.
    pub(crate) fn value(&self) -> Cow<'_, Value> {
        match self {
            Json::Whole(value) => Cow::Borrowed(value),
            Json::List(items) => {
                Cow::Owned(items.iter().map(|it| it.value().into_owned()).collect())
            }
            Json::Object(members) => {
                let members = members.iter();
                let members = members.map(|(key, it)| (key.to_string(), it.value().into_owned()));
                Cow::Owned(Value::Object(members.collect()))
            }
        }
    }

    /// About how many bytes it takes written out in full. Each part is looked at once, however often it
    /// is there.
    pub(crate) fn full_size(&self) -> u64 {
        fn whole(value: &Value) -> u64 {
            const EACH: u64 = 8;
            match value {
                Value::String(text) => EACH + text.len() as u64,
                Value::Array(items) => items.iter().map(whole).sum::<u64>() + EACH,
                Value::Object(members) => {
                    let members = members.iter();
                    members
                        .map(|(key, it)| key.len() as u64 + whole(it))
                        .sum::<u64>()
                        + EACH
                }
                _ => EACH,
            }
        }

        fn part(json: &Json, known: &mut HashMap<*const (), u64>) -> u64 {
            if let Some(size) = known.get(&json.place()) {
                return *size;
            }
            let size = match json {
                Json::Whole(value) => whole(value),
                Json::List(items) => {
                    let add = |sum: u64, item| sum.saturating_add(part(item, known));
                    items.iter().fold(8, add)
                }
                Json::Object(members) => members.iter().fold(8_u64, |sum, (key, member)| {
                    let size = part(member, known).saturating_add(key.len() as u64);
                    sum.saturating_add(size)
                }),
            };
            known.insert(json.place(), size);
            size
        }

        part(self, &mut HashMap::new())
    }

    /// The same, moved where nobody else has it.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Json::Whole(value) => Arc::unwrap_or_clone(value),
            other => other.value().into_owned(),
        }
    }

    /// What is not looked into to tell what kind of value it is: its own value if it is whole, or one
    /// without anything in it.
    pub(crate) fn kind(&self) -> &Value {
        static LIST: Value = Value::Array(Vec::new());
        static OBJECT: std::sync::LazyLock<Value> =
            std::sync::LazyLock::new(|| Value::Object(serde_json::Map::new()));
        match self {
            Json::Whole(value) => value,
            Json::List(_) => &LIST,
            Json::Object(_) => &OBJECT,
        }
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        Json::Whole(Arc::new(value))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        if self.is_same(other) {
            return true;
        }
        match (self, other) {
            (Json::Whole(one), Json::Whole(other)) => one == other,
            (Json::List(one), Json::List(other)) => one == other,
            (Json::Object(one), Json::Object(other)) => one == other,
            (Json::Whole(one), other) | (other, Json::Whole(one)) => other.equals(one),
            _ => false,
        }
    }
}

impl Json {
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Json::Whole(own), value) => **own == *value,
            (Json::List(own), Value::Array(items)) => {
                own.len() == items.len() && own.iter().zip(items).all(|(own, it)| own.equals(it))
            }
            (Json::Object(own), Value::Object(members)) => {
                let same = |(key, own): (&Arc<str>, &Json)| {
                    members.get(&**key).is_some_and(|it| own.equals(it))
                };
                own.len() == members.len() && own.iter().all(same)
            }
            _ => false,
        }
    }
}

/// Written out in full.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Whole(value) => value.serialize(serializer),
            Json::List(items) => serializer.collect_seq(items.iter()),
            Json::Object(members) => serializer.collect_map(members.iter().map(|(k, v)| (&**k, v))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The same value, in parts.
    fn parts(value: &Value) -> Json {
        match value {
            Value::Array(items) => Json::List(items.iter().map(parts).collect()),
            Value::Object(members) => Json::object(
                members
                    .iter()
                    .map(|(k, v)| (Arc::from(k.as_str()), parts(v))),
            ),
            other => Json::from(other.clone()),
        }
    }

    #[test]
    fn a_value_is_the_same_in_parts_and_as_a_whole() {
        let all = json!([null, true, 1, 1.5, "x", [], {}, [1, [2]], {"a": {"b": [3]}, "c": 1}]);
        let all = all.as_array().unwrap();
        for (index, one) in all.iter().enumerate() {
            let (whole, in_parts) = (Json::from(one.clone()), parts(one));
            assert_eq!(*in_parts.value(), *one);
            assert_eq!(in_parts.clone().into_value(), *one);
            assert_eq!(serde_json::to_value(&in_parts).unwrap(), *one);
            assert_eq!(in_parts.kind().is_array(), one.is_array());
            assert_eq!(in_parts.kind().is_object(), one.is_object());
            for (other_index, other) in all.iter().enumerate() {
                let is_same = index == other_index;
                assert_eq!(in_parts == parts(other), is_same, "{one} {other}");
                assert_eq!(
                    in_parts == Json::from(other.clone()),
                    is_same,
                    "{one} {other}"
                );
                assert_eq!(whole == parts(other), is_same, "{one} {other}");
            }
        }
    }

    #[test]
    fn the_size_in_full_is_about_that_of_the_text_and_saturates() {
        let value = json!({"key": ["x".repeat(1000), 1, null, {"a": 1.5}], "b": "y"});
        let text = value.to_string().len() as u64;
        for json in [Json::from(value.clone()), parts(&value)] {
            let size = json.full_size();
            assert!((text..text + 100).contains(&size), "{size} for {text}");
        }
        let mut json = Json::from(json!("x".repeat(1000)));
        for _ in 0..60 {
            json = Json::List(vec![json.clone(), json].into());
        }
        assert_eq!(json.full_size(), u64::MAX);
    }

    #[test]
    fn a_copy_is_the_same_in_memory() {
        for json in [
            Json::from(json!([1])),
            parts(&json!([1])),
            parts(&json!({"a": 1})),
        ] {
            assert!(json.is_same(&json.clone()));
            assert!(!json.is_same(&parts(&json.value())));
        }
    }
}
