//! A hash of what a workflow does: whether a checkpoint may be resumed with a file is told by it.
//!
//! It is taken of the model, after overlays and with all files that belong to it: comments, the order
//! of keys, descriptions and places don't count, and in Lua neither comments nor blanks.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use twox_hash::XxHash3_128;

use crate::workflow::expression::Condition;

/// The hash, as 32 hexadecimal digits.
pub(crate) fn of(model: &impl Serialize) -> String {
    // Nothing in a model can't be written: its keys are text, and its numbers were read from JSON.
    let text = serde_json::to_vec(model).unwrap_or_default();
    format!("{:032x}", XxHash3_128::oneshot(&text))
}

/// Writes Lua source as far as it counts.
pub(crate) fn lua<S: Serializer>(code: &str, out: S) -> Result<S::Ok, S::Error> {
    tokens(code).serialize(out)
}

/// Writes what several share. (serde does so itself where its feature `rc` is on.)
pub(crate) fn shared<T: Serialize, S: Serializer>(
    value: &Arc<T>,
    out: S,
) -> Result<S::Ok, S::Error> {
    T::serialize(value, out)
}

/// Writes a condition, if there is one.
pub(crate) fn condition<S: Serializer>(
    condition: &Option<Arc<Condition>>,
    out: S,
) -> Result<S::Ok, S::Error> {
    condition.as_deref().serialize(out)
}

/// Lua source without comments, and without blanks but for one between words.
fn tokens(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = match code.starts_with('#') {
        true => code.find('\n').map_or("", |end| &code[end..]),
        false => code,
    };
    while let Some(first) = rest.chars().next() {
        let len = if first.is_whitespace() {
            gap(&mut out);
            first.len_utf8()
        } else if let Some(comment) = rest.strip_prefix("--") {
            gap(&mut out);
            let end = long(comment).or_else(|| comment.find('\n'));
            2 + end.unwrap_or(comment.len())
        } else {
            let len = match first {
                '\'' | '"' => quoted(rest, first),
                '[' => long(rest).unwrap_or(1),
                _ => first.len_utf8(),
            };
            let token = &rest[..len];
            if out.ends_with(' ') && !token.starts_with(is_word) {
                out.pop();
            }
            out.push_str(token);
            len
        };
        rest = &rest[len..];
    }
    out.truncate(out.trim_end_matches(' ').len());
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Keeps two words apart.
fn gap(out: &mut String) {
    if out.ends_with(is_word) {
        out.push(' ');
    }
}

/// Bytes of a string in quotes, from one to the other.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of a string in long brackets, `[==[...]==]`, if it is one.
fn long(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let level = inside.len() - inside.trim_start_matches('=').len();
    let inside = inside[level..].strip_prefix('[')?;
    let end = format!("]{}]", "=".repeat(level));
    let begin = text.len() - inside.len();
    Some(match inside.find(&end) {
        Some(at) => begin + at + end.len(),
        None => text.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::definition::Workflow;
    use rstest::rstest;

    #[rstest]
    #[case("return 1", "return 1")]
    #[case("  return   1 -- one\n", "return 1")]
    #[case("return --[[ a\nb ]] 1", "return 1")]
    #[case("return --[==[ ]] ]==]1", "return 1")]
    #[case("local a = b - -c", "local a=b--c")]
    #[case("return 'a  -- b', \"c\\\" -- d\"", "return'a  -- b',\"c\\\" -- d\"")]
    #[case("return [[ -- no\n comment ]] -- one", "return[[ -- no\n comment ]]")]
    #[case("a[b[1]] = 2", "a[b[1]]=2")]
    #[case("#!/usr/bin/lua\nreturn 1", "return 1")]
    #[case("return 'open", "return'open")]
    #[case("return [[open", "return[[open")]
    #[case("", "")]
    fn lua_that_counts(#[case] code: &str, #[case] expected: &str) {
        assert_eq!(tokens(code), expected);
    }

    fn hash(text: &str) -> String {
        let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
        of(&workflow.model)
    }

    const BASE: &str = "
nodes:
  - {name: a, run: 'return {n = 1}', goto: [{if: state.n > 1, to: b}, {to: __end__}]}
  - {name: b, uses: f, with: {x: '{{ state.n }}'}, retry: {max_retries: 2}}
settings: {parallel: {max_workers: 2}}
";

    #[rstest]
    #[case::comment("nodes:", "# a comment\nnodes:")]
    #[case::lua_comment("return {n = 1}", "return {n = 1} -- one")]
    #[case::description("settings:", "description: longer\nsettings:")]
    #[case::blanks("return {n = 1}", "return {n    = 1}")]
    fn what_does_not_count(#[case] from: &str, #[case] to: &str) {
        assert_eq!(hash(BASE), hash(&BASE.replace(from, to)));
    }

    #[rstest]
    #[case::lua("return {n = 1}", "return {n = 2}")]
    #[case::condition("state.n > 1", "state.n > 2")]
    #[case::way("to: __end__", "to: b")]
    #[case::argument("{{ state.n }}", "{{ state.m }}")]
    #[case::policy("max_retries: 2", "max_retries: 3")]
    #[case::settings("max_workers: 2", "max_workers: 3")]
    #[case::name("name: b", "name: c")]
    fn what_counts(#[case] from: &str, #[case] to: &str) {
        let changed = BASE.replace(from, to).replace(
            "to: b}",
            match to {
                "name: c" => "to: c}",
                _ => "to: b}",
            },
        );
        assert_ne!(hash(BASE), hash(&changed));
    }
}
