//! An object that is read.

use std::ffi::c_int;

use super::MAX_RESERVED;
use super::run::Run;

/// An object that is being read: what it has been found to hold.
pub(super) struct Object {
    /// Where its table is.
    pub(super) table: c_int,
    /// How many of its keys are null. Their list lies behind the table, once there is one.
    pub(super) nulls: u64,
}

impl Object {
    /// Pushes a table for so many entries.
    pub(super) fn new(run: &Run, entries: usize) -> Object {
        run.stack.push_table(0, entries.min(MAX_RESERVED));
        Object {
            table: run.stack.top(),
            nulls: 0,
        }
    }

    /// Takes the last two values for a key and its value.
    pub(super) fn set(&mut self, run: &Run) {
        let stack = run.stack;
        if !stack.last_is_nil() {
            return stack.raw_set(self.table);
        }
        // For a key that came before, with another value.
        stack.push_copy(stack.top() - 1);
        stack.insert(stack.top() - 1);
        stack.raw_set(self.table);
        let list = self.table + 1;
        if self.nulls == 0 {
            stack.push_table(1, 0);
            stack.insert(list);
        }
        self.nulls += 1;
        stack.raw_set_index(list, self.nulls);
    }

    /// Leaves the table as the last value.
    pub(super) fn end(self, run: &Run) {
        if self.nulls == 0 {
            return;
        }
        run.stack.push_copy(self.table);
        run.stack.insert(self.table + 1);
        // The table, and the table and the list of its nulls.
        run.stack.raw_set(run.book);
    }
}
