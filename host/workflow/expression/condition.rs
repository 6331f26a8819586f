//! Conditions: which way a run goes.

use minijinja::Expression;
use minijinja::value::{Value, ValueKind};
use serde::{Serialize, Serializer};

use super::engine::{environment, message};
use super::rewrite;
use super::scope::Scope;
use super::strict::{self, MAX_MADE};

/// An expression that is asked for its truth, or for its text.
#[derive(Debug)]
pub(crate) struct Condition {
    source: String,
    expression: Expression<'static, 'static>,
}

impl Condition {
    /// Parses a condition, with or without `{{ }}` around it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Condition, String> {
        let source = bare(text);
        if source.is_empty() {
            return Err("the condition is empty".to_owned());
        }
        // As in `!ready`, which templates of other engines allow.
        let negated = source
            .strip_prefix('!')
            .filter(|rest| !rest.starts_with('='));
        let source = match negated {
            Some(rest) => format!("not ({rest})"),
            None => source.to_owned(),
        };
        Ok(Condition {
            expression: compile(&source)?,
            source,
        })
    }

    /// The text, without `{{ }}`.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why there is no saying.
    pub(crate) fn holds(&self, scope: &Scope) -> Result<bool, String> {
        self.evaluate(scope).map(|value| value.is_true())
    }

    /// Its value as text, to look up in a table; `None` if it is missing.
    ///
    /// # Errors
    /// Why it has no value.
    pub(crate) fn text(&self, scope: &Scope) -> Result<Option<String>, String> {
        let value = self.evaluate(scope)?;
        strict::weigh(&value, MAX_MADE).map_err(|error| message(&error))?;
        Ok(match value.kind() {
            ValueKind::Undefined => None,
            // Python's `True` and `None` are `true` and `none` to everybody else.
            ValueKind::Bool | ValueKind::None => Some(value.to_string().to_lowercase()),
            _ => Some(value.to_string()),
        })
    }

    fn evaluate(&self, scope: &Scope) -> Result<Value, String> {
        self.expression
            .eval(scope.to_value())
            .map_err(|error| message(&error))
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.source.serialize(out)
    }
}

/// Bytes that an expression may have. Each level of nesting takes frames of the stack, of the
/// parser's and of whoever drops what it made, and a byte can be a level: a file must not be
/// able to overrun the stack of a thread.
pub(crate) const MAX_LEN: usize = 2048;

/// Refuses what is longer.
pub(crate) fn check_len(source: &str) -> Result<(), String> {
    if source.len() <= MAX_LEN {
        return Ok(());
    }
    Err(format!(
        "the expression has {} bytes, and at most {MAX_LEN} are allowed; compute the value in a node",
        source.len()
    ))
}

/// Compiles an expression with strict comparisons.
pub(crate) fn compile(source: &str) -> Result<Expression<'static, 'static>, String> {
    check_len(source)?;
    let strict = rewrite::expression(source).map_err(|error| message(&error))?;
    environment()
        .compile_expression_owned(strict)
        .map_err(|error| message(&error))
}

