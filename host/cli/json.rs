//! JSON as a person wrote it: read strictly, and with the place of all that is wrong with it.
//!
//! Each look at a text finds every key that is there twice and every number that Lua can't hold,
//! which serde_json by itself would pass over: it takes the last of two keys, and the nearest float
//! for an integer that is too large.

use std::fmt;

use moonfork::Limits;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What is wrong with a text that should be JSON: at least one thing.
///
/// Displayed as `name:line:column: message`, one a line; without the name if it is empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BadJson {
    name: String,
    mistakes: Vec<Mistake>,
}

#[derive(Clone, Debug, PartialEq)]
struct Mistake {
    /// Counted from one; columns in characters.
    line: usize,
    column: usize,
    message: String,
}

impl fmt::Display for BadJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let Mistake {
                line,
                column,
                message,
            } = mistake;
            let end = if index == 0 { "" } else { "\n" };
            f.write_str(end)?;
            if !self.name.is_empty() {
                write!(f, "{}:", self.name)?;
            }
            write!(f, "{line}:{column}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BadJson {}

impl BadJson {
    /// What is wrong, without the places: for a text that is one line of a file.
    pub(super) fn messages(&self) -> String {
        let messages = self.mistakes.iter().map(|mistake| &*mistake.message);
        messages.collect::<Vec<_>>().join("; ")
    }
}

/// Reads one value. A byte order mark before it is passed over. `name` is the text's own for
/// messages, `root` that of the value in paths, which are written as Lua would: `state.items[1].id`.
///
/// # Errors
/// If it isn't JSON, a key is there twice, or there is a number that Lua can't hold.
pub(super) fn parse(text: &str, name: &str, root: &str) -> Result<Value, BadJson> {
    let mut reader = Reader {
        text,
        path: root.to_owned(),
        depth: 0,
        mistakes: Vec::new(),
    };
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = match serde_json::from_str::<&RawValue>(json) {
        Ok(value) => reader.value(value),
        Err(error) => {
            reader.not_json(json, &error);
            Value::Null
        }
    };
    match reader.mistakes {
        mistakes if mistakes.is_empty() => Ok(value),
        mistakes => Err(BadJson {
            name: name.to_owned(),
            mistakes,
        }),
    }
}

/// Reads a value whose text is known to be JSON, but for what a parser checks only of the values
/// that it makes.
struct Reader<'t> {
    text: &'t str,
    /// Where it is.
    path: String,
    depth: u32,
    mistakes: Vec<Mistake>,
}

impl<'t> Reader<'t> {
    fn value(&mut self, value: &'t RawValue) -> Value {
        let text = value.get();
        match text.as_bytes()[0] {
            b'{' | b'[' if self.depth == Limits::MAX_DEPTH => {
                let most = Limits::MAX_DEPTH;
                let message = format!("{} is nested deeper than {most} levels", self.path);
                self.mistake(text, message);
                Value::Null
            }
            b'{' => {
                let entries: Option<Entries> = self.parsed(text);
                self.object(entries.map_or_else(Vec::new, |it| it.0))
            }
            b'[' => {
                let items: Option<Vec<&'t RawValue>> = self.parsed(text);
                let items = items.unwrap_or_default().into_iter().enumerate();
                let items = items.map(|(index, item)| {
                    self.within(&format!("[{}]", index + 1), |reader| reader.value(item))
                });
                Value::Array(items.collect())
            }
            b'-' | b'0'..=b'9' => self.number(text),
            _ => self.parsed(text).unwrap_or_default(),
        }
    }

    fn object(&mut self, entries: Vec<(&'t RawValue, &'t RawValue)>) -> Value {
        let mut object = Map::new();
        for (key, value) in entries {
            let Some(name) = self.parsed::<String>(key.get()) else {
                continue;
            };
            let step = step(&name);
            if object.contains_key(&name) {
                let message = format!("the key {}{step} is there twice", self.path);
                self.mistake(key.get(), message);
            }
            let value = self.within(&step, |reader| reader.value(value));
            object.insert(name, value);
        }
        Value::Object(object)
    }

    fn number(&mut self, text: &'t str) -> Value {
        let is_integer = !text.contains(['.', 'e', 'E']);
        let found = match is_integer {
            true => text.parse::<i64>().ok().map(Value::from),
            false => text.parse::<f64>().ok().map(Value::from),
        };
        // What is no finite number becomes null.
        match found {
            Some(Value::Number(_)) if text == "-0" => Value::from(-0.0),
            Some(value @ Value::Number(_)) => value,
            _ => {
                let what = match is_integer {
                    true => "Lua's integers go from -2^63 to 2^63-1",
                    false => "Lua's numbers go up to about 1.8e308",
                };
                let message = format!(
                    "{} is {}: {what}; write it in quotes to keep it as text",
                    self.path,
                    shortened(text)
                );
                self.mistake(text, message);
                Value::Null
            }
        }
    }

    fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(step);
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        self.path.truncate(length);
        read
    }

    fn parsed<T: Deserialize<'t>>(&mut self, text: &'t str) -> Option<T> {
        let parsed = serde_json::from_str(text);
        parsed.map_err(|error| self.not_json(text, &error)).ok()
    }

    /// Notes what the parser says of `text`, which is a part of the whole.
    fn not_json(&mut self, text: &'t str, error: &serde_json::Error) {
        let (line, column) = (error.line(), error.column());
        let before: usize = text
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum();
        let offset = text.floor_char_boundary(before + column.saturating_sub(1));
        let said = error.to_string();
        let message = said
            .strip_suffix(&format!(" at line {line} column {column}"))
            .unwrap_or(&said);
        self.mistake(&text[offset..], format!("not JSON: {message}"));
    }

    /// Notes a mistake at the beginning of `at`, which is a part of the whole text.
    fn mistake(&mut self, at: &str, message: String) {
        let offset = at.as_ptr().addr() - self.text.as_ptr().addr();
        let before = &self.text[..offset];
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        self.mistakes.push(Mistake {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
        });
    }
}

/// The entries of an object, in their order, each key as often as it is there.
struct Entries<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        source.deserialize_map(Each)
    }
}

/// The step to a key, as in a path of Lua.
fn step(key: &str) -> String {
    let is_name = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match is_name {
        true => format!(".{}", shortened(key)),
        false => format!("[{:?}]", shortened(key)),
    }
}

/// As much of a text as a message repeats.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// All that is wrong with `text`.
    #[track_caller]
    fn wrong(text: &str) -> String {
        let wrong = parse(text, "in.json", "state").expect_err("something is wrong");
        wrong.to_string()
    }

    #[test]
    fn any_value_is_one() {
        for text in [
            "null",
            "true",
            " 5 ",
            "-0",
            "-0.0",
            "1E2",
            "[]",
            "{}",
            "\"a\\u00e4\\n\"",
            "[1, {\"a\": [null]}]",
            "9223372036854775807",
            "-9223372036854775808",
            "1e308",
            "1e-400",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            let found = parse(text, "", "").unwrap();
            assert_eq!(found.to_string(), expected.to_string(), "{text}");
        }
    }

    #[test]
    fn floats_are_the_nearest_there_are() {
        let text = "0.1000000000000000055511151231257827";
        assert_eq!(parse(text, "", ""), Ok(json!(0.1)));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_counted_for_nothing() {
        assert_eq!(parse("\u{feff}[1]", "", ""), Ok(json!([1])));
        assert_eq!(wrong("\u{feff}x"), "in.json:1:1: not JSON: expected value");
        let twice = wrong("\u{feff}{\"a\": 1, \"a\": 2}");
        assert!(twice.starts_with("in.json:1:10: "), "{twice}");
    }

    #[test]
    fn every_key_that_is_there_twice_is_said_with_its_place() {
        assert_eq!(
            wrong("{\"ä\": {\"b\": 1, \"b\": 2},\n \"c d\": 1, \"c d\": 2}"),
            "in.json:1:16: the key state[\"ä\"].b is there twice\n\
             in.json:2:12: the key state[\"c d\"] is there twice"
        );
        // However they are written.
        assert_eq!(
            wrong("[{\"a\": 1, \"\\u0061\": 1}]"),
            "in.json:1:11: the key state[1].a is there twice"
        );
    }

    #[test]
    fn every_number_that_lua_cannot_hold_is_said_with_its_path() {
        assert_eq!(
            wrong("{\"a\": 9223372036854775808,\n\"b\": [1, 1e999, -1e999, -9223372036854775809]}"),
            "in.json:1:7: state.a is 9223372036854775808: Lua's integers go from -2^63 to 2^63-1; \
             write it in quotes to keep it as text\n\
             in.json:2:10: state.b[2] is 1e999: Lua's numbers go up to about 1.8e308; \
             write it in quotes to keep it as text\n\
             in.json:2:17: state.b[3] is -1e999: Lua's numbers go up to about 1.8e308; \
             write it in quotes to keep it as text\n\
             in.json:2:25: state.b[4] is -9223372036854775809: Lua's integers go from -2^63 to \
             2^63-1; write it in quotes to keep it as text"
        );
    }

    #[test]
    fn what_is_no_json_is_said_with_its_place() {
        assert_eq!(
            wrong("{\"a\": 1,\n \"ä\": 1,}"),
            "in.json:2:9: not JSON: key must be a string"
        );
        assert_eq!(
            wrong(""),
            "in.json:1:1: not JSON: EOF while parsing a value"
        );
        assert_eq!(wrong("1 2"), "in.json:1:3: not JSON: trailing characters");
        // Found where the value is made.
        assert_eq!(
            wrong("{\"a\": [\"x\",\n \"\\ud800\"]}"),
            "in.json:2:9: not JSON: unexpected end of hex escape"
        );
        for text in [
            "[1",
            "{a: 1}",
            "'a'",
            "01",
            "1.",
            ".5",
            "+1",
            "NaN",
            "\"\u{1}\"",
            "// x\n1",
        ] {
            let wrong = wrong(text);
            assert!(wrong.contains(": not JSON: "), "{text}: {wrong}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: u32| {
            let depth = depth as usize;
            format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        };
        assert!(parse(&nested(Limits::MAX_DEPTH), "", "").is_ok());
        let wrong = wrong(&nested(100_000));
        assert!(wrong.contains("is nested deeper than"), "{wrong}");
    }
}
