//! Reducers: how the values that branches gave one key become one.
//!
//! Values are taken in one by one, in whatever order branches end, and by several threads at once, whose parts
//! are put together in the end. What comes of it is the same each time: lists and sets go by the index of their
//! branch, sums are exact and rounded once, and of equal values the first branch's counts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Number, Value};

use crate::workflow::execute::best::{Best, join_best, precedes};
use crate::workflow::execute::exact::ExactSum;
use crate::workflow::execute::partial::{Partial, What, put_first};
use crate::workflow::json::Json;
use crate::workflow::model::Reducer;

/// A key with its reducer, and its value from before the branches.
pub(crate) struct Reduction {
    pub(crate) key: Arc<str>,
    reducer: Reducer,
    /// Null is nothing that counts.
    before: Option<Json>,
    /// The same as a list, and what is in it by its text, where that is what the reducer is about.
    list: Vec<Value>,
    texts: HashSet<String>,
}

impl Reduction {
    /// The reduction of a key that had this value before.
    ///
    /// # Errors
    /// If that isn't of the kind that the reducer is about.
    pub(crate) fn new(
        reducer: Reducer,
        key: &str,
        before: Option<&Json>,
    ) -> Result<Reduction, String> {
        let before = before.filter(|it| !it.kind().is_null());
        let mut reduction = Reduction {
            key: key.into(),
            reducer,
            before: before.cloned(),
            list: Vec::new(),
            texts: HashSet::new(),
        };
        let Some(before) = before else {
            return Ok(reduction);
        };
        match reducer {
            Reducer::Append => reduction.list = reduction.as_list(None, before)?,
            Reducer::Union => {
                reduction.list = reduction.as_list(None, before)?;
                reduction.texts = reduction.list.iter().map(Value::to_string).collect();
            }
            Reducer::Sum => drop(reduction.as_number(None, before.kind())?),
            Reducer::Min | Reducer::Max => match before.kind() {
                Value::Number(_) | Value::String(_) => {}
                other => return reduction.refuse(None, NUMBERS_OR_STRINGS, other),
            },
            Reducer::Last | Reducer::Deep | Reducer::Fail => {}
        }
        Ok(reduction)
    }

    /// What no branch has given anything to yet.
    pub(crate) fn empty(&self) -> Partial {
        Partial {
            is_given: false,
            what: match self.reducer {
                Reducer::Append => What::Lists(BTreeMap::new()),
                Reducer::Union => What::Set(HashMap::new()),
                Reducer::Sum => What::Sum(ExactSum::default()),
                Reducer::Min | Reducer::Max => What::Best {
                    numbers: None,
                    strings: None,
                },
                // The other two are no matter of one value in place of another.
                Reducer::Last | Reducer::Deep | Reducer::Fail => What::Last(None),
            },
            wrong: None,
        }
    }

    /// Takes in what a branch gave, which changed the key.
    pub(crate) fn take(&self, into: &mut Partial, index: usize, branch: &Arc<str>, value: &Json) {
        into.is_given = true;
        if let Err(why) = self.add(&mut into.what, index, branch, value) {
            into.note(index, why);
        }
    }

    fn add(
        &self,
        what: &mut What,
        index: usize,
        branch: &Arc<str>,
        value: &Json,
    ) -> Result<(), String> {
        if let What::Last(last) = what {
            if last.as_ref().is_none_or(|(known, _)| *known < index) {
                *last = Some((index, value.clone()));
            }
            return Ok(());
        }
        if value.kind().is_null() {
            return Ok(());
        }
        match what {
            What::Last(_) => {}
            What::Lists(lists) => drop(lists.insert(index, self.added(branch, value)?)),
            What::Set(set) => {
                for (at, item) in self.added(branch, value)?.into_iter().enumerate() {
                    // Objects are written with their keys in order.
                    let text = item.to_string();
                    if !self.texts.contains(&text) {
                        put_first(set, text, (index, at, item));
                    }
                }
            }
            What::Sum(sum) => {
                let number = self.as_number(Some(branch), value.kind())?;
                sum.add(number);
                // What the branch added to what it was given.
                if let Some(Value::Number(own)) = self.before.as_ref().map(Json::kind) {
                    sum.subtract(own);
                }
            }
            What::Best { numbers, strings } => {
                let own = self.before.as_ref().map(Json::kind);
                let best = match (value.kind(), own) {
                    (Value::Number(_), None | Some(Value::Number(_))) => numbers,
                    (Value::String(_), None | Some(Value::String(_))) => strings,
                    (other, Some(Value::Number(_))) => {
                        return self.refuse(Some(branch), NUMBERS, other);
                    }
                    (other, Some(Value::String(_))) => {
                        return self.refuse(Some(branch), STRINGS, other);
                    }
                    (other, _) => return self.refuse(Some(branch), NUMBERS_OR_STRINGS, other),
                };
                let this = Best {
                    first: (index, Arc::clone(branch)),
                    best: (index, value.clone()),
                };
                join_best(best, Some(this), self.reducer);
            }
        }
        Ok(())
    }

