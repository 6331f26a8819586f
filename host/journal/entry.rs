//! What a journal consists of: calls of an instance, and in each what the script asked the host for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::codec::Bytes;
use crate::run::limits::Limits;

/// Something that happened to an instance, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// The instance was called.
    Call(Box<Call>),
    /// Whoever has the instance did something else meanwhile, which the script doesn't see.
    Note(Note),
}

/// What is told beside the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Note {
    /// Words.
    Text(String),
    /// A host function was called, by no script: with these arguments, and this result or error.
    Function {
        name: String,
        args: Bytes,
        result: Result<Bytes, String>,
    },
}

/// One call of the instance: a request, what it led to, and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The number of the operation.
    pub(crate) op: u32,
    /// The request as the guest has got it, without the seed at its end.
    pub(crate) request: Bytes,
    /// What the guest was told of its grants before, if it was.
    pub(crate) setup: Option<Bytes>,
    /// What the call could use.
    pub(crate) limits: Kept,
    /// Bytes of output there was room for.
    pub(crate) room: usize,
    /// What the script asked for.
    pub(crate) events: Vec<Event>,
    /// What it printed, as far as that was kept.
    pub(crate) output: Bytes,
    /// How it ended; nothing, if the journal had no room for it.
    pub(crate) end: Option<End>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    /// The guest's answer, where it gave one.
    pub(crate) answer: Option<Bytes>,
    /// The code of the error and its message, if it ended in one.
    pub(crate) error: Option<(String, String)>,
    /// Fuel that was burnt; nothing counts where that isn't metered.
    pub(crate) fuel: u64,
}

/// Something that the script asked for, and what it was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) asked: Asked,
    pub(crate) answer: Answer,
}

/// What a script asks the host for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// A host function's result, for these arguments.
    Function { name: String, args: Bytes },
    /// One of the services behind the guest's own libraries: files, modules, leave to tell the time.
    Service {
        number: u32,
        subject: Bytes,
        content: Bytes,
    },
    /// What a clock reads.
    Clock { id: i32 },
    /// Random numbers besides those of `math.random`.
    Random { len: usize },
    /// What it lacked, at its end: it had failed at a global that isn't there.
    Missing { name: String },
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// This.
    Done(Bytes),
    /// There is none, which is no error.
    Nothing,
    /// An error that it can catch.
    Raised(Bytes),
    /// The same, of something that it was not granted.
    Denied {
        capability: Capability,
        message: String,
    },
    /// Nanoseconds.
    Time(u64),
    /// The capability, if it is one.
    Missing(Option<Capability>),
    /// Nothing any more: the call was stopped here.
    Stopped(Halt),
}

/// Why a call was stopped while the script waited for the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Halt {
    /// Its time was over.
    Deadline,
    /// It was cancelled.
    Cancelled,
    /// What it had called panicked.
    Panic { function: String, message: String },
    /// The sandbox failed.
    Failed(String),
}

/// Limits, in a form that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    wall: Duration,
    fuel: u64,
    memory: u64,
    output: u64,
    host_calls: u64,
    value: u64,
    depth: u32,
}

impl From<&Limits> for Kept {
    fn from(limits: &Limits) -> Kept {
        // All of them: where there is one more, this doesn't compile.
        let Limits {
            wall,
            fuel,
            memory,
            output,
            host_calls,
            value,
            depth,
        } = *limits;
        Kept {
            wall,
            fuel,
            memory: memory as u64,
            output: output as u64,
            host_calls,
            value: value as u64,
            depth,
        }
    }
}

impl From<&Kept> for Limits {
    fn from(kept: &Kept) -> Limits {
        // No more than this machine can count.
        let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Limits::default()
            .wall(kept.wall)
            .fuel(kept.fuel)
            .memory(bytes(kept.memory))
            .output(bytes(kept.output))
            .host_calls(kept.host_calls)
            .value(bytes(kept.value))
            .depth(kept.depth)
    }
}

#[cfg(feature = "workflow")]
impl Entry {
    /// About what it takes in memory, and in a file.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Entry::Call(call) => {
                let setup = call.setup.as_ref().map_or(0, |setup| setup.0.len());
                COST + call.request.0.len() + setup
            }
            Entry::Note(Note::Text(text)) => COST + text.len(),
            Entry::Note(Note::Function { name, args, result }) => {
                let result = match result {
                    Ok(result) => result.0.len(),
                    Err(message) => message.len(),
                };
                COST + name.len() + args.0.len() + result
            }
        }
    }
}

impl Event {
    /// The same.
    pub(crate) fn cost(&self) -> usize {
        let asked = match &self.asked {
            Asked::Function { name, args } => name.len() + args.0.len(),
            Asked::Service {
                subject, content, ..
            } => subject.0.len() + content.0.len(),
            Asked::Missing { name } => name.len(),
            Asked::Clock { .. } | Asked::Random { .. } => 0,
        };
        let answer = match &self.answer {
            Answer::Done(bytes) | Answer::Raised(bytes) => bytes.0.len(),
            Answer::Denied { message, .. } => message.len(),
            _ => 0,
        };
        COST + asked + answer
    }
}

/// Bytes that each part costs besides.
pub(crate) const COST: usize = 64;
