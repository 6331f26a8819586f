//! Comparing what is expected with what came.

use serde_json::Value;

/// Stands for a key that must not be there.
const ABSENT: &str = "$absent";

/// Checks that `found` has all that `expected` names, at any depth; lists have to be as long.
pub(crate) fn has(path: &str, expected: &Value, found: &Value) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, expected) in expected {
                let path = format!("{path}.{key}");
                match found.get(key) {
                    None if expected == ABSENT => {}
                    None => return Err(format!("{path} is not there")),
                    Some(found) => has(&path, expected, found)?,
                }
            }
            Ok(())
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return Err(format!("{path} has {} entries: {found:?}", found.len()));
            }
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                has(&format!("{path}[{index}]"), expected, found)?;
            }
            Ok(())
        }
        _ if expected == found => Ok(()),
        _ => Err(format!("{path} is {found}, not {expected}")),
    }
}

/// Checks that `found` has all of `expected` in this order, with anything in between.
pub(crate) fn in_order(expected: &[String], found: &[String]) -> Result<(), String> {
    let mut rest = found.iter();
    for one in expected {
        if !rest.any(|found| found == one || found.split(' ').next() == Some(one)) {
            return Err(format!("no {one:?} in its place among {found:#?}"));
        }
    }
    Ok(())
}

/// The state without what differs from run to run.
pub(crate) fn stable(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            object.remove("timing_ms");
            object.remove("report");
            object.remove("timestamp");
            for value in object.values_mut() {
                *value = stable(value.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = stable(item.take());
            }
        }
        _ => {}
    }
    value
}
