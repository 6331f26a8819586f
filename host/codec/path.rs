//! Places inside a value, for error messages: `state.items[3].x`. The host and the guest compile this
//! same file.

use std::fmt::{self, Write};

/// One step from a container to something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of an object.
    Key(String),
    /// A position in an array, counted from 1 as Lua does.
    Index(u64),
}

/// A place: the name of the whole value and the steps from there.
///
/// Steps are collected while an error travels outwards, so that conversions that succeed
/// pay nothing for them; the innermost comes first.
#[derive(Debug, Default)]
pub(crate) struct Path {
    inward: Vec<Step>,
}

impl Path {
    /// Adds the step by which the place found so far is reached from its container.
    pub(crate) fn within(&mut self, step: Step) {
        self.inward.push(step);
    }

    /// The path as text, starting from `root`.
    pub(crate) fn display<'a>(&'a self, root: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            f.write_str(root)?;
            for step in self.inward.iter().rev() {
                match step {
                    Step::Index(index) => write!(f, "[{index}]")?,
                    Step::Key(key) if is_identifier(key) => write!(f, ".{key}")?,
                    Step::Key(key) => write_quoted(f, key)?,
                }
            }
            Ok(())
        })
    }
}

/// Longest part of a key that a message repeats, in characters.
const MAX_SHOWN: usize = 60;

fn write_quoted(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    f.write_str("[\"")?;
    for c in key.chars().take(MAX_SHOWN) {
        write!(f, "{}", c.escape_debug())?;
    }
    if key.chars().nth(MAX_SHOWN).is_some() {
        f.write_char('…')?;
    }
    f.write_str("\"]")
}

fn is_identifier(key: &str) -> bool {
    let mut bytes = key.bytes();
    key.len() <= MAX_SHOWN
        && bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_from_the_outside_in() {
        let mut path = Path::default();
        path.within(Step::Key("x".into()));
        path.within(Step::Index(3));
        path.within(Step::Key("items".into()));
        assert_eq!(path.display("state").to_string(), "state.items[3].x");
    }

    #[test]
    fn keys_that_are_no_identifiers_are_quoted_and_cut() {
        let mut path = Path::default();
        path.within(Step::Key("a\"b\n".into()));
        path.within(Step::Key("k".repeat(100)));
        let shown = path.display("v").to_string();
        assert_eq!(shown, format!("v[\"{}…\"][\"a\\\"b\\n\"]", "k".repeat(60)));
    }
}
