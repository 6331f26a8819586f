//! How many branches run at a time, and how many may be there at all.

use std::sync::Arc;

use crate::sync::monitor::{Locked, Monitor, Until};
use crate::{Cancel, Deadline};

/// Lets branches begin and go on, as many as may.
///
/// A branch that waits for branches of its own doesn't run, and so doesn't count; but it keeps
/// its instance, and there are only so many. If any branch could begin whenever an instance is
/// free, all of them could end up waiting for branches that none is left for. So a branch may
/// only begin if afterwards there are as many instances left as branches can still be inside
/// of each other below it: the last one that began can always come to its end.
///
/// Both have to be asked for at once: a branch that is let in as a runner and then waits to be
/// let in for its instance would keep others from running that could end sooner.
#[derive(Debug)]
pub(crate) struct Workers {
    /// How many branches may run at a time.
    most: usize,
    /// How many instances there are for branches.
    slots: usize,
    /// How many branches can be inside of each other.
    depth: usize,
    now: Arc<Monitor<Now>>,
}

#[derive(Debug, Default)]
struct Now {
    running: usize,
    /// Running or waiting for branches of their own.
    alive: usize,
}

impl Workers {
    pub(crate) fn new(most: usize, slots: usize, depth: usize) -> Arc<Workers> {
        Arc::new(Workers {
            most,
            slots,
            depth,
            now: Monitor::new(Now::default()),
        })
    }

    /// How many branches may run at a time.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Lets one more branch begin that is inside of `level` others; waits until it may.
    /// `None` if that comes too late: because of the deadline, or of the cancellation.
    pub(crate) fn begin(
        self: &Arc<Self>,
        level: usize,
        deadline: Option<Deadline>,
        cancel: &Cancel,
    ) -> Option<Running> {
        let below = self.depth.saturating_sub(level + 1);
        let mut now = self.wait(deadline, cancel, |now| {
            now.running < self.most && now.alive + 1 + below <= self.slots
        })?;
        now.running += 1;
        now.alive += 1;
        drop(now);
        Some(Running {
            workers: Arc::clone(self),
            paused: false,
        })
    }

    /// Waits until `free` says so. Not where it is cancelled: nothing begins any more then.
    fn wait(
        &self,
        deadline: Option<Deadline>,
        cancel: &Cancel,
        free: impl Fn(&Now) -> bool,
    ) -> Option<Locked<'_, Now>> {
        let until = Until {
            patience: None,
            deadline,
            cancel: Some(cancel),
        };
        let free = |now: &Now| !cancel.is_cancelled() && free(now);
        self.now.wait(until, free).ok()
    }
}

/// A branch that has begun, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    workers: Arc<Workers>,
    paused: bool,
}

impl Running {
    /// It waits for branches of its own: others may run meanwhile.
    pub(crate) fn pause(&mut self) {
        if !self.paused {
            self.paused = true;
            self.workers.now.change(|now| now.running -= 1);
        }
    }

    /// It goes on, as soon as it may; it goes on at once if it is only to find out that it
    /// mustn't.
    pub(crate) fn resume(&mut self, deadline: Option<Deadline>, cancel: &Cancel) {
        let most = self.workers.most;
        let now = self
            .workers
            .wait(deadline, cancel, |now| now.running < most);
        if let Some(mut now) = now {
            now.running += 1;
            self.paused = false;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = usize::from(!self.paused);
        self.workers.now.change(|now| {
            now.running -= running;
            now.alive -= 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn soon() -> Option<Deadline> {
        Some(Instant::now().into())
    }

    #[test]
    fn as_many_as_may_and_no_more() {
        let cancel = Cancel::new();
        let workers = Workers::new(2, 9, 1);
        let first = workers.begin(0, soon(), &cancel);
        let second = workers.begin(0, soon(), &cancel);
        assert!(first.is_some() && second.is_some());
        assert!(workers.begin(0, soon(), &cancel).is_none());
        drop(first);
        assert!(workers.begin(0, soon(), &cancel).is_some());
    }

    #[test]
    fn one_that_waits_does_not_count() {
        let cancel = Cancel::new();
        let workers = Workers::new(1, 9, 2);
        let mut outer = workers.begin(0, soon(), &cancel).expect("the first one");
        assert!(workers.begin(1, soon(), &cancel).is_none());
        outer.pause();
        let inner = workers.begin(1, soon(), &cancel).expect("it is let in");
        drop(inner);
        outer.resume(soon(), &cancel);
        assert!(workers.begin(1, soon(), &cancel).is_none());
    }

    #[test]
    fn instances_are_kept_back_for_branches_of_branches() {
        let cancel = Cancel::new();
        let workers = Workers::new(9, 2, 2);
        let _outer = workers.begin(0, soon(), &cancel).expect("two are free");
        assert!(workers.begin(0, soon(), &cancel).is_none());
        assert!(workers.begin(1, soon(), &cancel).is_some());
    }

    #[test]
    fn nobody_begins_after_a_cancellation() {
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(Workers::new(1, 1, 1).begin(0, None, &cancel).is_none());
    }
}
