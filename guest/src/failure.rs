//! Lua errors as the wire reports them.

use mlua::{Error, Table, Value};

use crate::raw::stack::Uncompiled;
pub(crate) use crate::wire::{Failure, FailureKind};

/// Bytes of a message or a traceback that are passed on.
const MAX_TEXT: usize = 80 << 10;

impl Failure {
    /// A failure without a traceback.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_TEXT));
        Failure {
            kind,
            message,
            traceback: None,
        }
    }

    /// The error that a script ended with, as the sandbox describes it.
    pub(crate) fn of_script(described: &Value) -> Failure {
        match described {
            Value::Table(traced) => match parts(traced) {
                Ok((message, traceback)) => Failure {
                    traceback: frames(&traceback),
                    ..Failure::new(FailureKind::Runtime, message)
                },
                Err(error) => error.into(),
            },
            // Lua calls no handler when memory runs out, and gives this text.
            Value::String(text) if *text == "not enough memory" => {
                Failure::new(FailureKind::Memory, "not enough memory")
            }
            // The handler itself failed, say in a script's own `__tostring`.
            Value::String(text) => Failure::new(FailureKind::Runtime, text.to_string_lossy()),
            other => Failure::new(
                FailureKind::Runtime,
                format!("(error object is a {} value)", other.type_name()),
            ),
        }
    }

    /// What the script raised the error with, if that wasn't text.
    pub(crate) fn raised(described: &Value) -> Option<Value> {
        let Value::Table(traced) = described else {
            return None;
        };
        let raised = traced.raw_get::<Value>(3).ok()?;
        (!raised.is_nil()).then_some(raised)
    }
}

fn parts(traced: &Table) -> mlua::Result<(String, String)> {
    let text = |index: i64| -> mlua::Result<String> {
        Ok(traced.raw_get::<mlua::LuaString>(index)?.to_string_lossy())
    };
    Ok((text(1)?, text(2)?))
}

impl From<Uncompiled> for Failure {
    fn from(error: Uncompiled) -> Failure {
        match error {
            Uncompiled::Syntax(message) => Failure::new(FailureKind::Syntax, message),
            Uncompiled::Memory => Failure::new(FailureKind::Memory, "not enough memory"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::SyntaxError { message, .. } => Failure::new(FailureKind::Syntax, message),
            Error::MemoryError(_) => Failure::new(FailureKind::Memory, "not enough memory"),
            Error::CallbackError { cause, .. } => Failure::from((*cause).clone()),
            Error::RuntimeError(text) => {
                let message = text
                    .split("\nstack traceback:\n")
                    .next()
                    .unwrap_or_default();
                Failure::new(FailureKind::Runtime, message)
            }
            other => Failure::new(FailureKind::Runtime, other.to_string()),
        }
    }
}

/// The frames of a traceback that belong to the script, one a line.
fn frames(traceback: &str) -> Option<String> {
    let own = |frame: &&str| !frame.contains("[moonfork]") && *frame != "[C]: in ?";
    let traceback = traceback.trim_start_matches("stack traceback:\n");
    let frames: Vec<&str> = traceback.lines().map(str::trim).filter(own).collect();
    let mut frames = frames.join("\n");
    frames.truncate(frames.floor_char_boundary(MAX_TEXT));
    (!frames.is_empty()).then_some(frames)
}
