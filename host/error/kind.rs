//! The kinds of errors, and where in a script one is.

use std::fmt;
use std::thread::ThreadId;
use std::time::Duration;

use crate::StoreId;
use crate::capability::Capability;
use crate::wire;

/// The kinds of [`Error`](crate::Error), with what there is to know about each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The script doesn't parse. The message says where.
    #[error("{message}")]
    Syntax {
        /// Chunk name, line and what Lua found there.
        message: String,
        /// Where that is.
        at: Option<Position>,
        /// Whether the text ended too early: with more behind it, it might parse.
        unfinished: bool,
    },
    /// The script raised an error and didn't catch it.
    #[error("{message}")]
    Script {
        /// The error as text, as a rule with chunk name and line.
        message: String,
        /// Where it was raised, also if the message doesn't say so.
        at: Option<Position>,
        /// Lua's traceback, one frame a line, innermost first.
        traceback: Option<String>,
        /// What the error was raised with, where that wasn't text, as far as it can pass.
        value: Option<serde_json::Value>,
    },
    /// The script was refused something that it was not granted, and didn't catch that.
    #[error("{message}")]
    Denied {
        /// What it would need.
        capability: Capability,
        /// What it asked for, as a rule with chunk name and line.
        message: String,
        /// Where it was raised, also if the message doesn't say so.
        at: Option<Position>,
        /// Lua's traceback, one frame a line, innermost first.
        traceback: Option<String>,
    },
    /// What the caller passes in can't pass into Lua: the caller's mistake.
    #[error("{message}")]
    Argument {
        /// The path and the rule that was broken.
        message: String,
    },
    /// What the script returns can't pass out of Lua, whatever is asked for: the script's mistake.
    #[error("{message}")]
    Value {
        /// The path and the rule that was broken.
        message: String,
    },
    /// What the script returned isn't of the Rust type that the caller asked for. Which of the two
    /// is mistaken can't be told.
    #[error("{message}")]
    Mismatch {
        /// The path, what is there, and what was asked for.
        message: String,
    },
    /// The name of a function leads to nothing that can be called.
    #[error("{message}")]
    NotCallable {
        /// The name and what is there instead.
        message: String,
    },
    /// The wall-clock limit or the deadline passed; if the script was under way, the instance is
    /// gone.
    #[error("{}", out_of_time(*limit, at, *begun))]
    Timeout {
        /// The time that the call was given; nothing where it was given a moment.
        limit: Option<Duration>,
        /// Where the script was.
        at: Option<Site>,
        /// Whether the script had begun.
        begun: bool,
    },
    /// The run was cancelled; if it was under way, the instance is gone.
    #[error("stopped: the run was cancelled{}", shown(at))]
    Cancelled {
        /// Where the script was.
        at: Option<Site>,
        /// Whether the script had begun.
        begun: bool,
    },
    /// The limit of fuel was reached; the instance is gone.
    #[error(
        "stopped: the script burnt more than {limit} units of fuel{}",
        shown(at)
    )]
    OutOfFuel {
        /// The limit that was in force.
        limit: u64,
        /// Where the script was, or what was called last: the interpreter notes its place at
        /// calls, not at every jump.
        at: Option<Site>,
    },
    /// The limit of host calls was reached; the instance is gone.
    #[error("stopped: the script made more than {limit} host calls{}", shown(at))]
    TooManyHostCalls {
        /// The limit that was in force.
        limit: u64,
        /// Where the script was.
        at: Option<Site>,
    },
    /// The memory limit was reached.
    #[error("not enough memory: the limit is {}{}", size(*limit), shown(at))]
    OutOfMemory {
        /// The limit in bytes, of the instance as a whole.
        limit: usize,
        /// Whether the instance is gone. It survives when Lua itself ran into its limit,
        /// which is the normal case, and not when the sandbox had to stop it.
        fatal: bool,
        /// Where the script was, if it was stopped.
        at: Option<Site>,
    },
    /// All instances the pool may have were in use for as long as the caller would wait.
    #[error(
        "all {slots} instances of the pool were in use for {waited:?}; drop some, or build the \
         pool with more"
    )]
    Busy {
        /// How many the pool may have.
        slots: usize,
        /// How long anybody waits for one.
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
    /// A run can't be done as asked for: a limit is wider than the pool's, something is granted
    /// that isn't there. Nothing ran.
    #[error("the run can't be done as asked for: {message}")]
    Options {
        /// What is wrong and what to change.
        message: String,
    },
    /// A host function panicked; the instance is gone.
    #[error("host function '{function}' panicked: {message}")]
    HostPanic {
        /// The function.
        function: String,
        /// The panic's message.
        message: String,
    },
    /// A script that is replayed from a [`Journal`](crate::Journal) asks the host for something else than it
    /// did when that was recorded.
    #[error("{}", diverged(*call, recorded.as_deref(), asked.as_deref(), at))]
    Diverged {
        /// Which call of the host it is, in the instance's call, counted from 1: of a host function, `fs`, `require`
        /// or the clock.
        call: usize,
        /// What was recorded in its place; nothing where the script had made no more.
        recorded: Option<String>,
        /// What the script asks for; nothing where it has ended without.
        asked: Option<String>,
        /// Where the script is.
        at: Option<Site>,
    },
    /// The sandbox itself failed; the instance is gone. A script can't cause this on purpose
    /// without having found a bug in this library.
    #[error("the sandbox failed: {message}")]
    Internal {
        /// What happened.
        message: String,
    },
}

/// A line of a script: `node 'fetch':7`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The chunk's name.
    pub chunk: String,
    /// Counted from 1.
    pub line: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chunk, self.line)
    }
}

impl From<wire::Position> for Position {
    fn from(position: wire::Position) -> Position {
        let wire::Position { chunk, line } = position;
        Position { chunk, line }
    }
}

/// Where a script was when it was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// The innermost line of the script's own.
    pub position: Position,
    /// Lua's traceback from there, one frame a line, innermost first.
    pub traceback: String,
}

fn out_of_time(limit: Option<Duration>, at: &Option<Site>, begun: bool) -> String {
    match limit {
        Some(limit) if begun => {
            format!("stopped: the script ran longer than {limit:?}{}", shown(at))
        }
        Some(limit) => format!("stopped: the run's time of {limit:?} passed"),
        None => format!("stopped: the run's deadline passed{}", shown(at)),
    }
}

fn diverged(call: usize, recorded: Option<&str>, asked: Option<&str>, at: &Option<Site>) -> String {
    let at = shown(at);
    match (recorded, asked) {
        (Some(recorded), Some(asked)) => format!(
            "the script goes another way: call {call} of the host was {recorded}, and is {asked}{at}"
        ),
        (None, Some(asked)) => format!(
            "the script goes another way: call {call} of the host is one more than it had made: \
             {asked}{at}"
        ),
        (Some(recorded), None) => format!(
            "the script goes another way: it has ended without call {call} of the host, which was \
             {recorded}{at}"
        ),
        (None, None) => format!("the script goes another way at call {call} of the host{at}"),
    }
}

/// How a site is shown behind a message.
fn shown(at: &Option<Site>) -> String {
    at.as_ref()
        .map_or_else(String::new, |site| format!(" (at {})", site.position))
}

/// A limit of memory, in the largest unit that it is a whole number of.
fn size(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    match bytes {
        _ if bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{}KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}
