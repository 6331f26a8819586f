//! How many instances may live at once, and waiting for one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::terms::Terms;
use crate::{Cancel, Error, Result};

/// A counting semaphore whose permits are given back when they are dropped.
#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to have one live instance.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    pub(crate) fn new(total: usize) -> Arc<Slots> {
        Arc::new(Slots {
            total,
            free: Mutex::new(total),
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
        let mut free = self.lock();
        if *free == 0 {
            drop(free);
            free = self.wait(patience, terms)?;
        }
        *free -= 1;
        Ok(Slot(Arc::clone(self)))
    }

    /// Waits until there is a free slot.
    fn wait(self: &Arc<Self>, patience: Duration, terms: &Terms) -> Result<MutexGuard<'_, usize>> {
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
                let _free = slots.lock();
                slots.freed.notify_all();
            })
        });
        // A wait may end early for no reason, hence the loop inside `wait_timeout_while`.
        let free = self
            .freed
            .wait_timeout_while(self.lock(), wait, |free| *free == 0 && !is_cancelled())
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if *free > 0 {
            return Ok(free);
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
        self.total - *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        // A number can't be left half-changed by a panic.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.freed.notify_one();
    }
}
