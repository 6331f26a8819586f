//! Values that go by numbers, as long as a script may give them back; and those that are kept from state to state.

use std::ffi::c_int;

use super::Values;
use super::run::Run;
use crate::failure::Failure;
use crate::raw::stack::{Held, Item, Stack};

/// Where the registry has what was kept, and how many values that are.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) lists: [Held; 3],
    pub(super) count: u32,
}

/// Where the stack has what came in under numbers, for as long as a script may give it back.
#[derive(Clone, Copy)]
pub(crate) struct Lists {
    /// Texts and the originals of tables, by their numbers. Where there are no lazy copies: where each
    /// begins.
    pub(super) values: c_int,
    /// The numbers, by these values.
    pub(super) numbers: c_int,
    /// How deeply tables are nested in those that are tables, by their numbers.
    pub(super) depths: c_int,
    /// How many values were kept: their numbers come first, and the lists of these lie behind the others in the
    /// same order.
    pub(super) kept: u32,
}

impl Lists {
    /// How many lists there are of each kind.
    pub(super) const KINDS: c_int = 3;

    /// Those that have this number, or would have it: none has zero.
    pub(super) fn of(self, number: u32) -> Lists {
        match (1..=self.kept).contains(&number) {
            true => self.behind(),
            false => self,
        }
    }

    /// Those of what was kept.
    pub(super) fn behind(self) -> Lists {
        Lists {
            values: self.values + Self::KINDS,
            numbers: self.numbers + Self::KINDS,
            depths: self.depths + Self::KINDS,
            kept: 0,
        }
    }
}

impl Values {
    /// Pushes lists for values that go by numbers, and behind them those of what was kept.
    pub(crate) fn push_lists(&self, stack: Stack) -> Lists {
        let mut lists = Self::push_empty_lists(stack);
        if let Some(kept) = self.kept.get() {
            lists.kept = kept.count;
            for held in kept.lists {
                stack.push_held(held);
            }
        }
        lists
    }

    fn push_empty_lists(stack: Stack) -> Lists {
        let list = || {
            stack.push_table(0, 0);
            stack.top()
        };
        Lists {
            values: list(),
            numbers: list(),
            depths: list(),
            kept: 0,
        }
    }

    /// Keeps the values that go by numbers in a state, in place of what was kept before. Only for a Lua that
    /// has lazy copies.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    pub(crate) fn keep(&self, stack: Stack, state: &[u8]) -> Result<(), Failure> {
        let lists = Self::push_empty_lists(stack);
        self.unpack_numbered(stack, lists, state, "state")?;
        stack.pop();
        let count = u32::try_from(stack.len(lists.values)).unwrap_or(u32::MAX);
        let before = self.kept.get().map(|kept| kept.lists);
        let hold = |list: usize| match before {
            Some(places) => {
                stack.hold(places[list]);
                places[list]
            }
            None => stack.held(),
        };
        // The last one lies on top.
        let [depths, numbers, values] = [2, 1, 0].map(hold);
        let lists = [values, numbers, depths];
        self.kept.set(Some(Kept { lists, count }));
        Ok(())
    }
}

impl Run {
    /// How deeply tables are nested in the value that goes by a number.
    pub(super) fn depth_of(&self, lists: Lists, number: u32) -> usize {
        self.stack
            .raw_get_index(lists.of(number).depths, number.into());
        let depth = match self.stack.item(self.stack.top()) {
            Item::Integer(depth) => usize::try_from(depth).unwrap_or(usize::MAX),
            _ => 0,
        };
        self.stack.pop();
        depth
    }
}