    /// Puts what other branches gave beside this.
    pub(crate) fn join(&self, into: &mut Partial, other: Partial) {
        into.is_given |= other.is_given;
        match (&mut into.what, other.what) {
            (What::Lists(lists), What::Lists(mut more)) => lists.append(&mut more),
            (What::Set(set), What::Set(more)) => {
                for (text, item) in more {
                    put_first(set, text, item);
                }
            }
            (What::Sum(sum), What::Sum(more)) => sum.join(more),
            (
                What::Best { numbers, strings },
                What::Best {
                    numbers: more_numbers,
                    strings: more_strings,
                },
            ) => {
                join_best(numbers, more_numbers, self.reducer);
                join_best(strings, more_strings, self.reducer);
            }
            (What::Last(last), What::Last(Some(more)))
                if last.as_ref().is_none_or(|(known, _)| *known < more.0) =>
            {
                *last = Some(more);
            }
            // One reducer's are all of one kind.
            _ => {}
        }
        if let Some((index, why)) = other.wrong {
            into.note(index, why);
        }
    }

    /// The value after the fan-out, if any branch gave the key one.
    ///
    /// # Errors
    /// Where a value isn't of the kind that the reducer is about: that of the first such branch.
    pub(crate) fn finish(&self, mut partial: Partial) -> Result<Option<Json>, String> {
        if let What::Best {
            numbers: Some(numbers),
            strings: Some(strings),
        } = &partial.what
        {
            // Which of the two may be there is up to the first branch.
            let example = |best: &Best| best.best.1.kind().clone();
            let (index, why) = match numbers.first.0 < strings.first.0 {
                true => {
                    let (index, branch) = &strings.first;
                    let why = self.refuse::<()>(Some(branch), NUMBERS, &example(strings));
                    (*index, why)
                }
                false => {
                    let (index, branch) = &numbers.first;
                    let why = self.refuse::<()>(Some(branch), STRINGS, &example(numbers));
                    (*index, why)
                }
            };
            if let Err(why) = why {
                partial.note(index, why);
            }
        }
        if let Some((_, why)) = partial.wrong {
            return Err(why);
        }
        if !partial.is_given {
            return Ok(None);
        }
        let value = match partial.what {
            What::Lists(lists) => {
                let own = self.list.iter().cloned();
                Some(Value::Array(own.chain(lists.into_values().flatten()).collect()).into())
            }
            What::Set(set) => {
                let mut known = HashSet::new();
                let own = self.list.iter().cloned();
                let mut all: Vec<_> = own.filter(|it| known.insert(it.to_string())).collect();
                let mut items: Vec<_> = set.into_values().collect();
                items.sort_unstable_by_key(|(index, at, _)| (*index, *at));
                all.extend(items.into_iter().map(|(.., item)| item));
                Some(Value::Array(all).into())
            }
            What::Sum(mut sum) => {
                if let Some(Value::Number(own)) = self.before.as_ref().map(Json::kind) {
                    sum.add(own);
                }
                let too_large =
                    || format!("the sum of `{}` is beyond what a number can be", self.key);
                Some(Value::Number(sum.number().ok_or_else(too_large)?).into())
            }
            What::Best { numbers, strings } => {
                let given = numbers.or(strings).map(|best| best.best.1);
                match (&self.before, given) {
                    (Some(own), Some(given)) => {
                        let is_better = precedes(self.reducer, given.kind(), own.kind());
                        Some(if is_better { given } else { own.clone() })
                    }
                    (own, given) => given.or_else(|| own.clone()),
                }
            }
            What::Last(last) => last.map(|(_, value)| value).or_else(|| self.before.clone()),
        };
        Ok(Some(value.unwrap_or_else(|| Value::Null.into())))
    }

