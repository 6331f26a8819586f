//! Lua errors as the wire reports them.

use mlua::{Error, Table, Value};

use crate::host::Refused;
use crate::raw::stack::Uncompiled;
use crate::raw::{memory, memory_site};
use crate::sandbox::PRELUDE;
use crate::wire::{Denied, Position};
pub(crate) use crate::wire::{Failure, FailureKind};

/// Bytes of a message or a traceback that are passed on.
const MAX_TEXT: usize = 80 << 10;

impl Failure {
    /// Itself, about a value that the caller passes in.
    pub(crate) fn argument(mut self) -> Failure {
        if self.kind == FailureKind::Value {
            self.kind = FailureKind::Argument;
        }
        self
    }

    /// A failure without a traceback.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MAX_TEXT));
        Failure {
            kind,
            message,
            position: None,
            traceback: None,
            denied: None,
        }
    }

    /// Lua has no memory left.
    pub(crate) fn memory() -> Failure {
        Failure::new(FailureKind::Memory, "not enough memory")
    }

    /// What it means that a text doesn't compile, in a chunk of this name.
    pub(crate) fn uncompiled(error: Uncompiled, chunk: &str) -> Failure {
        match error {
            Uncompiled::Syntax(message) => Failure {
                position: syntax_position(&message, chunk),
                ..Failure::new(
                    match is_unfinished(&message) {
                        true => FailureKind::Unfinished,
                        false => FailureKind::Syntax,
                    },
                    message,
                )
            },
            Uncompiled::Memory => Failure::memory(),
        }
    }

    /// The error that a script ended with, as the sandbox describes it.
    pub(crate) fn of_script(described: &Value) -> Failure {
        match described {
            Value::Table(traced) => traced_failure(traced).unwrap_or_else(Failure::from),
            // Lua calls no handler when memory runs out, or the stack, and gives a text. Or the
            // handler itself failed, say in a script's own `__tostring`.
            Value::String(text) => {
                let kind = match *text == "not enough memory" && memory::ran_out() {
                    true => FailureKind::Memory,
                    false => FailureKind::Runtime,
                };
                let message = text.to_string_lossy();
                // Only what this error is about: a script may have caught another.
                let (position, traceback) = memory_site()
                    .filter(|(Position { chunk, line }, _)| {
                        kind == FailureKind::Memory
                            || message.starts_with(&format!("{chunk}:{line}: "))
                    })
                    .unzip();
                Failure {
                    position,
                    traceback,
                    ..Failure::new(kind, message)
                }
            }
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

/// What the sandbox's handler made of an error.
fn traced_failure(traced: &Table) -> mlua::Result<Failure> {
    let text = |index: i64| -> mlua::Result<String> {
        Ok(traced.raw_get::<mlua::LuaString>(index)?.to_string_lossy())
    };
    let line: Option<u32> = traced.raw_get(6)?;
    let inner: Option<String> = traced.raw_get(7)?;
    Ok(Failure {
        position: match line {
            Some(line) => Some(Position {
                chunk: text(5)?,
                line,
            }),
            None => None,
        },
        traceback: frames(&[inner.as_deref().unwrap_or_default(), &text(2)?]),
        denied: match traced.raw_get(4)? {
            Value::Integer(number) => u32::try_from(number).ok().map(Denied::Refusal),
            Value::String(name) => Some(Denied::Global(name.to_string_lossy())),
            _ => None,
        },
        ..Failure::new(FailureKind::Runtime, text(1)?)
    })
}

/// Where Lua's parser met what it couldn't read: all its messages begin with `chunk:line: `.
fn syntax_position(message: &str, chunk: &str) -> Option<Position> {
    let rest = message.strip_prefix(chunk)?.strip_prefix(':')?;
    let (line, _) = rest.split_once(": ")?;
    Some(Position {
        chunk: chunk.to_owned(),
        line: line.parse().ok()?,
    })
}

/// Whether Lua's parser met the end of the text: what else it met stands in quotes.
fn is_unfinished(message: &str) -> bool {
    message.ends_with(" near <eof>")
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure {
            denied: refused.denied.map(Denied::Refusal),
            ..Failure::new(FailureKind::Runtime, refused.message)
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::MemoryError(_) => Failure::memory(),
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

/// The frames of tracebacks that belong to the script, one a line.
fn frames(tracebacks: &[&str]) -> Option<String> {
    let own = |frame: &&str| {
        !frame.is_empty()
            && !frame.contains(PRELUDE)
            && !["[C]: in ?", "stack traceback:"].contains(frame)
    };
    let lines = tracebacks.iter().flat_map(|traceback| traceback.lines());
    let frames: Vec<&str> = lines.map(str::trim).filter(own).collect();
    let mut frames = frames.join("\n");
    frames.truncate(frames.floor_char_boundary(MAX_TEXT));
    (!frames.is_empty()).then_some(frames)
}
