//! Jinja2 expressions and templates over the state: conditions, and values with `{{ }}`.
//!
//! The engine is minijinja with Python's methods. What it would take too lightly is made
//! strict by [`strict`].

mod condition;
mod scope;
mod strict;
mod template;

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};

pub(crate) use condition::Condition;
pub(crate) use scope::Scope;
pub(crate) use template::Template;

/// Steps that one expression may take, so that a slip such as `range(10 ** 9)` is an error and
/// not a run that hangs.
const FUEL: u64 = 1_000_000;

/// What all expressions are compiled in.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment.set_syntax(syntax());
        environment.set_unknown_method_callback(method);
        minijinja_contrib::add_to_environment(&mut environment);
        environment.add_function("len", minijinja::filters::length);
        environment.add_filter("json", minijinja::filters::tojson);
        environment.add_filter("fromjson", from_json);
        strict::install(&mut environment);
        environment
    })
}

/// Templates fill in values here, and a value keeps its last line feed.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true);
    // Nothing but delimiters that contradict each other could be wrong with it.
    syntax.build().unwrap_or_default()
}

/// Python's methods. `get` of what is missing is missing too, or what it is to be instead.
fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if value.kind() == ValueKind::Undefined && name == "get" {
        return Ok(args.get(1).cloned().unwrap_or(Value::UNDEFINED));
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

fn from_json(text: &str) -> Result<Value, Error> {
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("not JSON: {error}")))?;
    Ok(Value::from(Serde(&json)))
}

/// What an error says, in one line.
fn message(error: &Error) -> String {
    let kind = error.kind();
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => kind.to_string(),
    }
}
