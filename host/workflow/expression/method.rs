//! Python's methods of strings, lists and mappings.

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, State};

use super::strict::{afford, weigh};

/// Calls a method that the value itself doesn't have. `get` of what is missing is missing too, or
/// what it is to be instead.
///
/// # Errors
/// If there is none of that name, it fails, or it would make more than may be made.
pub(crate) fn call(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if value.kind() == ValueKind::Undefined && name == "get" {
        return Ok(args.get(1).cloned().unwrap_or(Value::UNDEFINED));
    }
    if let Some(text) = value.as_str() {
        bound(state, text, name, args)?;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// Refuses a method of a string that would make more than may be made. The engine looks at what
/// methods give when it is there; these make it from what is much smaller.
fn bound(state: &State<'_, '_>, text: &str, name: &str, args: &[Value]) -> Result<(), Error> {
    let len = |value: &Value| value.as_str().map_or(0, str::len) as u64;
    let times = |count: usize, bytes: u64| (count as u64).saturating_mul(bytes);
    let made = match (name, args) {
        ("replace", [old, new, ..]) => {
            let old = old.as_str().unwrap_or_default();
            times(text.matches(old).count(), len(new))
        }
        ("join", [items, ..]) => {
            let items = weigh(items, super::strict::MAX_MADE)?;
            // No item weighs less than one.
            items.saturating_mul(1 + text.len() as u64)
        }
        ("format", args) => {
            let mut largest = 0;
            for arg in args {
                largest = largest.max(weigh(arg, super::strict::MAX_MADE)?);
            }
            times(text.matches('{').count(), largest).saturating_add(widths(text))
        }
        _ => return Ok(()),
    };
    afford(state, made)
}

/// The sum of all numbers in a text: each may be a width.
fn widths(text: &str) -> u64 {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add)
}
