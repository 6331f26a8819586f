//! The global function that was called last, so that the second call in a row finds it sooner.

use std::cell::{Cell, RefCell};

use crate::raw::stack::Held;

/// The global function that was called last.
pub(crate) struct Callee {
    /// Its name; nothing for paths, and names that are too long to be kept.
    pub(crate) name: RefCell<Vec<u8>>,
    /// Its name as a value of Lua's, once it was called twice in a row.
    pub(crate) held: Held,
    pub(crate) is_held: Cell<bool>,
}

impl Callee {
    /// Bytes of a name that is kept.
    pub(crate) const MAX_NAME: usize = 64;

    /// The name as a value of Lua's, if that is held.
    pub(crate) fn held(&self, name: &[u8]) -> Option<Held> {
        (self.is_held.get() && is_same(&self.name.borrow(), name)).then_some(self.held)
    }

    /// Notes that `name` is called; says whether it was called last, and isn't held.
    pub(crate) fn is_again(&self, name: &[u8]) -> bool {
        let mut last = self.name.borrow_mut();
        if name.is_empty() || name.len() > Self::MAX_NAME || name.contains(&b'.') {
            last.clear();
        } else if *last == name {
            return !self.is_held.get();
        } else {
            last.clear();
            last.extend_from_slice(name);
        }
        self.is_held.set(false);
        false
    }
}

/// Whether two names are the same. They are short, and the standard library's way to compare
/// them takes a call for any length.
fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    while let (Some((head, tail)), Some((other_head, other_tail))) =
        (one.split_first_chunk::<8>(), other.split_first_chunk())
    {
        if head != other_head {
            return false;
        }
        (one, other) = (tail, other_tail);
    }
    one.iter().zip(other).all(|(byte, other)| byte == other)
}
