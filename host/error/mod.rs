//! What can go wrong, and whose fault it is.

mod kind;

use std::fmt;

use crate::capability::Capability;
use crate::wire::{Failure, FailureKind};

pub use kind::{ErrorKind, Position, Site};

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// One pointer in size, so that results stay small. The predicates tell whose fault it is:
/// a script's own ([`is_script`](Self::is_script)), a limit that stopped it
/// ([`is_limit`](Self::is_limit)), something it was not granted
/// ([`is_denied`](Self::is_denied)), the caller's, or the sandbox's
/// ([`is_internal`](Self::is_internal)).
///
/// ```
/// # use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// let mut branch = Pool::builder().build()?.branch()?;
/// let error = branch.eval::<()>("error('boom')").unwrap_err();
/// assert!(error.is_script() && !error.is_timeout());
/// assert_eq!(error.to_string(), "eval:1: boom");
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    cause: Option<Cause>,
}

/// What an error of ours comes from.
type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// What kind of error this is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether the script is at fault: it doesn't parse, raised an error, or returned what
    /// can't be returned. What the caller passed in ([`is_argument`](Self::is_argument)), or the type
    /// that it asked for ([`is_mismatch`](Self::is_mismatch)), isn't blamed on it.
    pub fn is_script(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Syntax { .. } | ErrorKind::Script { .. } | ErrorKind::Value { .. }
        )
    }

    /// The kind as a word, for machines: `syntax`, `script`, `denied`, `argument`,
    /// `value`, `mismatch`, `not_callable`, `timeout`, `cancelled`, `out_of_fuel`, `too_many_host_calls`,
    /// `out_of_memory`, `busy`, `wrong_thread`, `reentrant`, `poisoned`, `setup`, `options`,
    /// `host_panic`, `diverged`, `internal`.
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            ErrorKind::Syntax { .. } => "syntax",
            ErrorKind::Script { .. } => "script",
            ErrorKind::Denied { .. } => "denied",
            ErrorKind::Argument { .. } => "argument",
            ErrorKind::Value { .. } => "value",
            ErrorKind::Mismatch { .. } => "mismatch",
            ErrorKind::NotCallable { .. } => "not_callable",
            ErrorKind::Timeout { .. } => "timeout",
            ErrorKind::Cancelled { .. } => "cancelled",
            ErrorKind::OutOfFuel { .. } => "out_of_fuel",
            ErrorKind::TooManyHostCalls { .. } => "too_many_host_calls",
            ErrorKind::OutOfMemory { .. } => "out_of_memory",
            ErrorKind::Busy { .. } => "busy",
            ErrorKind::WrongThread { .. } => "wrong_thread",
            ErrorKind::Reentrant => "reentrant",
            ErrorKind::Poisoned { .. } => "poisoned",
            ErrorKind::Setup { .. } => "setup",
            ErrorKind::Options { .. } => "options",
            ErrorKind::HostPanic { .. } => "host_panic",
            ErrorKind::Diverged { .. } => "diverged",
            ErrorKind::Internal { .. } => "internal",
        }
    }

    /// Whether a limit stopped the script: time, fuel, memory or host calls.
    pub fn is_limit(&self) -> bool {
        self.is_timeout()
            || self.is_out_of_fuel()
            || self.is_out_of_memory()
            || self.is_too_many_host_calls()
    }

    /// Whether the script was refused something that it was not granted.
    pub fn is_denied(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Denied { .. })
    }

    /// Whether the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Cancelled { .. })
    }

    /// Whether the limit of fuel stopped the script.
    pub fn is_out_of_fuel(&self) -> bool {
        matches!(self.0.kind, ErrorKind::OutOfFuel { .. })
    }

    /// Whether the limit of host calls stopped the script.
    pub fn is_too_many_host_calls(&self) -> bool {
        matches!(self.0.kind, ErrorKind::TooManyHostCalls { .. })
    }

    /// Whether the run was asked for with options that it can't have.
    pub fn is_options(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Options { .. })
    }

    /// Whether a host function panicked.
    pub fn is_host_panic(&self) -> bool {
        matches!(self.0.kind, ErrorKind::HostPanic { .. })
    }

    /// Whether a replayed script asked the host for something else than was recorded.
    pub fn is_diverged(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Diverged { .. })
    }

    /// Whether the script doesn't parse.
    pub fn is_syntax(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Syntax { .. })
    }

    /// Whether the script doesn't parse since its text ended too early: with more behind it, it might.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Syntax { unfinished, .. } if unfinished)
    }

    /// Whether what the caller passed in couldn't pass into Lua.
    pub fn is_argument(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Argument { .. })
    }

    /// Whether what the script returned couldn't pass out of Lua.
    pub fn is_value(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Value { .. })
    }

    /// Whether what the script returned isn't of the type that was asked for.
    pub fn is_mismatch(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Mismatch { .. })
    }

    /// Whether a name led to nothing that can be called.
    pub fn is_not_callable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::NotCallable { .. })
    }

    /// Whether the wall-clock limit stopped the script.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout { .. })
    }

    /// Whether the memory limit was reached.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self.0.kind, ErrorKind::OutOfMemory { .. })
    }

    /// Whether there was no free instance in time.
    pub fn is_busy(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Busy { .. })
    }

    /// Whether main was asked for on a thread that it doesn't belong to.
    pub fn is_wrong_thread(&self) -> bool {
        matches!(self.0.kind, ErrorKind::WrongThread { .. })
    }

    /// Whether a host function wanted main.
    pub fn is_reentrant(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Reentrant)
    }

    /// Whether the instance had ended before this call.
    pub fn is_poisoned(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Poisoned { .. })
    }

    /// Whether the sandbox is at fault.
    pub fn is_internal(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Internal { .. })
    }

    /// Whether the call that gave this error ended its instance.
    pub fn ends_instance(&self) -> bool {
        match self.0.kind {
            ErrorKind::OutOfFuel { .. }
            | ErrorKind::TooManyHostCalls { .. }
            | ErrorKind::HostPanic { .. }
            | ErrorKind::Diverged { .. }
            | ErrorKind::Internal { .. } => true,
            ErrorKind::Timeout { begun, .. } | ErrorKind::Cancelled { begun, .. } => begun,
            ErrorKind::OutOfMemory { fatal, .. } => fatal,
            _ => false,
        }
    }

    /// Lua's traceback, if the script raised an error or was stopped: one frame a line,
    /// innermost first.
    pub fn traceback(&self) -> Option<&str> {
        match &self.0.kind {
            ErrorKind::Script { traceback, .. } | ErrorKind::Denied { traceback, .. } => {
                traceback.as_deref()
            }
            _ => self.site().map(|site| site.traceback.as_str()),
        }
    }

    /// The line of the script that the error is about, if it is about one and that is known: where
    /// it doesn't parse, raised the error, or was stopped.
    ///
    /// Where a message begins with a position, this is it: see
    /// [`bare_message`](Self::bare_message).
    pub fn position(&self) -> Option<&Position> {
        match &self.0.kind {
            ErrorKind::Syntax { at, .. }
            | ErrorKind::Script { at, .. }
            | ErrorKind::Denied { at, .. } => at.as_ref(),
            _ => self.site().map(|site| &site.position),
        }
    }

    /// The message without the [`position`](Self::position) that it may begin with.
    ///
    /// ```
    /// # use moonfork::Pool;
    /// # fn main() -> moonfork::Result<()> {
    /// let mut branch = Pool::builder().build()?.branch()?;
    /// let error = branch.eval::<()>("local x\nx.y = 1").unwrap_err();
    /// assert_eq!(error.to_string(), "eval:2: attempt to index a nil value (local 'x')");
    /// assert_eq!(error.bare_message(), "attempt to index a nil value (local 'x')");
    /// assert_eq!(error.position().unwrap().line, 2);
    ///
    /// let error = branch.eval::<()>("error('no position', 0)").unwrap_err();
    /// assert_eq!(error.bare_message(), "no position");
    /// assert_eq!(error.position().unwrap().line, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn bare_message(&self) -> String {
        let message = self.to_string();
        let position = self.position().map(|position| format!("{position}: "));
        match position.and_then(|position| message.strip_prefix(&position)) {
            Some(bare) => bare.to_owned(),
            None => message,
        }
    }

    /// What the script was refused, if it was.
    pub fn capability(&self) -> Option<&Capability> {
        match &self.0.kind {
            ErrorKind::Denied { capability, .. } => Some(capability),
            _ => None,
        }
    }

    /// Where the script was when it was stopped, if it was and that is known.
    pub fn site(&self) -> Option<&Site> {
        match &self.0.kind {
            ErrorKind::Timeout { at, .. }
            | ErrorKind::Cancelled { at, .. }
            | ErrorKind::OutOfFuel { at, .. }
            | ErrorKind::TooManyHostCalls { at, .. }
            | ErrorKind::Diverged { at, .. }
            | ErrorKind::OutOfMemory { at, .. } => at.as_ref(),
            _ => None,
        }
    }

    /// What the script raised its error with, where that wasn't text.
    pub fn value(&self) -> Option<&serde_json::Value> {
        match &self.0.kind {
            ErrorKind::Script { value, .. } => value.as_ref(),
            _ => None,
        }
    }

    /// Itself, with what it comes from.
    pub(crate) fn caused_by(mut self, cause: impl Into<Cause>) -> Error {
        self.0.cause = Some(cause.into());
        self
    }

    /// An error of ours.
    pub(crate) fn internal(message: impl fmt::Display) -> Error {
        let message = message.to_string();
        ErrorKind::Internal { message }.into()
    }

    /// An error in how the pool is built.
    pub(crate) fn setup(message: impl fmt::Display) -> Error {
        let message = message.to_string();
        ErrorKind::Setup { message }.into()
    }

    /// An error in what is asked of a run.
    pub(crate) fn options(message: impl fmt::Display) -> Error {
        let message = message.to_string();
        ErrorKind::Options { message }.into()
    }

    /// What the guest reported. `denied` is what the script was refused, if the error is about
    /// that; `memory` is the limit that a lack of memory is about.
    pub(crate) fn from_guest(
        failure: Failure,
        value: Option<serde_json::Value>,
        denied: Option<Capability>,
        memory: usize,
    ) -> Error {
        let Failure {
            kind,
            message,
            position,
            traceback,
            denied: _,
        } = failure;
        let at = position.map(Position::from);
        match kind {
            FailureKind::Syntax | FailureKind::Unfinished => ErrorKind::Syntax {
                message,
                at,
                unfinished: kind == FailureKind::Unfinished,
            },
            FailureKind::Runtime => match denied {
                Some(capability) => ErrorKind::Denied {
                    capability,
                    message,
                    at,
                    traceback,
                },
                None => ErrorKind::Script {
                    message: match &value {
                        Some(value) if message == A_TABLE => shown_value(value, at.as_ref()),
                        _ => message,
                    },
                    at,
                    traceback,
                    value,
                },
            },
            FailureKind::Argument => ErrorKind::Argument { message },
            FailureKind::Value => ErrorKind::Value { message },
            FailureKind::NotCallable => ErrorKind::NotCallable { message },
            FailureKind::Memory => ErrorKind::OutOfMemory {
                limit: memory,
                fatal: false,
                at: at.map(|position| Site {
                    position,
                    traceback: traceback.unwrap_or_default(),
                }),
            },
            FailureKind::Request => ErrorKind::Internal { message },
        }
        .into()
    }
}

/// What the guest has for a message of a table that has no `__tostring`: see `guest/src/prelude.lua`.
const A_TABLE: &str = "(error object is a table value)";

/// A message of what was raised, at its line: as JSON, whose keys are sorted.
fn shown_value(value: &serde_json::Value, at: Option<&Position>) -> String {
    /// Bytes of it that are shown.
    const MAX: usize = 1000;

    let mut shown = value.to_string();
    if shown.len() > MAX {
        shown.truncate(shown.floor_char_boundary(MAX));
        shown.push_str("...");
    }
    match at {
        Some(at) => format!("{at}: {shown}"),
        None => shown,
    }
}

/// The message that a panic was raised with.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error(Box::new(Inner { kind, cause: None }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)
    }
}

/// The message already says what the cause says; the cause is there for programs to look at.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.0.cause.as_deref()?;
        Some(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
