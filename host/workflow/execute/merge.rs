//! What becomes of the states that branches end with.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::workflow::execute::reduce::Reduction;
use crate::workflow::json::Json;
use crate::workflow::model::{Merge, MergeStrategy, Reducer};
use crate::workflow::state::{PARALLEL_RESULTS, State};

/// A branch's name, and the state that it ended with.
pub(crate) type Ended<'b> = (&'b Arc<str>, &'b State);

/// Takes what the branches changed into `state`. `branches` are those that succeeded, in the written
/// order; `leave` are keys that are no result of theirs.
///
/// # Errors
/// Where values can't be put together, or two branches changed the same key to different ones and
/// that is a failure.
pub(crate) fn merge(
    merge: &Merge,
    state: &mut State,
    branches: &[Ended<'_>],
    leave: &[&str],
) -> Result<(), String> {
    if merge.strategy == MergeStrategy::Isolated && merge.reducers.is_empty() {
        return Ok(());
    }
    let before = state.clone();
    let mut rest = Vec::new();
    let mut reduced = Vec::new();
    for (branch, after) in branches {
        let mut changed = Vec::new();
        for (key, value) in after.iter() {
            let is_result = &**key != PARALLEL_RESULTS && !leave.contains(&&**key);
            if is_result && before.get(key) != Some(value) {
                match merge.reducers.get(&**key) {
                    Some(reducer) => reduced.push((&**key, *reducer, *branch, value)),
                    None => changed.push((&**key, value)),
                }
            }
        }
        rest.push((&***branch, changed));
    }
    match merge.strategy {
        MergeStrategy::Isolated => {}
        MergeStrategy::LastWriteWins => {
            for (key, value) in rest.into_iter().flat_map(|(_, changed)| changed) {
                state.set(key, value.clone());
            }
        }
        MergeStrategy::MergeDeep => deep(state, &rest, None)?,
        MergeStrategy::FailOnConflict => deep(state, &rest, Some(Rule::Strategy))?,
    }
    // Key by key, and what the branches gave it in the written order.
    reduced.sort_by_key(|(key, ..)| *key);
    for of_key in reduced.chunk_by(|one, other| one.0 == other.0) {
        let (key, reducer, ..) = of_key[0];
        match reducer {
            Reducer::Deep | Reducer::Fail => {
                let rule = (reducer == Reducer::Fail).then_some(Rule::Reducer);
                let changed = of_key
                    .iter()
                    .map(|(_, _, branch, value)| (&***branch, vec![(key, *value)]));
                deep(state, &changed.collect::<Vec<_>>(), rule)?;
            }
            _ => {
                let reduction = Reduction::new(reducer, key, before.get(key))?;
                let mut all = reduction.empty();
                for (index, (_, _, branch, value)) in of_key.iter().enumerate() {
                    reduction.take(&mut all, index, branch, value);
                }
                if let Some(value) = reduction.finish(all)? {
                    state.set(key, value);
                }
            }
        }
    }
    Ok(())
}

/// What forbids that two branches change one key to different values.
#[derive(Clone, Copy)]
enum Rule {
    Strategy,
    Reducer,
}

/// Puts what the branches changed together key by key in mappings of any depth.
fn deep(
    state: &mut State,
    branches: &[(&str, Vec<(&str, &Json)>)],
    rule: Option<Rule>,
) -> Result<(), String> {
    let mut changes: Vec<(&str, Vec<Change>)> = Vec::new();
    for (branch, changed) in branches {
        let mut found = Vec::new();
        for (key, value) in changed {
            let before = state.get(key).map(Json::value);
            let path = vec![(*key).to_owned()];
            compare(path, before.as_deref(), &value.value(), &mut found);
        }
        changes.push((branch, found));
    }
    if let Some(rule) = rule {
        check(&changes, rule)?;
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

fn check(changes: &[(&str, Vec<Change>)], rule: Rule) -> Result<(), String> {
    for (index, (branch, found)) in changes.iter().enumerate() {
        for change in found {
            for (earlier, theirs) in &changes[..index] {
                let clash = theirs.iter().find(|other| other.conflicts(change));
                if let Some(other) = clash {
                    let path = other.path.join(".");
                    let rule = match rule {
                        Rule::Strategy => "`merge_strategy` is `fail_on_conflict`".to_owned(),
                        Rule::Reducer => format!("`merge` says `fail` of `{}`", change.path[0]),
                    };
                    return Err(format!(
                        "the branches `{earlier}` and `{branch}` both changed `{path}`, and {rule}"
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
            return state.set(key.as_str(), self.value);
        }
        let mut root = state
            .get(key)
            .map(|json| json.value().into_owned())
            .unwrap_or_default();
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
        state.set(key.as_str(), root);
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

    fn merged(how: &Merge, branches: [Value; 2]) -> Result<Value, String> {
        let before = json!({"n": 1, "m": {"a": 1, "b": {"c": 1}}, "list": [1]});
        let mut state = State::new(&object(before), Map::new());
        let branches = branches.map(|branch| {
            let mut after = state.clone();
            after.merge(object(branch));
            after
        });
        let names = ["one", "two"].map(Arc::from);
        let named: Vec<_> = names.iter().zip(&branches).collect();
        merge(how, &mut state, &named, &["item"])?;
        Ok(Value::Object(state.into_json()))
    }

    fn strategy(strategy: MergeStrategy) -> Merge {
        Merge {
            strategy,
            ..Merge::default()
        }
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
        #[case] how: MergeStrategy,
        #[case] one: Value,
        #[case] two: Value,
        #[case] changed: Value,
    ) {
        let mut expected = json!({"n": 1, "m": {"a": 1, "b": {"c": 1}}, "list": [1]});
        for (key, value) in object(changed) {
            expected[key] = value;
        }
        assert_eq!(merged(&strategy(how), [one, two]), Ok(expected));
    }

    #[rstest]
    #[case(json!({"n": 2}), json!({"n": 3}), "`n`")]
    #[case(json!({"m": {"a": 1, "b": {"c": 2}}}), json!({"m": {"a": 1, "b": {"c": 3}}}), "`m.b.c`")]
    #[case(json!({"x": {"a": 1}}), json!({"x": 5}), "`x.a`")]
    fn conflicts(#[case] one: Value, #[case] two: Value, #[case] path: &str) {
        let error = merged(&strategy(FailOnConflict), [one, two]).expect_err("they conflict");
        assert!(error.contains(path), "{error}");
        assert!(error.contains("`one` and `two`"), "{error}");
    }

    #[test]
    fn keys_with_a_reducer_are_no_matter_of_the_strategy() {
        let mut how = strategy(LastWriteWins);
        how.reducers.insert("list".to_owned(), Reducer::Append);
        how.reducers.insert("n".to_owned(), Reducer::Fail);
        let one = json!({"list": [1, 2], "x": 1, "n": 4});
        let merged_state = merged(&how, [one.clone(), json!({"list": [1, 3], "x": 2})]).unwrap();
        assert_eq!(merged_state["list"], json!([1, 2, 3]));
        assert_eq!(
            (&merged_state["x"], &merged_state["n"]),
            (&json!(2), &json!(4))
        );
        let why = merged(&how, [one, json!({"n": 5})]).expect_err("they conflict");
        assert!(
            why.contains("both changed `n`, and `merge` says `fail` of `n`"),
            "{why}"
        );
    }
}
