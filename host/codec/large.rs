//! Integers of a JSON value that Lua can't hold.

use serde_json::Value;

use super::number::too_large;
use super::path::{Path, Step};

/// What is said of each integer in `value` that is beyond those of Lua, with its path from `root`.
///
/// Such a value can't come from Lua: it was passed in by the program, read from a file of its own or
/// computed by an expression.
pub(crate) fn large_integers(root: &str, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(value, &mut found);
    said(root, &found)
}

/// The same of an object, by its entries.
pub(crate) fn large_integers_of<'v>(
    root: &str,
    entries: impl Iterator<Item = (&'v str, &'v Value)>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in entries {
        look_within(|| Step::Key(key.to_owned()), value, &mut found);
    }
    said(root, &found)
}

fn said(root: &str, found: &[(Path, u64)]) -> Vec<String> {
    let said =
        |(path, integer): &(Path, u64)| format!("{}: {}", path.display(root), too_large(integer));
    found.iter().map(said).collect()
}

fn look(value: &Value, found: &mut Vec<(Path, u64)>) {
    match value {
        Value::Number(number) if !number.is_i64() => {
            found.extend(number.as_u64().map(|integer| (Path::default(), integer)));
        }
        Value::Array(items) => {
            for (item, index) in items.iter().zip(1..) {
                look_within(|| Step::Index(index), item, found);
            }
        }
        Value::Object(entries) => {
            for (key, item) in entries {
                look_within(|| Step::Key(key.clone()), item, found);
            }
        }
        _ => {}
    }
}

fn look_within(step: impl Fn() -> Step, value: &Value, found: &mut Vec<(Path, u64)>) {
    let before = found.len();
    look(value, found);
    for (path, _) in &mut found[before..] {
        path.within(step());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_is_named_with_its_path() {
        let value = json!({"a": [1, u64::MAX, {"b c": i64::MAX as u64 + 1}], "d": i64::MAX});
        let said = large_integers("state", &value);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("state.a[2]: 18446744073709551615 is too large"));
        assert!(said[1].starts_with("state.a[3][\"b c\"]: 9223372036854775808 is too large"));
    }

    #[test]
    fn what_lua_can_hold_is_none_of_them() {
        let value = json!([
            i64::MIN,
            i64::MAX,
            1e300,
            u64::MAX as f64,
            "9223372036854775808",
            null
        ]);
        assert_eq!(large_integers("state", &value), Vec::<String>::new());
    }
}
