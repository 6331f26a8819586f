//! A part of a run's result, chosen by an expression.

use std::fmt;
use std::sync::Arc;

use minijinja::Expression;
use serde_json::{Map, Value};

use crate::workflow::expression::{Scope, bare, compile, message};
use crate::workflow::state::State;

/// An expression over a state, as conditions have them, that gives a part of it:
/// `state.summary.counts`, `orders | length`, `{"n": n}`.
///
/// ```
/// use moonfork::workflow::{Selection, Workflow};
///
/// let workflow = Workflow::parse("nodes: [{name: a}]", "a.yaml")?;
/// let state = serde_json::json!({"orders": [{"price": 2}, {"price": 3}]});
/// let prices = Selection::parse("orders | map(attribute='price') | list")?;
/// let prices = workflow.select(&prices, state.as_object().unwrap())?;
/// assert_eq!(prices, Some(serde_json::json!([2, 3])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Selection {
    source: String,
    expression: Expression<'static, 'static>,
}

/// Why an expression selects nothing: it doesn't parse, or it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectionError(String);

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SelectionError {}

impl Selection {
    /// Parses an expression, with or without `{{ }}` around it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Selection, SelectionError> {
        let source = bare(text);
        if source.is_empty() {
            return Err(SelectionError("the expression is empty".to_owned()));
        }
        Ok(Selection {
            expression: compile(source).map_err(SelectionError)?,
            source: source.to_owned(),
        })
    }

    /// The text, without `{{ }}`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it gives for a state; `None` if what it names isn't there.
    pub(crate) fn value(
        &self,
        state: &Map<String, Value>,
        variables: &Arc<Map<String, Value>>,
    ) -> Result<Option<Value>, SelectionError> {
        let scope = Scope::new(&State::from_json(state.clone()), variables);
        let value = self.expression.eval(scope.to_value());
        let value = value.map_err(|error| SelectionError(message(&error)))?;
        if value.is_undefined() {
            return Ok(None);
        }
        let value = serde_json::to_value(&value);
        value
            .map(Some)
            .map_err(|error| SelectionError(error.to_string()))
    }
}
