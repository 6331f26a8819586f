//! What rewritten expressions call: comparisons that take no value for another, and what bounds
//! the values that an expression makes.
//!
//! minijinja orders values of any two types: it finds what is missing smaller than any number,
//! and a number different from the text of it. Here every comparison with what is missing is
//! false, and one of a number with a string fails.
//!
//! The engine's fuel pays for each step, and for each byte and item that it makes. What it leaves
//! out is a value that holds another one many times over: as a value it is small, and as text, as
//! JSON, or compared with its like it is as large as if it were written out. So a value that is
//! given a name, or repeated, may weigh no more than the fuel that is left.

use std::cmp::Ordering;

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

/// The function that comparisons are turned into.
pub(crate) const COMPARE: &str = "__compare__";
/// Keeps a value, and gives it.
pub(crate) const KEEP: &str = "__keep__";
/// Gives a value that was kept.
pub(crate) const KEPT: &str = "__kept__";
/// Gives its second argument, if what was kept may be repeated that often.
pub(crate) const REPEATED: &str = "__repeated__";
/// Gives its argument, if that isn't too large to have a name.
pub(crate) const ADMIT: &str = "__admit__";

/// Steps that one expression or template may take, so that a slip such as `range(10 ** 9)` is an
/// error and not a run that hangs. What it makes is paid with them, too: see [`MAX_MADE`].
pub(super) const FUEL: u64 = 1_000_000;

/// Bytes that one expression or template may make, in all.
pub(super) const MAX_MADE: u64 = FUEL * BYTES_PER_FUEL;

/// Bytes that one fuel pays for, as the engine has it.
pub(crate) const BYTES_PER_FUEL: u64 = 64;
/// What a value weighs beside its text: about what it takes, as JSON and as a step of whoever
/// walks it.
const ITEM: u64 = 128;
/// How often more can be weighed than made for the same fuel.
const WEIGHED_PER_MADE: u64 = 8;
/// Levels that a value may have, as on its way into Lua: whoever walks it has a stack that ends.
const MAX_DEPTH: usize = 100;

/// Tests that compare, by the names they have.
const TESTS: [(&str, &str); 18] = [
    ("eq", "=="),
    ("equalto", "=="),
    ("==", "=="),
    ("ne", "!="),
    ("!=", "!="),
    ("lt", "<"),
    ("lessthan", "<"),
    ("<", "<"),
    ("le", "<="),
    ("<=", "<="),
    ("gt", ">"),
    ("greaterthan", ">"),
    (">", ">"),
    ("ge", ">="),
    (">=", ">="),
    ("sameas", "=="),
    ("equal", "=="),
    ("not_equal", "!="),
];

/// Adds what rewritten expressions call.
pub(crate) fn install(environment: &mut Environment<'_>) {
    environment.add_function(COMPARE, compare);
    for (name, operator) in TESTS {
        environment.add_test(name, move |state: &mut State, left: Value, right: Value| {
            compare(state, operator, left, right)
        });
    }
    environment.add_function(KEEP, |state: &mut State, slot: u32, value: Value| {
        state.set_temp(&slot_name(slot), value.clone());
        value
    });
    environment.add_function(KEPT, |state: &mut State, slot: u32| kept(state, slot));
    environment.add_function(REPEATED, repeated);
    environment.add_function(ADMIT, |state: &mut State, value: Value| {
        admit(state, &value).map(|()| value)
    });
}

fn slot_name(slot: u32) -> String {
    format!("kept {slot}")
}

fn kept(state: &State, slot: u32) -> Value {
    state.get_temp(&slot_name(slot)).unwrap_or_default()
}

/// `right`, if the kept value and it may be multiplied.
fn repeated(state: &mut State, slot: u32, right: Value) -> Result<Value, Error> {
    let left = kept(state, slot);
    let (value, times) = match (left.as_usize(), right.as_usize()) {
        (None, Some(times)) => (&left, times),
        (Some(times), None) => (&right, times),
        _ => return Ok(right),
    };
    if value.kind() != ValueKind::Number {
        let weight = weigh(value, room(state))?;
        afford(state, weight.saturating_mul(times as u64))?;
    }
    Ok(right)
}