    /// What a branch put behind the list that it was given; of a list that doesn't begin with that, all.
    fn added(&self, branch: &str, value: &Json) -> Result<Vec<Value>, String> {
        let mut items = self.as_list(Some(branch), value)?;
        if items.starts_with(&self.list) {
            items.drain(..self.list.len());
        }
        Ok(items)
    }

    fn refuse<T>(&self, branch: Option<&str>, expected: &str, value: &Value) -> Result<T, String> {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
        };
        let whose = match branch {
            Some(branch) => format!("of the branch `{branch}`"),
            None => "from before the branches".to_owned(),
        };
        let (key, word) = (&self.key, self.reducer.word());
        Err(format!(
            "`{key}` {whose} is {found}, and its reducer `{word}` takes {expected}"
        ))
    }

    /// An empty Lua table is an empty list where only a list can be meant.
    fn as_list(&self, branch: Option<&str>, value: &Json) -> Result<Vec<Value>, String> {
        match value.value().into_owned() {
            Value::Array(items) => Ok(items),
            Value::Object(members) if members.is_empty() => Ok(Vec::new()),
            other => self.refuse(branch, "lists", &other),
        }
    }

    fn as_number<'v>(&self, branch: Option<&str>, value: &'v Value) -> Result<&'v Number, String> {
        match value {
            Value::Number(number) => Ok(number),
            other => self.refuse(branch, "numbers", other),
        }
    }
}

