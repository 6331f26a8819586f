//! What there is in expressions: operators, and the names of filters, tests and functions.

use minijinja::machinery::ast::{BinOpKind, CompareOpKind};
use minijinja::{Error, ErrorKind};

use super::engine::environment;

/// The sign of a comparison, or of what isn't one.
pub(super) fn operator(op: BinOpKind) -> Result<&'static str, &'static str> {
    match op {
        BinOpKind::Eq => Ok("=="),
        BinOpKind::Ne => Ok("!="),
        BinOpKind::Lt => Ok("<"),
        BinOpKind::Lte => Ok("<="),
        BinOpKind::Gt => Ok(">"),
        BinOpKind::Gte => Ok(">="),
        BinOpKind::ScAnd => Err("and"),
        BinOpKind::ScOr => Err("or"),
        BinOpKind::Add => Err("+"),
        BinOpKind::Sub => Err("-"),
        BinOpKind::Mul => Err("*"),
        BinOpKind::Div => Err("/"),
        BinOpKind::FloorDiv => Err("//"),
        BinOpKind::Rem => Err("%"),
        BinOpKind::Pow => Err("**"),
        BinOpKind::Concat => Err("~"),
        BinOpKind::In => Err("in"),
    }
}

/// As [`operator`], for a link of a chain.
pub(super) fn comparison(op: CompareOpKind) -> Result<&'static str, &'static str> {
    match op {
        CompareOpKind::Eq => Ok("=="),
        CompareOpKind::Ne => Ok("!="),
        CompareOpKind::Lt => Ok("<"),
        CompareOpKind::Lte => Ok("<="),
        CompareOpKind::Gt => Ok(">"),
        CompareOpKind::Gte => Ok(">="),
        CompareOpKind::In => Err("in"),
        CompareOpKind::NotIn => Err("not in"),
    }
}

/// Refuses a filter that doesn't exist, which the engine would only do when it comes to it.
pub(super) fn know_filter(name: &str) -> Result<(), Error> {
    let called = environment().empty_state().apply_filter(name, &[]);
    know(called.map(|_| ()), ErrorKind::UnknownFilter, "filter", name)
}

pub(super) fn know_test(name: &str) -> Result<(), Error> {
    let called = environment().empty_state().perform_test(name, &[]);
    know(called.map(|_| ()), ErrorKind::UnknownTest, "test", name)
}

pub(super) fn know_function(name: &str) -> Result<(), Error> {
    // The state holds nothing that can be called.
    if environment().globals().any(|(known, _)| known == name) {
        return Ok(());
    }
    let message = format!("there is no function `{name}`");
    Err(Error::new(ErrorKind::UnknownFunction, message))
}

fn know(
    called: Result<(), Error>,
    unknown: ErrorKind,
    kind: &str,
    name: &str,
) -> Result<(), Error> {
    match called {
        Err(error) if error.kind() == unknown => {
            let message = format!("there is no {kind} `{name}`");
            Err(Error::new(unknown, message))
        }
        _ => Ok(()),
    }
}

/// What is said of syntax that has no use here.
pub(super) fn unsupported() -> Error {
    Error::new(
        ErrorKind::SyntaxError,
        "there is something in this expression that has no use in a workflow",
    )
}
