//! What can go wrong, and whose fault it is.

use std::fmt;
use std::thread::ThreadId;
use std::time::Duration;

use crate::StoreId;
use crate::wire::{Failure, FailureKind};

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// One pointer in size, so that results stay small. The predicates tell whose fault it is:
/// a script's own ([`is_script`](Self::is_script)), a limit that stopped it
/// ([`is_timeout`](Self::is_timeout), [`is_out_of_memory`](Self::is_out_of_memory)), the
/// caller's, or the sandbox's ([`is_internal`](Self::is_internal)).
///
/// ```
/// # use moonfork::{Handle, Pool};
/// # fn main() -> moonfork::Result<()> {
/// let mut branch = Pool::builder().build()?.branch()?;
/// let error = branch.eval::<()>("error('boom')").unwrap_err();
/// assert!(error.is_script() && !error.is_timeout());
/// assert_eq!(error.to_string(), "eval:1: boom");
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<ErrorKind>);

/// The kinds of [`Error`], with what there is to know about each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The script doesn't parse. The message says where.
    #[error("{message}")]
    Syntax {
        /// Chunk name, line and what Lua found there.
        message: String,
    },
    /// The script raised an error and didn't catch it.
    #[error("{message}")]
    Script {
        /// The error as text, as a rule with chunk name and line.
        message: String,
        /// Lua's traceback, one frame a line, innermost first.
        traceback: Option<String>,
    },
    /// A value can't pass between Lua and Rust. The message names its path.
    #[error("{message}")]
    Value {
        /// The path and the rule that was broken.
        message: String,
    },
    /// The name of a function leads to nothing that can be called.
    #[error("{message}")]
    NotCallable {
        /// The name and what is there instead.
        message: String,
    },
    /// The wall-clock limit passed; the instance is gone.
    #[error("stopped: the script ran longer than {limit:?}")]
    Timeout {
        /// The limit that was in force.
        limit: Duration,
    },
    /// The memory limit was reached.
    #[error("not enough memory: the limit is {limit} bytes")]
    OutOfMemory {
        /// The limit in bytes, of the instance as a whole.
        limit: usize,
        /// Whether the instance is gone. It survives when Lua itself ran into its limit,
        /// which is the normal case, and not when the sandbox had to stop it.
        fatal: bool,
    },
    /// All instances the pool may have were in use for as long as the caller would wait.
    #[error(
        "all {slots} instances of the pool were in use for {waited:?}; drop some, or build the \
         pool with more"
    )]
    Busy {
        /// How many the pool may have.
        slots: usize,
        /// How long the caller waited.
        waited: Duration,
    },
    /// Main was asked for on another thread than the one that built the pool.
    #[error(
        "the main instance belongs to thread {owner:?}, which built the pool; thread {caller:?} \
         may have branches"
    )]
    WrongThread {
        /// The thread that built the pool.
        owner: ThreadId,
        /// The thread that asked.
        caller: ThreadId,
    },
    /// Main was asked for, or used, by a host function: the script that called it, main's or a
    /// branch's, must not reach main through it.
    #[error("a host function can't use main while the script that called it is at work")]
    Reentrant,
    /// The handle's instance was stopped by an earlier call and is gone for good.
    #[error(
        "instance {id} is gone since an earlier call was stopped ({reason}); ask for a new one"
    )]
    Poisoned {
        /// The instance.
        id: StoreId,
        /// What ended it.
        reason: String,
    },
    /// The pool can't be built as asked for.
    #[error("the pool can't be built: {message}")]
    Setup {
        /// What is wrong and what to change.
        message: String,
    },
    /// The sandbox itself failed; the instance is gone. A script can't cause this on purpose
    /// without having found a bug in this library.
    #[error("the sandbox failed: {message}")]
    Internal {
        /// What happened.
        message: String,
    },
}

impl Error {
    /// What kind of error this is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// Whether the script is at fault: it doesn't parse, raised an error, or returned what
    /// can't be returned.
    pub fn is_script(&self) -> bool {
        matches!(
            *self.0,
            ErrorKind::Syntax { .. } | ErrorKind::Script { .. } | ErrorKind::Value { .. }
        )
    }

    /// Whether the script doesn't parse.
    pub fn is_syntax(&self) -> bool {
        matches!(*self.0, ErrorKind::Syntax { .. })
    }

    /// Whether a value couldn't pass between Lua and Rust.
    pub fn is_value(&self) -> bool {
        matches!(*self.0, ErrorKind::Value { .. })
    }

    /// Whether a name led to nothing that can be called.
    pub fn is_not_callable(&self) -> bool {
        matches!(*self.0, ErrorKind::NotCallable { .. })
    }

    /// Whether the wall-clock limit stopped the script.
    pub fn is_timeout(&self) -> bool {
        matches!(*self.0, ErrorKind::Timeout { .. })
    }

    /// Whether the memory limit was reached.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(*self.0, ErrorKind::OutOfMemory { .. })
    }

    /// Whether there was no free instance in time.
    pub fn is_busy(&self) -> bool {
        matches!(*self.0, ErrorKind::Busy { .. })
    }

    /// Whether main was asked for on a thread that it doesn't belong to.
    pub fn is_wrong_thread(&self) -> bool {
        matches!(*self.0, ErrorKind::WrongThread { .. })
    }

    /// Whether a host function wanted main.
    pub fn is_reentrant(&self) -> bool {
        matches!(*self.0, ErrorKind::Reentrant)
    }

    /// Whether the instance had ended before this call.
    pub fn is_poisoned(&self) -> bool {
        matches!(*self.0, ErrorKind::Poisoned { .. })
    }

    /// Whether the sandbox is at fault.
    pub fn is_internal(&self) -> bool {
        matches!(*self.0, ErrorKind::Internal { .. })
    }

    /// Whether the call that gave this error ended its instance.
    pub fn ends_instance(&self) -> bool {
        match *self.0 {
            ErrorKind::Timeout { .. } | ErrorKind::Internal { .. } => true,
            ErrorKind::OutOfMemory { fatal, .. } => fatal,
            _ => false,
        }
    }

    /// Lua's traceback, if the script raised an error: one frame a line, innermost first.
    pub fn traceback(&self) -> Option<&str> {
        match &*self.0 {
            ErrorKind::Script { traceback, .. } => traceback.as_deref(),
            _ => None,
        }
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

    /// What the guest reported. `memory` is the limit that a lack of memory is about.
    pub(crate) fn from_guest(failure: Failure, memory: usize) -> Error {
        let Failure {
            kind,
            message,
            traceback,
        } = failure;
        match kind {
            FailureKind::Syntax => ErrorKind::Syntax { message },
            FailureKind::Runtime => ErrorKind::Script { message, traceback },
            FailureKind::Value => ErrorKind::Value { message },
            FailureKind::NotCallable => ErrorKind::NotCallable { message },
            FailureKind::Memory => ErrorKind::OutOfMemory {
                limit: memory,
                fatal: false,
            },
            FailureKind::Request => ErrorKind::Internal { message },
        }
        .into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error(Box::new(kind))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
