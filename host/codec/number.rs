//! Numbers that Lua can't hold, and what is said of them. The host and the guest compile this same
//! file.

use std::fmt::Display;

use super::path::{Path, Step};

/// What is said of a float that JSON has no text for.
pub(crate) const NOT_FINITE: &str = "NaN and infinities have no JSON counterpart";

/// What is said of an integer beyond those that Lua has, wherever it comes from.
pub(crate) fn too_large(number: impl Display) -> String {
    format!(
        "{number} is too large for an integer ({} to {}); quote it, to pass it as text",
        i64::MIN,
        i64::MAX
    )
}

/// The same of a number with a fraction or an exponent.
fn too_large_float(number: &str) -> String {
    let max = f64::MAX;
    format!("{number} is too large for a number (up to {max:e}); quote it, to pass it as text")
}

/// A number in JSON text that is beyond those that Lua has.
pub(crate) struct Large<'t> {
    /// Where it is in the value.
    pub(crate) path: Path,
    /// As it is written.
    pub(crate) digits: &'t str,
}

impl Large<'_> {
    /// What is said of it, in a value of this name.
    pub(crate) fn message(&self, root: &str) -> String {
        let rule = match is_integer(self.digits.as_bytes()) {
            true => too_large(self.digits),
            false => too_large_float(self.digits),
        };
        format!("{}: {rule}", self.path.display(root))
    }
}

/// Whether a number has neither a fraction nor an exponent.
fn is_integer(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    digits.iter().all(u8::is_ascii_digit)
}

/// The numbers in `text`, which is JSON, that are beyond those that Lua has.
///
/// A parser gives such integers as floats, which aren't what was written.
pub(crate) fn large_numbers(text: &[u8]) -> impl Iterator<Item = Large<'_>> {
    LargeNumbers {
        text,
        at: 0,
        open: Vec::new(),
    }
}

struct LargeNumbers<'t> {
    text: &'t [u8],
    at: usize,
    /// What has begun and not ended, the outermost first.
    open: Vec<Open<'t>>,
}

enum Open<'t> {
    /// An array, with the position of the element at hand.
    Array(u64),
    /// An object, with the key at hand as it is written, and whether one comes next.
    Object(&'t [u8], bool),
}

impl<'t> Iterator for LargeNumbers<'t> {
    type Item = Large<'t>;

    fn next(&mut self) -> Option<Large<'t>> {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'[' => self.open.push(Open::Array(1)),
                b'{' => self.open.push(Open::Object(b"", true)),
                b']' | b'}' => {
                    self.open.pop();
                }
                b',' => match self.open.last_mut() {
                    Some(Open::Array(position)) => *position += 1,
                    Some(Open::Object(_, key_is_next)) => *key_is_next = true,
                    None => {}
                },
                b'"' => {
                    let text = self.string();
                    if let Some(Open::Object(key, key_is_next)) = self.open.last_mut()
                        && *key_is_next
                    {
                        (*key, *key_is_next) = (text, false);
                    }
                    continue;
                }
                b'-' | b'0'..=b'9' => {
                    if let Some(digits) = self.number() {
                        let path = self.path();
                        return Some(Large { path, digits });
                    }
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }
}

impl<'t> LargeNumbers<'t> {
    /// Goes past a string; gives it as it is written.
    fn string(&mut self) -> &'t [u8] {
        let rest = &self.text[self.at..];
        let mut len = 1;
        while let Some(byte) = rest.get(len) {
            match byte {
                b'"' => break,
                b'\\' => len += 2,
                _ => len += 1,
            }
        }
        let len = rest.len().min(len + 1);
        self.at += len;
        &rest[..len]
    }

    /// Goes past a number; gives it if it is too large.
    fn number(&mut self) -> Option<&'t str> {
        let rest = &self.text[self.at..];
        let is_of_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let len = rest.iter().position(|byte| !is_of_number(byte));
        let number = &rest[..len.unwrap_or(rest.len())];
        self.at += number.len();
        let text = str::from_utf8(number).ok()?;
        let fits = match is_integer(number) {
            true => text.parse::<i64>().is_ok() || text == "-",
            false => text.parse::<f64>().is_ok_and(f64::is_finite),
        };
        (!fits).then_some(text)
    }

    fn path(&self) -> Path {
        let mut path = Path::default();
        for open in self.open.iter().rev() {
            path.within(match open {
                Open::Array(position) => Step::Index(*position),
                Open::Object(key, _) => {
                    let key = serde_json::from_slice(key);
                    Step::Key(key.unwrap_or_else(|_| "?".to_owned()))
                }
            });
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        large_numbers(text.as_bytes())
            .map(|large| format!("{} {}", large.path.display("v"), large.digits))
            .collect()
    }

    #[test]
    fn each_has_its_path() {
        let text = r#" {"a": [1, 9223372036854775808, {"b c": -9223372036854775809}],
            "d\"}": {"e": 123456789012345678901234567890, "f": 1}, "g": 18446744073709551616} "#;
        assert_eq!(
            found(text),
            [
                "v.a[2] 9223372036854775808",
                "v.a[3][\"b c\"] -9223372036854775809",
                "v[\"d\\\"}\"].e 123456789012345678901234567890",
                "v.g 18446744073709551616",
            ]
        );
        assert_eq!(found("99999999999999999999"), ["v 99999999999999999999"]);
        assert_eq!(found("[1, -1e400]"), ["v[2] -1e400"]);
    }

    #[test]
    fn what_fits_is_none_of_them() {
        for text in [
            "9223372036854775807",
            "-9223372036854775808",
            "1e300",
            "1e-400",
            "9223372036854775808.0",
            "12345678901234567890e0",
            r#"{"9223372036854775808": "9223372036854775808"}"#,
            r#"["\"9223372036854775808"]"#,
            "",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn text_that_breaks_off_ends() {
        for text in ["\"abc", "\"abc\\", "{\"a\": [", "-", "]]}}", "{,"] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }
}