const NUMBERS: &str = "numbers alone here";
const STRINGS: &str = "strings alone here";
const NUMBERS_OR_STRINGS: &str = "numbers, or strings";

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    use Reducer::{Append, Last, Max, Min, Sum, Union};

    const NAMES: [&str; 3] = ["a", "b", "c"];

    /// What becomes of the values if they come in this order, to as many threads as they are cut into.
    fn reduced_in(
        reducer: Reducer,
        before: &Value,
        given: &[(usize, Value)],
        cuts: usize,
    ) -> Result<Value, String> {
        let before = Json::from(before.clone());
        let reduction = Reduction::new(reducer, "key", Some(&before))?;
        let mut parts: Vec<_> = (0..cuts).map(|_| reduction.empty()).collect();
        for (nth, (index, value)) in given.iter().enumerate() {
            let name = Arc::from(NAMES[*index]);
            let value = Json::from(value.clone());
            reduction.take(&mut parts[nth % cuts], *index, &name, &value);
        }
        let mut all = reduction.empty();
        parts
            .into_iter()
            .for_each(|part| reduction.join(&mut all, part));
        let value = reduction.finish(all)?;
        Ok(value.expect("it was given something").into_value())
    }

    /// The same whatever the order, and on however many threads.
    fn reduced(reducer: Reducer, before: Value, given: Value) -> Result<Value, String> {
        let given: Vec<_> = given
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .enumerate()
            .collect();
        let expected = reduced_in(reducer, &before, &given, 1);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20 {
            let mut given = given.clone();
            random.shuffle(&mut given);
            let cuts = random.usize(1..4);
            assert_eq!(reduced_in(reducer, &before, &given, cuts), expected);
        }
        expected
    }

    #[rstest]
    #[case::what_comes_after(Append, json!([0]), json!([[0, 1], [0, 2, 3]]), json!([0, 1, 2, 3]))]
    #[case::own_lists(Append, json!([0]), json!([[1], [2]]), json!([0, 1, 2]))]
    #[case::from_nothing(Append, json!(null), json!([[1], [1]]), json!([1, 1]))]
    #[case::empty_tables(Append, json!({}), json!([{}, [1]]), json!([1]))]
    #[case::nulls(Append, json!([1]), json!([null, [1, 2]]), json!([1, 2]))]
    #[case::a_shorter_one(Append, json!([1, 2]), json!([[1], []]), json!([1, 2, 1]))]
    #[case::each_once(Union, json!([1]), json!([[1, 2], [2, 3, 3]]), json!([1, 2, 3]))]
    #[case::of_any_kind(Union, json!(null), json!([[{"a": 1, "b": 2}, "1"], [{"b": 2, "a": 1}, 1]]), json!([{"a": 1, "b": 2}, "1", 1]))]
    #[case::what_was_added(Sum, json!(10), json!([15, 12]), json!(17))]
    #[case::sums_from_nothing(Sum, json!(null), json!([5, 2, null]), json!(7))]
    #[case::taken_off(Sum, json!(10), json!([9, 8]), json!(7))]
    #[case::floats(Sum, json!(1), json!([1.5, 2]), json!(2.5))]
    #[case::over_the_edge_and_back(Sum, json!(i64::MAX), json!([i64::MIN]), json!(i64::MIN))]
    #[case::rounded_once(Sum, json!(null), json!([0.1, 0.2, 0.3]), json!(0.6))]
    #[case::the_first_of_equal_ones(Max, json!(null), json!([1, 2.0, 2]), json!(2.0))]
    #[case::that_from_before_of_equal_ones(Min, json!(2), json!([2.0, 3]), json!(2))]
    #[case::least(Min, json!(3), json!([5, 2, 4]), json!(2))]
    #[case::least_from_before(Min, json!(1), json!([5, 2]), json!(1))]
    #[case::most(Max, json!(null), json!([5, 2.5, 7]), json!(7))]
    #[case::beyond_floats(Max, json!(9_007_199_254_740_992_i64), json!([9_007_199_254_740_993_i64]), json!(9_007_199_254_740_993_i64))]
    #[case::texts(Max, json!("b"), json!(["a", "c"]), json!("c"))]
    #[case::last(Last, json!(1), json!([2, {"x": 1}]), json!({"x": 1}))]
    #[case::last_null(Last, json!(1), json!([2, null]), json!(null))]
    fn values(
        #[case] reducer: Reducer,
        #[case] before: Value,
        #[case] given: Value,
        #[case] expected: Value,
    ) {
        assert_eq!(reduced(reducer, before, given), Ok(expected));
    }

    #[rstest]
    #[case(Append, json!("x"), json!([[1]]), "`key` from before the branches is a string, and its reducer `append` takes lists")]
    #[case(Append, json!([]), json!([[1], {"a": 1}]), "`key` of the branch `b` is a mapping, and its reducer `append` takes lists")]
    #[case(Union, json!([]), json!([1]), "`key` of the branch `a` is a number, and its reducer `union` takes lists")]
    #[case(Sum, json!(1), json!(["2"]), "`key` of the branch `a` is a string, and its reducer `sum` takes numbers")]
    #[case(Sum, json!(null), json!([i64::MAX, 1]), "the sum of `key` is beyond what a number can be")]
    #[case(Min, json!(1), json!(["2"]), "`key` of the branch `a` is a string, and its reducer `min` takes numbers alone here")]
    #[case(Max, json!(null), json!([null, "x", 1]), "`key` of the branch `c` is a number, and its reducer `max` takes strings alone here")]
    #[case(Min, json!(null), json!([1, "x", "y"]), "`key` of the branch `b` is a string, and its reducer `min` takes numbers alone here")]
    #[case(Sum, json!(null), json!([1, "x", []]), "`key` of the branch `b` is a string, and")]
    #[case(Max, json!("x"), json!([1]), "takes strings alone here")]
    #[case(Max, json!(null), json!([[1]]), "is a list, and its reducer `max` takes numbers, or strings")]
    #[case(Max, json!({}), json!([]), "from before the branches is a mapping, and its reducer `max` takes numbers, or strings")]
    fn what_they_do_not_take(
        #[case] reducer: Reducer,
        #[case] before: Value,
        #[case] given: Value,
        #[case] why: &str,
    ) {
        let error = reduced(reducer, before, given).expect_err("it is refused");
        assert!(error.contains(why), "{error}");
    }
}
