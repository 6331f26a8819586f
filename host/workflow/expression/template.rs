//! Values with `{{ }}` in them.

use minijinja::Expression;
use serde::Serialize;
use serde_json::{Map, Value};

use super::condition::{bare, check_len, compile};
use super::engine::{environment, message, to_json};
use super::rewrite;
use super::scope::Scope;

/// A value that is filled in when it is needed.
#[derive(Debug, Serialize)]
pub(crate) enum Template {
    /// Nothing to fill in.
    Fixed(Value),
    /// One expression and nothing else: its value, of whatever type.
    Value(String, #[serde(skip)] Expression<'static, 'static>),
    /// Text with expressions in it.
    Text {
        source: String,
        /// The same with strict expressions.
        #[serde(skip)]
        strict: String,
    },
    /// Each item by itself.
    List(Vec<Template>),
    /// Each value by itself.
    Mapping(Vec<(String, Template)>),
}

impl Template {
    /// A string that may be a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Ok(Template::Fixed(Value::from(text)));
        }
        let inner = bare(text);
        if inner.len() < text.trim().len() {
            return Ok(Template::Value(inner.to_owned(), compile(inner)?));
        }
        for after in text.split("{{").skip(1).chain(text.split("{%").skip(1)) {
            let end = after.find('}').unwrap_or(after.len());
            check_len(&after[..end])?;
        }
        let strict = rewrite::template(text).map_err(|error| message(&error))?;
        environment()
            .template_from_named_str("template", &strict)
            .map_err(|error| message(&error))?;
        Ok(Template::Text {
            source: text.to_owned(),
            strict,
        })
    }

    /// An expression, with or without `{{ }}` around it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn expression(text: &str) -> Result<Template, String> {
        let inner = bare(text);
        Ok(Template::Value(inner.to_owned(), compile(inner)?))
    }

    /// The value.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn fill(&self, scope: &Scope) -> Result<Value, String> {
        match self {
            Template::Fixed(value) => Ok(value.clone()),
            Template::Value(_, expression) => {
                let value = expression
                    .eval(scope.to_value())
                    .map_err(|error| message(&error))?;
                to_json(&value)
            }
            Template::Text { strict, .. } => environment()
                .render_named_str("template", strict, scope.to_value())
                .map(Value::String)
                .map_err(|error| message(&error)),
            Template::List(items) => items.iter().map(|item| item.fill(scope)).collect(),
            Template::Mapping(entries) => {
                let fill = |(key, value): &(String, Template)| {
                    value
                        .fill(scope)
                        .map(|value| (key.clone(), value))
                        .map_err(|why| format!("`{key}`: {why}"))
                };
                let filled: Result<Map<_, _>, String> = entries.iter().map(fill).collect();
                filled.map(Value::Object)
            }
        }
    }

    /// The text, if there is nothing to fill in.
    pub(crate) fn fixed_text(&self) -> Option<&str> {
        match self {
            Template::Fixed(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// What it begins with, whatever is filled in.
    pub(crate) fn known_start(&self) -> Option<&str> {
        match self {
            Template::Fixed(Value::String(text)) => Some(text),
            Template::Text { source, .. } => {
                let marks = ["{{", "{%", "{#"];
                let end = marks.iter().filter_map(|mark| source.find(mark)).min();
                Some(&source[..end.unwrap_or(source.len())])
            }
            _ => None,
        }
    }

    /// How it was written, for people.
    pub(crate) fn source(&self) -> String {
        match self {
            Template::Fixed(Value::String(text)) | Template::Text { source: text, .. } => {
                text.clone()
            }
            Template::Fixed(value) => value.to_string(),
            Template::Value(source, _) => format!("{{{{ {source} }}}}"),
            Template::List(items) => format!("a list of {}", items.len()),
            Template::Mapping(entries) => {
                let keys: Vec<_> = entries.iter().map(|(key, _)| key.as_str()).collect();
                keys.join(", ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::workflow::state::State;

    #[rstest]
    #[case("plain", json!("plain"))]
    #[case("{{ state.list }}", json!([1, 2.0, null]))]
    #[case("{{ state.n + 1 }}", json!(6))]
    #[case("{{ state.missing }}", json!(null))]
    #[case("n is {{ n }} of {{ variables.limit }}", json!("n is 5 of 9"))]
    #[case("{% if n == 5 %}five{% endif %}", json!("five"))]
    #[case("{{ n }} & <b>\n", json!("5 & <b>\n"))]
    fn templates_of_strings(#[case] text: &str, #[case] expected: Value) {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let state = object(json!({"n": 5, "list": [1, 2.0, null]}));
        let scope = Scope::new(
            &State::new(&state, Map::new()),
            &Arc::new(object(json!({"limit": 9}))),
        );
        let template = Template::parse(text).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(template.fill(&scope), Ok(expected));
    }

    #[rstest]
    #[case("{{ state.n +")]
    #[case("{{ state.n")]
    #[case("{% if %}")]
    fn what_is_no_template(#[case] text: &str) {
        assert!(Template::parse(text).is_err());
    }
}
