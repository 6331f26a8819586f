//! A counting semaphore: how many instances may live at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::sync::monitor::{Ended, Monitor, Until};
use crate::{Error, Result};

/// A number of permits, each given back when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    total: usize,
    free: Arc<Monitor<usize>>,
}

/// The right to have one live instance.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Monitor<usize>>);

impl Slots {
    pub(crate) fn new(total: usize) -> Slots {
        Slots {
            total,
            free: Monitor::new(total),
        }
    }

    /// How many there are, taken or not.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.total - *self.free.lock()
    }

    /// Takes a slot that is free now.
    pub(crate) fn try_take(&self) -> Option<Slot> {
        let mut free = self.free.lock();
        *free = free.checked_sub(1)?;
        Some(Slot(Arc::clone(&self.free)))
    }

    /// Takes a slot, waiting up to `patience` for one to be given back, no longer than `until`
    /// allows.
    ///
    /// # Errors
    ///
    /// `Busy` when none was; `Timeout` or `Cancelled` when that came first.
    pub(crate) fn take(&self, patience: Duration, until: Until<'_>) -> Result<Slot> {
        if let Some(slot) = self.try_take() {
            return Ok(slot);
        }
        let start = Instant::now();
        let (patience, deadline) = match self.total {
            // Where there are none at all, nothing is worth waiting for.
            0 => (Duration::ZERO, None),
            _ => (patience, until.deadline),
        };
        let until = Until {
            patience: start.checked_add(patience),
            deadline,
            ..until
        };
        match self.free.wait(until, |free| *free > 0) {
            Ok(mut free) => {
                *free -= 1;
                Ok(Slot(Arc::clone(&self.free)))
            }
            Err(ended) => Err(Error::from(match ended {
                Ended::Cancelled => ErrorKind::Cancelled {
                    at: None,
                    begun: false,
                },
                Ended::Deadline => ErrorKind::Timeout {
                    limit: deadline.and_then(|deadline| deadline.time()),
                    at: None,
                    begun: false,
                },
                Ended::Patience => ErrorKind::Busy {
                    slots: self.total,
                    waited: patience,
                },
            })),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.change_for_one(|free| *free += 1);
    }
}
