//! What a plain scalar stands for: `5`, `0x1F`, `true`, `~`, or just its text.

use serde_json::Number;

use super::value::Data;

/// A number that can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is beyond those that Lua has.
    TooLarge,
    /// It is none: infinity, or not a number.
    NotFinite,
}

/// Resolves a plain scalar; the error says what is wrong with the number it is.
///
/// What digits mean is serde_yaml's to say, by the rules of YAML 1.2 (`yes` and `012` are strings);
/// what JSON or Lua can't hold exactly is refused here, never rounded. It is asked for numbers
/// alone: its parser takes buffers of 70 KB, for a scalar as for a file.
pub(crate) fn resolve(text: &str) -> Result<Data, Refused> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            Data::Text(text.to_owned())
        }
        _ => match text.parse::<serde_yaml::Number>() {
            Ok(number) if number.is_f64() && is_integer(text) => return Err(Refused::TooLarge),
            Ok(number) => Data::Number(to_json(&number)?),
            Err(_) if is_integer(text) => return Err(Refused::TooLarge),
            Err(_) if is_endless(text) => return Err(Refused::TooLarge),
            Err(_) => Data::Text(text.to_owned()),
        },
    })
}

/// Whether all of it are digits, of whichever base. Zeros before decimal digits make a string of
/// them.
fn is_integer(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, base) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    let is_string = base == 10 && digits.len() > 1 && digits.starts_with('0');
    !is_string && !digits.is_empty() && digits.chars().all(|c| c.is_digit(base))
}

/// Whether it is a number that only infinity is close to: `1e999`.
fn is_endless(text: &str) -> bool {
    let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    text.chars().all(is_number) && text.parse().is_ok_and(f64::is_infinite)
}

fn to_json(number: &serde_yaml::Number) -> Result<Number, Refused> {
    if let Some(integer) = number.as_i64() {
        return Ok(integer.into());
    }
    if number.is_u64() {
        return Err(Refused::TooLarge);
    }
    let float = number.as_f64().and_then(Number::from_f64);
    float.ok_or(Refused::NotFinite)
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

    /// As serde_yaml has it of a whole file with nothing in it but the scalar.
    #[test]
    fn nothing_is_read_otherwise_than_by_serde_yaml() {
        let first = "|+|-|.|0|-0|0x|0o|0b|00|1|-1|+1|n|t|.i";
        let rest = "|0|7|1f|e5|e|.|.5|_1|abc|nf|an|ull|rue|+|x2";
        let end = "|0|e|e-3|]|.|-";
        for first in first.split('|') {
            for rest in rest.split('|') {
                for end in end.split('|') {
                    is_read_as_by_serde_yaml(&format!("{first}{rest}{end}"));
                }
            }
        }
    }

    fn is_read_as_by_serde_yaml(text: &str) {
        let expected = match serde_yaml::from_str(text) {
            Ok(serde_yaml::Value::Null) => Data::Null,
            Ok(serde_yaml::Value::Bool(value)) => Data::Bool(value),
            Ok(serde_yaml::Value::Number(number)) => match to_json(&number) {
                Ok(number) => Data::Number(number),
                Err(_) => return assert!(resolve(text).is_err(), "{text}"),
            },
            _ => Data::Text(text.to_owned()),
        };
        assert_eq!(resolve(text), Ok(expected), "{text}");
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
    #[case("123456789012345678901234567890123456789012345678901234567890")]
    #[case("0xFFFFFFFFFFFFFFFFFFFFFFFFF")]
    #[case("1e999")]
    #[case("-1.5E+999")]
    #[case("-9223372036854775809")]
    #[case(".inf")]
    #[case("-.INF")]
    #[case(".nan")]
    fn numbers_that_do_not_fit_are_refused(#[case] text: &str) {
        assert!(resolve(text).is_err());
    }
}
