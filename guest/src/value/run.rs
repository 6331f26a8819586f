//! One conversion: what it may cost, how deep it is, and what went wrong.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::fmt;

use serde::de;
use serde::ser::{SerializeSeq, Serializer};

use super::kept::Lists;
use super::outgoing::Outgoing;
use crate::failure::{Failure, FailureKind};
use crate::path::{Path, Step};
use crate::raw::stack::{Item, Stack};
use crate::wire::VALUE_COST;

/// One conversion under way. Each has its own: making Lua values may collect garbage, and a
/// finalizer of the script may convert values in the middle of it.
pub(super) struct Run {
    pub(super) stack: Stack,
    /// Where the stack has the book.
    pub(super) book: c_int,
    pub(super) fault: RefCell<Option<Fault>>,
    /// Tables being written at the moment, outermost first, to notice cycles.
    pub(super) open: RefCell<Vec<*const c_void>>,
    /// How many levels there may be inside of where the conversion is.
    pub(super) depth_left: Cell<usize>,
    pub(super) max_depth: usize,
    /// What may still be written, by [`VALUE_COST`] and [`OBJECT_COST`](crate::wire::OBJECT_COST).
    pub(super) budget: Cell<usize>,
    /// Whether strings may be written that aren't UTF-8.
    pub(super) bytes_pass: bool,
    /// Whether a number was read as a float that may have been an integer.
    pub(super) doubtful: Cell<bool>,
    /// Where the stack has what goes by numbers, if anything does.
    pub(super) lists: Option<Lists>,
    /// How many originals are being read, one inside of the other.
    pub(super) originals: Cell<usize>,
    /// How many levels were left in the deepest table of the innermost of them.
    pub(super) deepest: Cell<usize>,
    /// The copy that was looked at last, and found to be what its original is.
    pub(super) unchanged: Cell<*const c_void>,
}

/// What went wrong inside a value, and where.
pub(super) struct Fault {
    pub(super) path: Path,
    pub(super) cause: Cause,
}

pub(super) enum Cause {
    /// The value breaks a rule of the conversion.
    Rule(String),
    /// Lua's stack has no room.
    Memory,
}

impl Fault {
    /// What is told of it; `root` is what the path starts with.
    pub(super) fn failure(&self, root: &str) -> Failure {
        match &self.cause {
            Cause::Rule(rule) => {
                let message = format!("{}: {rule}", self.path.display(root));
                Failure::new(FailureKind::Value, message)
            }
            Cause::Memory => Failure::memory(),
        }
    }
}

impl Run {
    /// Writes the value at a position.
    pub(super) fn write<S: Serializer>(
        &self,
        at: c_int,
        root: &str,
        sink: S,
    ) -> Result<(), Failure> {
        let written = serde::Serialize::serialize(&Outgoing { run: self, at }, sink);
        written.map_err(|error| self.failure(root, &error))?;
        Ok(())
    }

    /// Writes the first values of the stack as an array.
    pub(super) fn write_each<S: Serializer>(
        &self,
        count: c_int,
        root: &str,
        sink: S,
    ) -> Result<(), Failure> {
        let write = || {
            self.spend(VALUE_COST)?;
            let mut seq = sink.serialize_seq(usize::try_from(count).ok())?;
            for at in 1..=count {
                seq.serialize_element(&Outgoing { run: self, at })
                    .inspect_err(|_| self.within(|| Step::Index(at.unsigned_abs().into())))?;
            }
            seq.end()
        };
        write().map_err(|error: S::Error| self.failure(root, &error))?;
        Ok(())
    }

    /// The failure behind a serde error: ours with its place, or the format's own words.
    pub(super) fn failure(&self, root: &str, error: &dyn fmt::Display) -> Failure {
        match self.fault.take() {
            Some(fault) => fault.failure(root),
            None => Failure::new(FailureKind::Value, format!("{root}: {error}")),
        }
    }

    pub(super) fn too_deep(&self) -> String {
        format!(
            "the value is nested too deeply ({} levels are allowed)",
            self.max_depth
        )
    }

    pub(super) fn broken<E: de::Error>(&self, rule: impl Into<String>) -> E {
        self.fail(Cause::Rule(rule.into()))
    }

    pub(super) fn fail<E: de::Error>(&self, cause: Cause) -> E {
        let path = Path::default();
        *self.fault.borrow_mut() = Some(Fault { path, cause });
        E::custom("see the fault")
    }

    pub(super) fn within(&self, step: impl FnOnce() -> Step) {
        if let Some(fault) = self.fault.borrow_mut().as_mut() {
            fault.path.within(step());
        }
    }

    /// Takes the cost of something written out of the budget.
    pub(super) fn spend<E: serde::ser::Error>(&self, cost: usize) -> Result<(), E> {
        match self.budget.get().checked_sub(cost) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => {
                let _: de::value::Error = self.broken(TOO_LARGE);
                Err(E::custom("see the fault"))
            }
        }
    }

    /// Enters a container: makes room for what lies in it.
    ///
    /// [`leave`](Self::leave) takes it back, rather than a guard: an error that Lua raises drops
    /// nothing on its way.
    pub(super) fn enter(&self) -> Result<(), Cause> {
        let left = self.depth_left.get().checked_sub(1);
        let left = left.ok_or_else(|| Cause::Rule(self.too_deep()))?;
        if !self.stack.room() {
            return Err(Cause::Memory);
        }
        self.depth_left.set(left);
        Ok(())
    }

    pub(super) fn leave(&self) {
        self.depth_left.set(self.depth_left.get() + 1);
    }

    /// The text at a position, for a path.
    pub(super) fn step(&self, at: c_int) -> Step {
        match self.stack.item(at) {
            Item::Text(text) => Step::Key(String::from_utf8_lossy(text).into_owned()),
            _ => Step::Key("?".to_owned()),
        }
    }
}

const TOO_LARGE: &str = "from here on the value is larger than what may pass in one piece";
