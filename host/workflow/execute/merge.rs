//! What becomes of the states that branches end with.

use serde_json::{Map, Value};

use crate::workflow::model::MergeStrategy;
use crate::workflow::state::{PARALLEL_RESULTS, State};

/// Takes what the branches changed into `state`, by the strategy. `branches` are their names
/// and the states that they ended with, in the written order; `leave` are keys that are no
/// result of theirs.
///
/// # Errors
/// Where two branches changed the same key to different values, and that is a failure.
pub(crate) fn merge<'b>(
    strategy: MergeStrategy,
    state: &mut State,
    branches: impl Iterator<Item = (&'b str, &'b Map<String, Value>)>,
    leave: &[&str],
) -> Result<(), String> {
    if strategy == MergeStrategy::Isolated {
        return Ok(());
    }
    let before = state.clone();
    let mut changes: Vec<(&str, Vec<Change>)> = Vec::new();
    for (branch, after) in branches {
        let mut found = Vec::new();
        for (key, value) in after {
            let changed = before.get(key) != Some(value);
            if changed && key != PARALLEL_RESULTS && !leave.contains(&key.as_str()) {
                let path = vec![key.clone()];
                match strategy {
                    MergeStrategy::LastWriteWins => found.push(Change {
                        path,
                        value: value.clone(),
                    }),
                    _ => compare(path, before.get(key), value, &mut found),
                }
            }
        }
        changes.push((branch, found));
    }
    if strategy == MergeStrategy::FailOnConflict {
        check(&changes)?;
    }
    for change in changes.into_iter().flat_map(|(_, changes)| changes) {
        change.apply(state);
    }
    Ok(())
}

/// A value that a branch changed, and the keys that lead to it.
struct Change {
    path: Vec<String>,
    value: Value,
}

/// Finds what differs, as deep as there are mappings on both sides.
fn compare(path: Vec<String>, before: Option<&Value>, after: &Value, found: &mut Vec<Change>) {
    if before == Some(after) {
        return;
    }
    let empty = Map::new();
    let inside = match (before, after) {
        (Some(Value::Object(before)), Value::Object(after)) => Some((before, after)),
        // Two branches may each add a mapping under a new key: these are put together.
        (None, Value::Object(after)) if !after.is_empty() => Some((&empty, after)),
        _ => None,
    };
    match inside {
        Some((before, after)) => {
            for (key, value) in after {
                let path = path.iter().chain([key]).cloned().collect();
                compare(path, before.get(key), value, found);
            }
        }
        None => found.push(Change {
            path,
            value: after.clone(),
        }),
    }
}

fn check(changes: &[(&str, Vec<Change>)]) -> Result<(), String> {
    for (index, (branch, found)) in changes.iter().enumerate() {
        for change in found {
            for (earlier, theirs) in &changes[..index] {
                let clash = theirs.iter().find(|other| other.conflicts(change));
                if let Some(other) = clash {
                    let path = other.path.join(".");
                    return Err(format!(
                        "the branches `{earlier}` and `{branch}` both changed `{path}`, and \
                         `merge_strategy` is `fail_on_conflict`"
                    ));
                }
            }
        }
    }
    Ok(())
}

impl Change {
    /// Whether both can't be had: one key, or one inside of the other, with different values.
    fn conflicts(&self, other: &Change) -> bool {
        let shorter = self.path.len().min(other.path.len());
        self.path[..shorter] == other.path[..shorter]
            && (self.path.len() != other.path.len() || self.value != other.value)
    }

    fn apply(self, state: &mut State) {
        let [key, inside @ ..] = self.path.as_slice() else {
            return;
        };
        if inside.is_empty() {
            return state.set(key.clone(), self.value);
        }
        let mut root = state.get(key).cloned().unwrap_or_default();
        let mut place = &mut root;
        for key in inside {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(object) = place else {
                return;
            };
            place = object.entry(key.clone()).or_insert(Value::Null);
        }
        *place = self.value;
        state.set(key.clone(), root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("not an object: {other}"),
        }
    }

    fn merged(strategy: MergeStrategy, branches: [Value; 2]) -> Result<Value, String> {
        let before = json!({"n": 1, "m": {"a": 1, "b": {"c": 1}}, "list": [1]});
        let mut state = State::new(&object(before), Map::new());
        let branches = branches.map(object);
        let named = ["one", "two"].into_iter().zip(&branches);
        merge(strategy, &mut state, named, &["item"])?;
        Ok(Value::Object(state.into_json()))
    }

    use MergeStrategy::{FailOnConflict, Isolated, LastWriteWins, MergeDeep};

    #[rstest]
    #[case::nothing(Isolated, json!({"n": 2}), json!({"x": 3}), json!({"n": 1}))]
    #[case::later_wins(LastWriteWins, json!({"n": 2}), json!({"n": 3}), json!({"n": 3}))]
    #[case::unchanged_is_no_write(LastWriteWins, json!({"n": 2}), json!({"n": 1}), json!({"n": 2}))]
    #[case::whole_keys(
        LastWriteWins,
        json!({"m": {"a": 2, "b": {"c": 1}}}),
        json!({"m": {"a": 1, "b": {"c": 3}}}),
        json!({"m": {"a": 1, "b": {"c": 3}}})
    )]
    #[case::deep(
        MergeDeep,
        json!({"m": {"a": 2, "b": {"c": 1}}}),
        json!({"m": {"a": 1, "b": {"c": 3, "d": 4}}}),
        json!({"m": {"a": 2, "b": {"c": 3, "d": 4}}})
    )]
    #[case::new_mappings(MergeDeep, json!({"x": {"a": 1}}), json!({"x": {"b": 2}}), json!({"x": {"a": 1, "b": 2}}))]
    #[case::lists_are_values(MergeDeep, json!({"list": [1, 2]}), json!({"list": [1, 3]}), json!({"list": [1, 3]}))]
    #[case::no_conflict(FailOnConflict, json!({"x": 1, "n": 5}), json!({"y": 2, "n": 5}), json!({"x": 1, "y": 2, "n": 5}))]
    #[case::left_out(LastWriteWins, json!({"item": 1}), json!({"parallel_results": []}), json!({}))]
    fn strategies(
        #[case] strategy: MergeStrategy,
        #[case] one: Value,
        #[case] two: Value,
        #[case] changed: Value,
    ) {
        let mut expected = json!({"n": 1, "m": {"a": 1, "b": {"c": 1}}, "list": [1]});
        for (key, value) in object(changed) {
            expected[key] = value;
        }
        assert_eq!(merged(strategy, [one, two]), Ok(expected));
    }

    #[rstest]
    #[case(json!({"n": 2}), json!({"n": 3}), "`n`")]
    #[case(json!({"m": {"a": 1, "b": {"c": 2}}}), json!({"m": {"a": 1, "b": {"c": 3}}}), "`m.b.c`")]
    #[case(json!({"x": {"a": 1}}), json!({"x": 5}), "`x.a`")]
    fn conflicts(#[case] one: Value, #[case] two: Value, #[case] path: &str) {
        let error = merged(FailOnConflict, [one, two]).expect_err("they conflict");
        assert!(error.contains(path), "{error}");
        assert!(error.contains("`one` and `two`"), "{error}");
    }
}
