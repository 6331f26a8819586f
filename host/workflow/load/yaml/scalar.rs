//! What a plain scalar stands for: `5`, `0x1F`, `true`, `~`, or just its text.

use serde_json::Number;
use serde_yaml::Value;

use super::Data;

/// Resolves a plain scalar; the error says what is wrong with the number it is.
///
/// What the words and digits mean is serde_yaml's to say (YAML 1.2: `yes` is a string); what
/// JSON or Lua can't hold exactly is refused here, never rounded.
pub(crate) fn resolve(text: &str) -> Result<Data, &'static str> {
    if !may_be_special(text) {
        return Ok(Data::Text(text.to_owned()));
    }
    match serde_yaml::from_str(text) {
        Ok(Value::Null) => Ok(Data::Null),
        Ok(Value::Bool(value)) => Ok(Data::Bool(value)),
        Ok(Value::Number(number)) => to_json(&number).map(Data::Number),
        // serde_yaml has no value for integers beyond 64 bits.
        Err(_) if is_integer(text) => Err(TOO_LARGE),
        Ok(_) | Err(_) => Ok(Data::Text(text.to_owned())),
    }
}

const TOO_LARGE: &str = "does not fit into a 64-bit signed integer";

/// Whether `text` could be anything but a string. Spares the detour for most scalars, and
/// keeps from serde_yaml what it would read as more than a scalar (`--- 5`).
fn may_be_special(text: &str) -> bool {
    let first_of_special = |c: char| c.is_ascii_digit() || "+-.~tTfFnN".contains(c);
    text.is_empty()
        || text.starts_with(first_of_special)
            && !text.contains(char::is_whitespace)
            && !text.starts_with("---")
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_alphanumeric())
}

fn to_json(number: &serde_yaml::Number) -> Result<Number, &'static str> {
    if let Some(integer) = number.as_i64() {
        return Ok(integer.into());
    }
    if number.is_u64() {
        return Err(TOO_LARGE);
    }
    number
        .as_f64()
        .and_then(Number::from_f64)
        .ok_or("is not a number that JSON can hold")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", Data::Null)]
    #[case("~", Data::Null)]
    #[case("null", Data::Null)]
    #[case("True", Data::Bool(true))]
    #[case("yes", Data::Text("yes".into()))]
    #[case("012", Data::Text("012".into()))]
    #[case("1_000", Data::Text("1_000".into()))]
    #[case("---", Data::Text("---".into()))]
    #[case("--- 5", Data::Text("--- 5".into()))]
    #[case("...", Data::Text("...".into()))]
    #[case("5]", Data::Text("5]".into()))]
    #[case("- a", Data::Text("- a".into()))]
    #[case("not it: \"", Data::Text("not it: \"".into()))]
    #[case("0x1F", Data::Number(31.into()))]
    #[case("-7", Data::Number((-7).into()))]
    #[case("9223372036854775807", Data::Number(i64::MAX.into()))]
    fn plain_scalars(#[case] text: &str, #[case] expected: Data) {
        assert_eq!(resolve(text), Ok(expected));
    }

    #[test]
    fn a_float_stays_a_float() {
        let Ok(Data::Number(number)) = resolve("5.0") else {
            panic!("5.0 is a number");
        };
        assert_eq!(number.to_string(), "5.0");
    }

    #[rstest]
    #[case("9223372036854775808")]
    #[case("18446744073709551616")]
    #[case("-9223372036854775809")]
    #[case(".inf")]
    #[case("-.INF")]
    #[case(".nan")]
    fn numbers_that_do_not_fit_are_refused(#[case] text: &str) {
        assert!(resolve(text).is_err());
    }
}
