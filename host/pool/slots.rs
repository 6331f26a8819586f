//! How many instances may live at once, and waiting for one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::run::terms::Terms;
use crate::{Cancel, Error, Result};

/// A counting semaphore whose permits are given back when they are dropped.
#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    count: Mutex<Count>,
    freed: Condvar,
}

/// Who has slots, and who wants one.
#[derive(Debug)]
struct Count {
    free: usize,
    /// How many wait. Waking is a call of the kernel even where nobody does, and that costs as
    /// much as a small part of an instance.
    waiting: usize,
}

/// The right to have one live instance.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    pub(crate) fn new(total: usize) -> Arc<Slots> {
        Arc::new(Slots {
            total,
            count: Mutex::new(Count {
                free: total,
                waiting: 0,
            }),
            freed: Condvar::new(),
        })
    }

    /// How many there are, taken or not.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Takes a slot, waiting up to `patience` for one to be given back, no longer than the terms
    /// of who waits allow.
    ///
    /// # Errors
    ///
    /// `Busy` when none was; `Timeout` or `Cancelled` when that came first.
    pub(crate) fn take(self: &Arc<Self>, patience: Duration, terms: &Terms) -> Result<Slot> {
        let mut count = self.lock();
        if count.free == 0 {
            drop(count);
            count = self.wait(patience, terms)?;
        }
        count.free -= 1;
        Ok(Slot(Arc::clone(self)))
    }

    /// Waits until there is a free slot.
    fn wait(self: &Arc<Self>, patience: Duration, terms: &Terms) -> Result<MutexGuard<'_, Count>> {
        let start = Instant::now();
        let is_cancelled = || terms.cancel.as_ref().is_some_and(Cancel::is_cancelled);
        let left = terms
            .deadline
            .map(|deadline| deadline.saturating_duration_since(start));
        let wait = match left {
            // Where there are none at all, nothing is worth waiting for.
            _ if self.total == 0 => Duration::ZERO,
            Some(left) => left.min(patience),
            None => patience,
        };
        let slots = Arc::clone(self);
        let _watch = terms.cancel.as_ref().map(|cancel| {
            cancel.on_cancel(move || {
                // Under the lock: between a waiter's look at the handle and its sleep, it
                // would miss this.
                let _count = slots.lock();
                slots.freed.notify_all();
            })
        });
        // A wait may end early for no reason, hence the loop inside `wait_timeout_while`.
        let mut count = self.lock();
        count.waiting += 1;
        let mut count = self
            .freed
            .wait_timeout_while(count, wait, |count| count.free == 0 && !is_cancelled())
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        count.waiting -= 1;
        if count.free > 0 {
            return Ok(count);
        }
        Err(Error::from(if is_cancelled() {
            ErrorKind::Cancelled {
                at: None,
                begun: false,
            }
        } else if left.is_some_and(|left| left <= patience) && self.total > 0 {
            ErrorKind::Timeout {
                limit: start.elapsed(),
                at: None,
                begun: false,
            }
        } else {
            ErrorKind::Busy {
                slots: self.total,
                waited: start.elapsed(),
            }
        }))
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.total - self.lock().free
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // Numbers can't be left half-changed by a panic.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut count = self.0.lock();
        count.free += 1;
        let wanted = count.waiting > 0;
        drop(count);
        if wanted {
            self.0.freed.notify_one();
        }
    }
}
