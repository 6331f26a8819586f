//! How many instances may live at once, and waiting for one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::{Error, Result};

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

    /// Takes a slot, waiting up to `patience` for one to be given back.
    ///
    /// # Errors
    ///
    /// `Busy` when none was.
    pub(crate) fn take(self: &Arc<Self>, patience: Duration) -> Result<Slot> {
        let mut free = self.lock();
        if *free == 0 {
            let start = Instant::now();
            // Where there are none at all, nothing is worth waiting for.
            let patience = if self.total == 0 {
                Duration::ZERO
            } else {
                patience
            };
            // A wait may end early for no reason, hence the loop inside `wait_timeout_while`.
            free = self
                .freed
                .wait_timeout_while(free, patience, |free| *free == 0)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if *free == 0 {
                return Err(Error::from(ErrorKind::Busy {
                    slots: self.total,
                    waited: start.elapsed(),
                }));
            }
        }
        *free -= 1;
        Ok(Slot(Arc::clone(self)))
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
