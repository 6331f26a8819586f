//! What happens in a run, while it happens.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::StoreId;
use crate::workflow::report::{Failure, InstanceReport, RunOutcome, ms};

/// Something that happened in a run.
///
/// Serialised, it is one flat object whose `type` is the kind in snake case:
/// `{"at_ms": 1.5, "branch": "a", "type": "node_start", "node": "fetch", "attempt": 1}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// When, in milliseconds from the beginning of the run.
    pub at_ms: f64,
    /// The branch that it happened in, by the name of its first node, after those of the
    /// branches around it: `outer/inner`. `None` on the main path.
    pub branch: Option<String>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The run begins.
    Start {
        /// The name of the workflow, if it has one.
        workflow: Option<String>,
        /// The file that its checkpoints are written to, if they are.
        checkpoint: Option<PathBuf>,
    },
    /// The run goes on from a checkpoint, on a new main instance: globals from before are gone.
    Resume {
        /// The name of the workflow, if it has one.
        workflow: Option<String>,
        /// The node that it goes on with or after, if there was one.
        node: Option<String>,
        /// The file that its checkpoints are written to, if they are.
        checkpoint: Option<PathBuf>,
    },
    /// A node begins.
    NodeStart {
        /// Its name.
        node: String,
        /// Which attempt it is, from one.
        attempt: u32,
    },
    /// A node ended.
    NodeEnd {
        /// Its name.
        node: String,
        /// How it ended.
        outcome: RunOutcome,
        /// Why it failed, if it did.
        error: Option<Failure>,
        /// How long it took, in milliseconds.
        wall_ms: f64,
    },
    /// A node that failed will be tried again.
    Retry {
        /// Its name.
        node: String,
        /// Which attempt comes next.
        attempt: u32,
        /// How long the run waits before that, in milliseconds.
        delay_ms: f64,
        /// Why the last one failed.
        error: Failure,
    },
    /// A node failed for good, and the run goes on with another one.
    Fallback {
        /// The node that failed.
        node: String,
        /// The one that follows, or `__end__`.
        to: String,
        /// Why it failed.
        error: Failure,
    },
    /// A loop begins another pass.
    LoopPass {
        /// The name of the loop.
        node: String,
        /// Which pass it is, from one.
        pass: usize,
    },
    /// Branches begin.
    FanOut {
        /// How many.
        branches: usize,
        /// The node that gets their results, if it is known.
        fan_in: Option<String>,
    },
    /// A branch begins: it is what [`Event::branch`] names.
    BranchStart {
        /// Which of the branches of its fan-out it is, from zero.
        index: usize,
    },
    /// A branch ended.
    BranchEnd {
        /// Which of the branches of its fan-out it is, from zero.
        index: usize,
        /// Whether it came to its end.
        success: bool,
        /// Why it failed, if it did.
        error: Option<Failure>,
        /// What ran on its instance; `None` if there was none.
        report: Option<InstanceReport>,
    },
    /// An instance was stopped, and what follows runs on a new one, without its globals.
    InstanceReplaced {
        /// The instance that is gone.
        gone: StoreId,
        /// The one in its place.
        store_id: StoreId,
    },
    /// The journal of an instance couldn't be written; the run goes on.
    JournalLost {
        /// Why.
        message: String,
    },
    /// A condition failed while it was looked at, and counts as false.
    ConditionFailed {
        /// The node that it follows, or `__start__`.
        node: String,
        /// The condition.
        condition: String,
        /// What is wrong with it.
        message: String,
    },
    /// The state that follows is without what entries of `parallel_results` share, in their `state` and
    /// `last_state`, because it would take so much more written out in full.
    Shortened {
        /// Bytes that it would have taken more.
        bytes: u64,
    },
    /// The run stops at a node, to be resumed.
    Interrupt {
        /// The node.
        node: String,
        /// Whether it stops before the node, or after it.
        when: Moment,
        /// The state.
        state: Map<String, Value>,
    },
    /// The run failed.
    Error {
        /// Why.
        error: Failure,
        /// The node that failed, if it was one.
        node: Option<String>,
    },
    /// The run came to its end.
    Finish {
        /// The last state.
        state: Map<String, Value>,
    },
}

impl EventKind {
    /// Whether it is something that nobody should miss: a failed branch or condition, a node that another one stands in
    /// for, an instance or a journal that is gone, a result that was shortened, a run that goes on without Lua's globals.
    pub fn is_warning(&self) -> bool {
        match self {
            EventKind::BranchEnd { success, .. } => !success,
            EventKind::ConditionFailed { .. }
            | EventKind::Fallback { .. }
            | EventKind::InstanceReplaced { .. }
            | EventKind::JournalLost { .. }
            | EventKind::Resume { .. }
            | EventKind::Shortened { .. } => true,
            _ => false,
        }
    }
}

/// On which side of a node a run stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// The node has not run.
    Before,
    /// The node has run.
    After,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Moment::Before => "before",
            Moment::After => "after",
        })
    }
}

/// Who is told.
#[derive(Clone)]
pub(crate) struct Listener {
    /// Which events it is told of.
    pub(crate) hears: Heard,
    listener: Arc<dyn Fn(&Event) + Send + Sync>,
}

/// Which events are listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Heard {
    Nothing,
    Warnings,
    All,
}

impl Listener {
    pub(crate) fn new(hears: Heard, listener: impl Fn(&Event) + Send + Sync + 'static) -> Listener {
        let listener = Arc::new(listener);
        Listener { hears, listener }
    }

    /// Tells of an event, if it is one of those that are listened for.
    pub(crate) fn tell(&self, event: &Event) {
        let is_heard = match self.hears {
            Heard::Nothing => false,
            Heard::Warnings => event.kind.is_warning(),
            Heard::All => true,
        };
        if is_heard {
            (self.listener)(event);
        }
    }
}

/// Tells the listener, if there is one.
pub(crate) struct Events {
    started: Instant,
    listener: Option<Listener>,
}

impl Events {
    pub(crate) fn new(started: Instant, listener: Option<Listener>) -> Events {
        Events { started, listener }
    }

    /// Reports what `kind` makes, which is not asked if nobody listens.
    pub(crate) fn emit(&self, branch: Option<&Arc<str>>, kind: impl FnOnce() -> EventKind) {
        if let Some(listener) = &self.listener {
            listener.tell(&Event {
                at_ms: ms(self.elapsed()),
                branch: branch.map(|branch| branch.to_string()),
                kind: kind(),
            });
        }
    }

    /// Which of them anybody listens for.
    pub(crate) fn heard(&self) -> Heard {
        let listener = self.listener.as_ref();
        listener.map_or(Heard::Nothing, |listener| listener.hears)
    }

    /// Reports what happened elsewhere.
    pub(crate) fn pass_on(&self, event: &Event) {
        if let Some(listener) = &self.listener {
            listener.tell(event);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