/// The expression inside of `{{ }}`, if `text` is nothing but that; else `text` itself.
pub(crate) fn bare(text: &str) -> &str {
    let text = text.trim();
    let inner = text
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .filter(|inner| !inner.contains("{{") && !inner.contains("}}"));
    match inner {
        Some(inner) => {
            let inner = inner.strip_prefix('-').unwrap_or(inner);
            inner.strip_suffix('-').unwrap_or(inner).trim()
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::workflow::state::State;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("not an object: {other}"),
        }
    }

    fn scope() -> Scope {
        let state = json!({
            "n": 5, "f": 5.0, "zero": 0, "text": "five", "empty": "", "yes": true, "no": false,
            "nothing": null, "list": [1, 2, 3], "words": ["a", "b"],
            "user": {"name": "ada", "age": 36, "tags": ["x"]},
        });
        let variables = json!({"limit": 3});
        Scope::new(
            &State::new(&object(state), Map::new()),
            &Arc::new(object(variables)),
        )
    }

    #[rstest]
    #[case("state.n > 3")]
    #[case("{{ state.n > 3 }}")]
    #[case("{{- state.n == 5.0 -}}")]
    #[case("n == f")]
    #[case("state['n'] >= variables.limit")]
    #[case("state.user.name == 'ada'")]
    #[case("user.name.startswith('a')")]
    #[case("state.get('n', 0) == 5")]
    #[case("state.get('missing', 7) == 7")]
    #[case("state.user.get('age') > 30")]
    #[case("state.missing.get('deep', 1) == 1")]
    #[case("len(state.list) == 3")]
    #[case("state.list | length == 3")]
    #[case("'x' in state.user.tags")]
    #[case("'name' in state.user")]
    #[case("'n' in state")]
    #[case("'z' not in state.user.tags")]
    #[case("'x' not in state.missing")]
    #[case("not state.missing")]
    #[case("!no")]
    #[case("state.missing is undefined")]
    #[case("state.nothing == None")]
    #[case("state.nothing is none")]
    #[case("state.yes == True and not state.no")]
    #[case("1 < state.n < 9")]
    #[case("(state.missing or 3) == 3")]
    #[case("state.missing | default(3) == 3")]
    #[case("state.words | join(',') == 'a,b'")]
    #[case("'yes' if state.n == 5 else ''")]
    #[case("state.list[0] == 1 and state.list[-1] == 3")]
    #[case("state.list[1:] == [2, 3]")]
    #[case("state.n * 2 - 1 == 9 and state.n // 2 == 2 and state.n % 2 == 1 and -n < 0")]
    #[case("state.text ~ '!' == \"five!\"")]
    #[case("{'a': 1}['a'] == 1")]
    #[case("state.text != 'six'")]
    #[case("'[1]' | fromjson == [1]")]
    #[case("state.list | tojson | fromjson == state.list")]
    fn true_ones(#[case] text: &str) {
        let condition = Condition::parse(text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(condition.holds(&scope()), Ok(true));
    }

    #[rstest]
    #[case("state.missing")]
    #[case("missing")]
    #[case("state.missing.deeper.still")]
    #[case("state.missing < 3")]
    #[case("state.missing <= 3")]
    #[case("3 > state.missing")]
    #[case("state.missing == 3")]
    #[case("state.missing != 3")]
    #[case("state.missing == state.other")]
    #[case("state.missing == none")]
    #[case("0 < state.missing < 3")]
    #[case("'x' in state.missing")]
    #[case("state.zero")]
    #[case("state.empty")]
    #[case("state.nothing")]
    #[case("state.n > 3 and state.n > 9")]
    #[case("1 < state.n < 2")]
    fn false_ones(#[case] text: &str) {
        let condition = Condition::parse(text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(condition.holds(&scope()), Ok(false));
    }

    #[rstest]
    #[case("state.n < state.text", "number with a string")]
    #[case("state.n == '5'", "number with a string")]
    #[case("'5' != state.n", "number with a string")]
    #[case("state.n is lt('6')", "number with a string")]
    #[case("state.nothing < 3", "none with a number")]
    #[case("state.list > 3", "sequence with a number")]
    #[case("state.n.startswith('x')", "startswith")]
    #[case("'x' * 100000000 == 'y'", "")]
    #[case(
        "'[1, 9223372036854775808]' | fromjson",
        "value[2]: 9223372036854775808 is too large"
    )]
    #[case("'{}}' | fromjson", "not JSON")]
    fn failing_ones(#[case] text: &str, #[case] why: &str) {
        let condition = Condition::parse(text).unwrap_or_else(|why| panic!("{why}"));
        let error = condition.holds(&scope()).expect_err("it should fail");
        assert!(error.contains(why), "{error}");
    }

    #[rstest]
    #[case::negated("not ", "x")]
    #[case::attributes("", ".a")]
    #[case::filters("", "|list")]
    #[case::compared("", " == 1")]
    fn one_without_end_is_refused_and_overruns_no_stack(#[case] before: &str, #[case] after: &str) {
        let text = format!("{}x{}", before.repeat(30_000), after.repeat(30_000));
        let error = Condition::parse(&text).unwrap_err();
        assert!(error.contains("at most 2048 are allowed"), "{error}");
        // One of the longest that may be, on the smallest stack that a run has.
        let longest = format!("{}x", "-".repeat(2047));
        let parse = move || drop(Condition::parse(&longest));
        std::thread::spawn(parse).join().unwrap();
    }

    #[rstest]
    #[case("")]
    #[case("{{ }}")]
    #[case("state.x ~= 3")]
    #[case("state.x >")]
    #[case("state.x > 3 {{ y }}")]
    #[case("{{ a }} and {{ b }}")]
    #[case("{% if x %}")]
    #[case("state.x | nonsense")]
    #[case("state.x is nonsense")]
    #[case("nonsense(3)")]
    fn what_is_no_condition(#[case] text: &str) {
        assert!(Condition::parse(text).is_err(), "{text}");
    }

    #[rstest]
    #[case("state.text", Some("five"))]
    #[case("state.yes", Some("true"))]
    #[case("state.n", Some("5"))]
    #[case("state.nothing", Some("none"))]
    #[case("state.missing", None)]
    fn text_to_look_up(#[case] text: &str, #[case] expected: Option<&str>) {
        let condition = Condition::parse(text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(condition.text(&scope()), Ok(expected.map(str::to_owned)));
    }
}
