//! The combinations of a matrix, with `include` and `exclude` as GitHub Actions has them.

use serde_json::{Map, Value};

use crate::workflow::expression::Scope;
use crate::workflow::model::Matrix;

/// As many combinations as there may be: lists of a few values multiply to more than anything could
/// run, or hold.
const MAX_COMBINATIONS: usize = 100_000;

type Combination = Map<String, Value>;

/// All combinations: those of the lists, in the written order with the last key changing fastest,
/// without those that `exclude` names; and what `include` adds to them, or puts behind them.
///
/// # Errors
/// Where what should be a list isn't one, or there are too many combinations.
pub(crate) fn combinations(matrix: &Matrix, scope: &Scope) -> Result<Vec<Value>, String> {
    let mut axes = Vec::with_capacity(matrix.axes.len());
    let mut count = usize::from(!matrix.axes.is_empty());
    for (axis, values) in &matrix.axes {
        let values = list(axis, values.value.fill(scope)?)?;
        count = count.saturating_mul(values.len());
        axes.push((axis.as_str(), values));
    }
    if count > MAX_COMBINATIONS {
        return Err(format!(
            "the matrix has {count} combinations; there may be {MAX_COMBINATIONS}"
        ));
    }
    let mut all = match axes.is_empty() {
        true => Vec::new(),
        false => vec![Combination::new()],
    };
    for (axis, values) in &axes {
        let with = |before: Combination| {
            values.iter().map(move |value| {
                let mut combination = before.clone();
                combination.insert((*axis).to_owned(), value.clone());
                combination
            })
        };
        all = all.into_iter().flat_map(with).collect();
    }
    if let Some(exclude) = &matrix.exclude {
        for pattern in mappings("exclude", exclude.value.fill(scope)?)? {
            all.retain(|combination| {
                let matches = |(key, value): (&String, &Value)| {
                    combination.get(key).is_some_and(|own| agrees(own, value))
                };
                !pattern.iter().all(matches)
            });
        }
    }
    let Some(include) = &matrix.include else {
        return Ok(all.into_iter().map(Value::Object).collect());
    };
    let is_axis = |key: &str| axes.iter().any(|(axis, _)| *axis == key);
    // What `include` says of a key of the matrix is which combinations it is about.
    let own = all.len();
    for extra in mappings("include", include.value.fill(scope)?)? {
        let is_about = |combination: &Combination| {
            let mut of_axes = extra.iter().filter(|(key, _)| is_axis(key));
            of_axes.all(|(key, value)| combination.get(key).is_some_and(|own| agrees(own, value)))
        };
        let mut is_added = false;
        for combination in all[..own].iter_mut().filter(|it| is_about(it)) {
            let more = extra.iter().filter(|(key, _)| !is_axis(key));
            combination.extend(more.map(|(key, value)| (key.clone(), value.clone())));
            is_added = true;
        }
        if !is_added {
            all.push(extra);
        }
    }
    Ok(all.into_iter().map(Value::Object).collect())
}

/// A list of mappings.
fn mappings(what: &str, value: Value) -> Result<Vec<Combination>, String> {
    let items = list(what, value)?.into_iter();
    items
        .map(|item| match item {
            Value::Object(mapping) => Ok(mapping),
            other => Err(format!(
                "an item of `{what}` must be a mapping of keys to values, not `{other}`"
            )),
        })
        .collect()
}

/// Whether a value is the one that is asked for; of a mapping, whether it has what that one has.
fn agrees(own: &Value, asked: &Value) -> bool {
    match (own, asked) {
        (Value::Number(own), Value::Number(asked)) => {
            own == asked || own.as_f64() == asked.as_f64()
        }
        (Value::Object(own), Value::Object(asked)) => asked
            .iter()
            .all(|(key, asked)| own.get(key).is_some_and(|own| agrees(own, asked))),
        (own, asked) => own == asked,
    }
}

/// A list that a template gave; nothing is an empty one, and so is an empty table of Lua's.
///
/// # Errors
/// If it is anything else.
pub(crate) fn list(what: &str, value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(Vec::new()),
        Value::Object(empty) if empty.is_empty() => Ok(Vec::new()),
        other => {
            let kind = match other {
                Value::String(_) => "a string",
                Value::Number(_) => "a number",
                Value::Bool(_) => "a boolean",
                _ => "a mapping",
            };
            Err(format!("`{what}` must be a list, not {kind}"))
        }
    }
}
