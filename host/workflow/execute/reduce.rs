//! Reducers: how the values that branches gave one key become one.

use std::collections::HashSet;

use serde_json::{Number, Value};

use crate::workflow::json::Json;
use crate::workflow::model::Reducer;

/// The value of `key` after a fan-out, by the one from before and those that branches gave it, in the
/// written order: only of branches that changed it. Null is nothing that counts.
///
/// # Errors
/// Where a value isn't of the kind that the reducer is about.
pub(crate) fn reduce(
    reducer: Reducer,
    key: &str,
    before: Option<&Json>,
    given: &[(&str, &Json)],
) -> Result<Json, String> {
    let of_key = Key { reducer, key };
    let before = before.filter(|it| !it.kind().is_null());
    let counts = given.iter().filter(|(_, value)| !value.kind().is_null());
    match reducer {
        Reducer::Append | Reducer::Union => {
            let own = before.map(|it| it.value().into_owned());
            let own = own.map(|it| of_key.list(None, it)).transpose()?;
            let own = own.unwrap_or_default();
            let mut all = own.clone();
            for (branch, value) in counts {
                let items = of_key.list(Some(branch), value.value().into_owned())?;
                // What the branch put behind those that it was given.
                let begun = if items.starts_with(&own) {
                    own.len()
                } else {
                    0
                };
                all.extend(items.into_iter().skip(begun));
            }
            if reducer == Reducer::Union {
                // Objects are written with their keys in order.
                let mut known = HashSet::new();
                all.retain(|item| known.insert(item.to_string()));
            }
            Ok(Value::Array(all).into())
        }
        Reducer::Sum => {
            let own = before
                .map(|it| of_key.number(None, it.kind()))
                .transpose()?;
            let mut sum = own.clone().unwrap_or_else(|| Number::from(0));
            for (branch, value) in counts {
                let number = of_key.number(Some(branch), value.kind())?;
                // What the branch added to what it was given.
                let added = match &own {
                    Some(own) => of_key.add(&number, own, i64::checked_sub, |a, b| a - b)?,
                    None => number,
                };
                sum = of_key.add(&sum, &added, i64::checked_add, |a, b| a + b)?;
            }
            Ok(Value::Number(sum).into())
        }
        Reducer::Min | Reducer::Max => {
            let mut best = before;
            if let Some(own) = before {
                of_key.check_order(None, own.kind(), own.kind())?;
            }
            for (branch, value) in counts {
                let is_better = match best {
                    None => {
                        of_key.check_order(Some(branch), value.kind(), value.kind())?;
                        true
                    }
                    Some(best) => of_key.check_order(Some(branch), value.kind(), best.kind())?,
                };
                if is_better {
                    best = Some(value);
                }
            }
            Ok(best.cloned().unwrap_or_else(|| Value::Null.into()))
        }
        // All others are no matter of one value in place of another.
        Reducer::Last | Reducer::Deep | Reducer::Fail => {
            let last = given.last().map(|(_, value)| (*value).clone());
            Ok(last
                .or(before.cloned())
                .unwrap_or_else(|| Value::Null.into()))
        }
    }
}

/// A key and its reducer, for messages.
#[derive(Clone, Copy)]
struct Key<'k> {
    reducer: Reducer,
    key: &'k str,
}

impl Key<'_> {
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
        let (key, word) = (self.key, self.reducer.word());
        Err(format!(
            "`{key}` {whose} is {found}, and its reducer `{word}` takes {expected}"
        ))
    }

    /// An empty Lua table is an empty list where only a list can be meant.
    fn list(&self, branch: Option<&str>, value: Value) -> Result<Vec<Value>, String> {
        match value {
            Value::Array(items) => Ok(items),
            Value::Object(members) if members.is_empty() => Ok(Vec::new()),
            other => self.refuse(branch, "lists", &other),
        }
    }

    fn number(&self, branch: Option<&str>, value: &Value) -> Result<Number, String> {
        match value {
            Value::Number(number) => Ok(number.clone()),
            other => self.refuse(branch, "numbers", other),
        }
    }

    /// Integers stay integers.
    fn add(
        &self,
        one: &Number,
        other: &Number,
        exact: fn(i64, i64) -> Option<i64>,
        float: fn(f64, f64) -> f64,
    ) -> Result<Number, String> {
        let too_large = || format!("the sum of `{}` is beyond what a number can be", self.key);
        if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
            return exact(one, other).map(Number::from).ok_or_else(too_large);
        }
        let (one, other) = (one.as_f64(), other.as_f64());
        let sum = one
            .zip(other)
            .and_then(|(one, other)| Number::from_f64(float(one, other)));
        sum.ok_or_else(too_large)
    }

    /// Whether `value` comes before what was best until now.
    fn check_order(
        &self,
        branch: Option<&str>,
        value: &Value,
        best: &Value,
    ) -> Result<bool, String> {
        let order = match (value, best) {
            (Value::Number(value), Value::Number(best)) => match (value.as_i64(), best.as_i64()) {
                (Some(value), Some(best)) => Some(value.cmp(&best)),
                _ => value.as_f64().partial_cmp(&best.as_f64()),
            },
            (Value::String(value), Value::String(best)) => Some(value.cmp(best)),
            (other, Value::Number(_)) => return self.refuse(branch, "numbers alone here", other),
            (other, Value::String(_)) => return self.refuse(branch, "strings alone here", other),
            (other, _) => return self.refuse(branch, "numbers, or strings", other),
        };
        Ok(match self.reducer {
            Reducer::Min => order.is_some_and(std::cmp::Ordering::is_lt),
            _ => order.is_some_and(std::cmp::Ordering::is_gt),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    use Reducer::{Append, Last, Max, Min, Sum, Union};

    fn reduced(reducer: Reducer, before: Value, given: Value) -> Result<Value, String> {
        let before = (!before.is_null()).then(|| Json::from(before));
        let given: Vec<Json> = given
            .as_array()
            .unwrap()
            .iter()
            .cloned()
            .map(Json::from)
            .collect();
        let given: Vec<_> = ["a", "b", "c"].into_iter().zip(&given).collect();
        reduce(reducer, "key", before.as_ref(), &given).map(Json::into_value)
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
    #[case(Sum, json!(i64::MAX), json!([i64::MIN]), "the sum of `key` is beyond what a number can be")]
    #[case(Min, json!(1), json!(["2"]), "`key` of the branch `a` is a string, and its reducer `min` takes numbers alone here")]
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
