//! What the branches of a chunk gave that succeeded, folded where they ran.

use std::sync::Arc;

use crate::workflow::event::Event;
use crate::workflow::execute::budget::Amounts;
use crate::workflow::execute::fold::{Partials, Reductions};
use crate::workflow::worker::hosted::Ran;
use crate::workflow::worker::queue::chunk::{BranchFolded, FoldSent};

/// What they gave so far.
pub(crate) struct Fold<'f> {
    reductions: &'f Reductions,
    partials: Partials,
    branches: Vec<BranchFolded>,
    spent: Amounts,
}

impl<'f> Fold<'f> {
    /// What no branch has given anything to yet.
    pub(crate) fn new(reductions: &'f Reductions) -> Fold<'f> {
        Fold {
            reductions,
            partials: reductions.empty(),
            branches: Vec::new(),
            spent: Amounts::default(),
        }
    }

    /// Takes in a branch; nothing of one that failed.
    pub(crate) fn take(&mut self, index: usize, name: &Arc<str>, ran: Ran, events: Vec<Event>) {
        let Ok(state) = &ran.end.result else { return };
        let after = ran.end.after.as_ref().unwrap_or(state);
        self.reductions.take(&mut self.partials, index, name, after);
        self.spent.add(&ran.spent);
        self.branches.push(BranchFolded {
            index,
            reports: ran.end.reports,
            events,
        });
    }

    /// All of it, as it passes.
    pub(crate) fn sent(self) -> FoldSent {
        FoldSent {
            branches: self.branches,
            partials: self.reductions.sent(self.partials),
            spent: self.spent,
        }
    }
}