/// Refuses a value that weighs more than the fuel that is left would pay for, and takes for a
/// part of it what weighing it takes.
fn admit(state: &mut State, value: &Value) -> Result<(), Error> {
    if !matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
    ) {
        return Ok(());
    }
    let weight = weigh(value, room(state))?;
    state.consume_fuel(weight / (BYTES_PER_FUEL * WEIGHED_PER_MADE))
}

/// Refuses to make this many bytes, if the fuel that is left doesn't pay for them.
pub(crate) fn afford(state: &State, bytes: u64) -> Result<(), Error> {
    match bytes <= room(state) {
        true => Ok(()),
        false => Err(Error::from(ErrorKind::OutOfFuel)),
    }
}

/// Bytes that may still be made.
fn room(state: &State) -> u64 {
    let left = state.fuel_levels().map_or(u64::MAX, |(_, left)| left);
    left.saturating_mul(BYTES_PER_FUEL)
}

/// About how many bytes a value takes, written out.
///
/// # Errors
/// When that is more than `most`, or it is nested too deeply.
pub(crate) fn weigh(value: &Value, most: u64) -> Result<u64, Error> {
    let mut left = most;
    take(value, MAX_DEPTH, &mut left)?;
    Ok(most - left)
}

fn take(value: &Value, depth: usize, left: &mut u64) -> Result<(), Error> {
    let own = ITEM + value.as_str().map_or(0, |text| text.len() as u64);
    *left = left
        .checked_sub(own)
        .ok_or_else(|| Error::from(ErrorKind::OutOfFuel))?;
    let is_map = match value.kind() {
        ValueKind::Map => true,
        ValueKind::Seq | ValueKind::Iterable => false,
        _ => return Ok(()),
    };
    let Some(depth) = depth.checked_sub(1) else {
        let message = format!("a value is nested more than {MAX_DEPTH} levels deep");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    };
    for item in value.try_iter()? {
        take(&item, depth, left)?;
        if is_map {
            take(&value.get_item(&item)?, depth, left)?;
        }
    }
    Ok(())
}

fn compare(state: &mut State, operator: &str, left: Value, right: Value) -> Result<bool, Error> {
    if left.is_undefined() || right.is_undefined() {
        return Ok(false);
    }
    let refuse = || {
        let message = format!(
            "can't compare a {} with a {} by `{operator}`",
            left.kind(),
            right.kind()
        );
        Err(Error::new(ErrorKind::InvalidOperation, message))
    };
    if let (ValueKind::Number, ValueKind::String) | (ValueKind::String, ValueKind::Number) =
        (left.kind(), right.kind())
    {
        let message = format!("can't compare a number with a string by `{operator}`");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    if left.kind() == right.kind() {
        // As much is looked at as the smaller of both has, and neither may be too large.
        admit(state, &left)?;
        admit(state, &right)?;
    }
    let ordering = match operator {
        "==" => return Ok(left == right),
        "!=" => return Ok(left != right),
        _ => match order(&left, &right) {
            Some(ordering) => ordering,
            None => return refuse(),
        },
    };
    Ok(match operator {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    })
}

/// Which comes first, for values that have an order: two numbers or booleans, two strings, two
/// lists of such.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    use ValueKind::{Bool, Number, Seq, String};
    match (left.kind(), right.kind()) {
        (Number | Bool, Number | Bool) | (String, String) => left.partial_cmp(right),
        (Seq, Seq) => {
            let (mut lefts, mut rights) = (left.try_iter().ok()?, right.try_iter().ok()?);
            loop {
                match (lefts.next(), rights.next()) {
                    (None, None) => return Some(Ordering::Equal),
                    (None, Some(_)) => return Some(Ordering::Less),
                    (Some(_), None) => return Some(Ordering::Greater),
                    (Some(left), Some(right)) => match order(&left, &right)? {
                        Ordering::Equal => {}
                        decided => return Some(decided),
                    },
                }
            }
        }
        _ => None,
    }
}
