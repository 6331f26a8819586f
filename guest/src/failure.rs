//! Lua errors as the wire reports them.

use mlua::Error;

pub(crate) use crate::wire::{Failure, FailureKind};

/// What stands between a message and its traceback in the text of a Lua error.
const TRACEBACK: &str = "\nstack traceback:\n";

impl Failure {
    /// A failure without a traceback.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            traceback: None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::SyntaxError { message, .. } => Failure::new(FailureKind::Syntax, message),
            Error::MemoryError(_) => Failure::new(FailureKind::Memory, "not enough memory"),
            Error::CallbackError { traceback, cause } => {
                let mut failure = Failure::from((*cause).clone());
                failure.traceback = failure.traceback.or_else(|| frames(&traceback));
                failure
            }
            Error::RuntimeError(text) => match text.rsplit_once(TRACEBACK) {
                Some((message, traceback)) => Failure {
                    kind: FailureKind::Runtime,
                    message: message.to_owned(),
                    traceback: frames(traceback),
                },
                None => Failure::new(FailureKind::Runtime, text),
            },
            other => Failure::new(FailureKind::Runtime, other.to_string()),
        }
    }
}

/// The frames of a traceback that belong to the script, one a line.
fn frames(traceback: &str) -> Option<String> {
    let own = |frame: &&str| !frame.starts_with("[moonfork]") && *frame != "[C]: in ?";
    let traceback = traceback.trim_start_matches("stack traceback:\n");
    let frames: Vec<&str> = traceback.lines().map(str::trim).filter(own).collect();
    (!frames.is_empty()).then(|| frames.join("\n"))
}
