//! What is remembered beside tables: see the module above.

use std::ffi::{c_int, c_void};

use super::run::Run;
use crate::raw::stack::Item;

/// What the book has about a table.
pub(super) enum Entry {
    /// It came from an array: an integer.
    Shape(Shape),
    /// It came from an object with nulls: a list of their keys, which lies on the stack.
    Nulls(c_int),
    /// It is a view of this table, which lies on the stack: see [`Stack::view`]; or a copy of it in which
    /// nothing is yet.
    View(*const c_void),
    None,
}

/// What an array looked like when it came in.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    /// Its largest index with a value.
    pub(super) last: u32,
    /// How many nulls followed that.
    pub(super) nulls: u32,
}

impl Shape {
    pub(super) fn of(len: u64, last: u64) -> Shape {
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        let nulls = u32::try_from(len.saturating_sub(u64::from(last))).unwrap_or(u32::MAX);
        Shape { last, nulls }
    }

    pub(super) fn pack(self) -> i64 {
        i64::from(self.last) | i64::from(self.nulls) << 32
    }

    pub(super) fn unpack(packed: i64) -> Shape {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "two halves"
        )]
        Shape {
            last: packed as u32,
            nulls: (packed >> 32) as u32,
        }
    }

    pub(super) fn len(self) -> u64 {
        u64::from(self.last) + u64::from(self.nulls)
    }
}

impl Run {
    /// Remembers that the last value is a table that came from an array.
    pub(super) fn remember(&self, shape: Shape) {
        self.stack.push_copy(self.stack.top());
        self.stack.push_integer(shape.pack());
        self.stack.raw_set(self.book);
    }

    /// What the book has about a table.
    #[inline(never)]
    pub(super) fn entry(&self, table: c_int) -> Entry {
        self.stack.push_copy(table);
        self.stack.raw_get(self.book);
        let top = self.stack.top();
        if let Item::Table(original) = self.stack.item(top)
            && self.stack.is_original(original)
        {
            // What is filled by now remembers what its original came from.
            self.stack.raw_get(self.book);
        } else if self.stack.last_is_nil()
            && let Item::Table(address) = self.stack.item(table)
            && let Some(original) = self.stack.pending(address)
        {
            self.stack.push_at(original);
            self.stack.put(top);
            return Entry::View(original);
        }
        let entry = match self.stack.item(top) {
            Item::Table(_) => return Entry::Nulls(top),
            Item::Other(_) => {
                self.stack.viewed();
                match self.stack.item(top) {
                    Item::Table(viewed) => return Entry::View(viewed),
                    _ => Entry::None,
                }
            }
            Item::Integer(packed) => Entry::Shape(Shape::unpack(packed)),
            _ => Entry::None,
        };
        self.stack.pop();
        entry
    }
}
