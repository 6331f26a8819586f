//! JSON whose parts may be shared: a copy is a pointer, however large what it points to.
//!
//! What branches give holds, for each branch, all of its state. Most of that is what the branch was
//! given and left as it was, which is there once, however many branches there are.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
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

    /// Whether it may be there more than once.
    pub(crate) fn is_shared(&self) -> bool {
        let times = match self {
            Json::Whole(value) => Arc::strong_count(value),
            Json::List(items) => Arc::strong_count(items),
            Json::Object(members) => Arc::strong_count(members),
        };
        times > 1
    }

    /// How deeply lists and objects are nested in it, itself counted. What is `known` of parts that are there
    /// more than once isn't looked at again.
    pub(crate) fn depth(&self, known: &mut HashMap<*const (), usize>) -> usize {
        fn whole(value: &Value) -> usize {
            match value {
                Value::Array(items) => 1 + items.iter().map(whole).max().unwrap_or(0),
                Value::Object(members) => 1 + members.values().map(whole).max().unwrap_or(0),
                _ => 0,
            }
        }

        if let Some(depth) = known.get(&self.place()) {
            return *depth;
        }
        let depth = match self {
            Json::Whole(value) => whole(value),
            Json::List(items) => 1 + items.iter().map(|it| it.depth(known)).max().unwrap_or(0),
            Json::Object(members) => {
                1 + members
                    .values()
                    .map(|it| it.depth(known))
                    .max()
                    .unwrap_or(0)
            }
        };
        if self.is_shared() {
            known.insert(self.place(), depth);
        }
        depth
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

    /// About how many bytes more it takes to write it out in full than to write each part once. Each part is
    /// looked at once, however often it is there.
    pub(crate) fn excess(&self) -> u64 {
        let mut known = HashMap::new();
        let mut once = 0;
        part_size(self, &mut known, &mut once).saturating_sub(once)
    }

    /// What of it is there several times, by where it lies. What lies in one that is there again isn't looked at
    /// again.
    pub(crate) fn several(&self) -> HashSet<*const ()> {
        fn find(json: &Json, met: &mut HashSet<*const ()>, several: &mut HashSet<*const ()>) {
            if json.is_shared() && !met.insert(json.place()) {
                several.insert(json.place());
                return;
            }
            match json {
                Json::Whole(_) => {}
                Json::List(items) => items.iter().for_each(|item| find(item, met, several)),
                Json::Object(members) => members.values().for_each(|it| find(it, met, several)),
            }
        }

        let mut several = HashSet::new();
        find(self, &mut HashSet::new(), &mut several);
        several
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

/// Bytes of a value beside its text.
const EACH: u64 = 8;

fn whole_size(value: &Value) -> u64 {
    EACH + match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(whole_size).sum(),
        Value::Object(members) => {
            let members = members.iter();
            members
                .map(|(key, it)| key.len() as u64 + whole_size(it))
                .sum()
        }
        _ => 0,
    }
}

/// The size of a value in full; what was not `known` before is added to `once`.
fn part_size(json: &Json, known: &mut HashMap<*const (), u64>, once: &mut u64) -> u64 {
    if let Some(size) = known.get(&json.place()) {
        return *size;
    }
    let (own, inside) = match json {
        Json::Whole(value) => (whole_size(value), 0),
        Json::List(items) => {
            let sizes = items.iter().map(|item| part_size(item, known, once));
            (EACH, sizes.fold(0, u64::saturating_add))
        }
        Json::Object(members) => {
            let keys: u64 = members.keys().map(|key| key.len() as u64).sum();
            let sizes = members.values().map(|it| part_size(it, known, once));
            (EACH + keys, sizes.fold(0, u64::saturating_add))
        }
    };
    *once = once.saturating_add(own);
    let size = own.saturating_add(inside);
    if json.is_shared() {
        known.insert(json.place(), size);
    }
    size
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        Json::Whole(Arc::new(value))
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.is_equal(other, &mut HashSet::new())
    }
}

impl Json {
    /// Whether both are the same value. Pairs that are `known` to be aren't looked at again, nor are those
    /// that are looked at already.
    fn is_equal(&self, other: &Json, known: &mut HashSet<(*const (), *const ())>) -> bool {
        if self.is_same(other) {
            return true;
        }
        match (self, other) {
            (Json::Whole(one), Json::Whole(other)) => return one == other,
            (Json::Whole(one), other) | (other, Json::Whole(one)) => return other.equals(one),
            _ => {}
        }
        if self.is_shared() && other.is_shared() && !known.insert((self.place(), other.place())) {
            // Where they differ, that ended the comparison.
            return true;
        }
        match (self, other) {
            (Json::List(one), Json::List(other)) => {
                let mut pairs = one.iter().zip(other.iter());
                one.len() == other.len() && pairs.all(|(one, other)| one.is_equal(other, known))
            }
            (Json::Object(one), Json::Object(other)) => {
                let mut pairs = one.iter().zip(other.iter());
                let mut same = |((key, one), (other_key, other)): ((_, &Json), (_, &Json))| {
                    key == other_key && one.is_equal(other, known)
                };
                one.len() == other.len() && pairs.all(&mut same)
            }
            _ => false,
        }
    }

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
    fn what_is_there_several_times_counts_once_less() {
        let text = Json::from(json!("x".repeat(1000)));
        assert_eq!(text.excess(), 0);
        for times in 1..4 {
            let list = Json::List(vec![text.clone(); times].into());
            let excess = list.excess() / 1000;
            assert_eq!(excess, times as u64 - 1, "{times}");
        }
        let mut json = text;
        for _ in 0..60 {
            json = Json::List(vec![json.clone(), json].into());
        }
        assert!(json.excess() > 1 << 60);
        assert_eq!(json.several().len(), 60);
    }

    #[test]
    fn what_is_there_several_times_is_compared_once() {
        let tower = |bottom: i32| {
            let mut json = Json::from(json!(bottom));
            for level in 0..60 {
                json = match level % 2 {
                    0 => Json::List(vec![json.clone(), json].into()),
                    _ => Json::object([("a".into(), json.clone()), ("b".into(), json)]),
                };
            }
            json
        };
        assert_eq!(tower(1), tower(1));
        assert_ne!(tower(1), tower(2));
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
