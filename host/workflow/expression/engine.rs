//! The engine that all expressions and templates are compiled in, and what it may take.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use super::strict::{FUEL, MAX_MADE};
use super::{method, strict};
use crate::codec;

/// What all expressions are compiled in.
pub(super) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment.set_syntax(syntax());
        environment.set_unknown_method_callback(method::call);
        minijinja_contrib::add_to_environment(&mut environment);
        environment.add_function("len", minijinja::filters::length);
        environment.add_filter("json", minijinja::filters::tojson);
        environment.add_filter("fromjson", from_json);
        strict::install(&mut environment);
        environment
    })
}

/// Templates fill in values here, and a value keeps its last line feed.
pub(super) fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true);
    // Nothing but delimiters that contradict each other could be wrong with it.
    syntax.build().unwrap_or_default()
}

fn from_json(text: &str) -> Result<Value, Error> {
    let json = codec::from_json("value", text)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error))?;
    Ok(Value::from(Serde(&json)))
}

/// The value as JSON.
///
/// # Errors
/// If it is larger than anything that an expression may make: as a value it may be small.
pub(super) fn to_json(value: &Value) -> Result<serde_json::Value, String> {
    strict::weigh(value, MAX_MADE).map_err(|error| message(&error))?;
    let json = serde_json::to_value(value).map_err(|error| error.to_string())?;
    match codec::large_integers("value", &json).into_iter().next() {
        Some(large) => Err(large),
        None => Ok(json),
    }
}

/// What an error says, in one line.
pub(crate) fn message(error: &Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::OutOfFuel {
        return format!(
            "it takes more than {FUEL} steps, or makes more than {} MB; compute the value in a node",
            MAX_MADE / 1_000_000
        );
    }
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => kind.to_string(),
    }
}
