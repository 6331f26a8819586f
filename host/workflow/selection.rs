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
        self.of(&Scope::new(&State::from_json(state.clone()), variables))
    }

    fn of(&self, scope: &Scope) -> Result<Option<Value>, SelectionError> {
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

/// One of a workflow's `outputs`: a key of the final state, or what an expression gives for it.
#[derive(Debug)]
pub(crate) struct Output {
    name: String,
    /// None, where it is the key of that name.
    selection: Option<Selection>,
}

impl Output {
    /// The key of this name.
    pub(crate) fn key(name: String) -> Output {
        Output {
            name,
            selection: None,
        }
    }

    /// What an expression gives, under a name.
    pub(crate) fn selected(name: String, selection: Selection) -> Output {
        Output {
            name,
            selection: Some(selection),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// What the [`outputs`](crate::workflow::Workflow::outputs) of a workflow are for a final state.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Outputs {
    /// Their values, by their names.
    pub values: Map<String, Value>,
    /// Those that the state doesn't have: null among the values.
    pub missing: Vec<String>,
}

impl Outputs {
    pub(crate) fn of(
        outputs: &[Output],
        state: &Map<String, Value>,
        variables: &Arc<Map<String, Value>>,
    ) -> Result<Outputs, SelectionError> {
        let scope = Scope::new(&State::from_json(state.clone()), variables);
        let mut all = Outputs::default();
        for Output { name, selection } in outputs {
            let value = match selection {
                None => state.get(name).cloned(),
                Some(selection) => selection.of(&scope).map_err(|error| {
                    let source = selection.source();
                    SelectionError(format!("the output `{name}`, `{source}`: {error}"))
                })?,
            };
            if value.is_none() {
                all.missing.push(name.clone());
            }
            all.values.insert(name.clone(), value.unwrap_or_default());
        }
        Ok(all)
    }
}
