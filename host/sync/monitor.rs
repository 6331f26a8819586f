//! A value that threads share, and waiting until it is as one of them wants it: the one way in which
//! anything here waits for something, a deadline or a cancellation, whichever comes first.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Cancel, Deadline};

/// A value behind a lock, and the threads that wait for it to change.
#[derive(Debug, Default)]
pub(crate) struct Monitor<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State<T> {
    value: T,
    /// How many wait. Waking is a call of the kernel even where nobody does.
    waiting: usize,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Until<'c> {
    /// The end of the waiter's patience.
    pub(crate) patience: Option<Instant>,
    /// When all that the waiter does must have ended.
    pub(crate) deadline: Option<Deadline>,
    /// What ends it before that.
    pub(crate) cancel: Option<&'c Cancel>,
}

/// Why waiting ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The waiter's patience was over.
    Patience,
    /// The deadline passed.
    Deadline,
    /// It was cancelled.
    Cancelled,
}

impl<T: Send + 'static> Monitor<T> {
    pub(crate) fn new(value: T) -> Arc<Monitor<T>> {
        Arc::new(Monitor {
            state: Mutex::new(State { value, waiting: 0 }),
            changed: Condvar::new(),
        })
    }

    /// The value. Who changes it through this wakes nobody: see [`change`](Self::change).
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        // Nothing panics between two changes that belong together.
        Locked(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the value, and lets all who wait look at it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let (result, waiting) = self.changed_by(change);
        if waiting {
            self.changed.notify_all();
        }
        result
    }

    /// As [`change`](Self::change), where no more than one of them can go on.
    pub(crate) fn change_for_one<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let (result, waiting) = self.changed_by(change);
        if waiting {
            self.changed.notify_one();
        }
        result
    }

    fn changed_by<R>(&self, change: impl FnOnce(&mut T) -> R) -> (R, bool) {
        let mut state = self.lock();
        (change(&mut state), state.0.waiting > 0)
    }

    /// Waits until `ready` says so of the value, which it looks at first.
    ///
    /// # Errors
    ///
    /// What came before that.
    pub(crate) fn wait(
        self: &Arc<Self>,
        until: Until<'_>,
        ready: impl Fn(&T) -> bool,
    ) -> Result<Locked<'_, T>, Ended> {
        let mut state = self.lock().0;
        if ready(&state.value) {
            return Ok(Locked(state));
        }
        drop(state);
        let _watch = until.cancel.map(|cancel| {
            let monitor = Arc::clone(self);
            cancel.on_cancel(move || {
                // Under the lock: between a waiter's look at the handle and its sleep, it
                // would miss this.
                let _state = monitor.lock();
                monitor.changed.notify_all();
            })
        });
        state = self.lock().0;
        state.waiting += 1;
        let ended = loop {
            if ready(&state.value) {
                break None;
            }
            if let Some(ended) = until.ended() {
                break Some(ended);
            }
            // It may wake for no reason, hence the loop.
            state = match until.left() {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.waiting -= 1;
        match ended {
            None => Ok(Locked(state)),
            Some(ended) => Err(ended),
        }
    }
}

impl Until<'_> {
    /// What has ended the wait by now.
    fn ended(&self) -> Option<Ended> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Some(Ended::Cancelled);
        }
        let now = Instant::now();
        let passed = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if passed(self.deadline.map(|deadline| deadline.at())) {
            Some(Ended::Deadline)
        } else if passed(self.patience) {
            Some(Ended::Patience)
        } else {
            None
        }
    }

    /// How long is left; nothing where only the cancellation ends it.
    fn left(&self) -> Option<Duration> {
        let deadline = self.deadline.map(|deadline| deadline.at());
        let end = deadline.into_iter().chain(self.patience).min()?;
        Some(end.saturating_duration_since(Instant::now()))
    }
}

/// Waits until something ends that.
#[cfg(any(feature = "workflow", test))]
pub(crate) fn sleep(until: Until<'_>) -> Ended {
    match Monitor::new(()).wait(until, |()| false) {
        Ok(_) => unreachable!("it is never ready"),
        Err(ended) => ended,
    }
}

/// The value, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Locked<'m, T>(MutexGuard<'m, State<T>>);

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn now() -> Option<Instant> {
        Some(Instant::now())
    }

    /// Far later than any test ends.
    fn late() -> Option<Instant> {
        Instant::now().checked_add(Duration::from_secs(3600))
    }

    /// Waits for something until it waits.
    fn until_one_waits<T: Send + 'static>(monitor: &Monitor<T>) {
        while monitor.lock().0.waiting == 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn what_is_ready_is_not_waited_for() {
        let cancel = Cancel::new();
        cancel.cancel();
        let until = Until {
            patience: now(),
            deadline: now().map(Deadline::from),
            cancel: Some(&cancel),
        };
        assert!(Monitor::new(7).wait(until, |value| *value == 7).is_ok());
    }

    #[test]
    fn a_change_ends_the_wait_of_whom_it_suits() {
        for change_for_one in [false, true] {
            let monitor = Monitor::new(0);
            thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let until = Until::default();
                    *monitor.wait(until, |value| *value == 2).unwrap()
                });
                until_one_waits(&monitor);
                for _ in 0..2 {
                    if change_for_one {
                        monitor.change_for_one(|value| *value += 1);
                    } else {
                        monitor.change(|value| *value += 1);
                    }
                }
                assert_eq!(waiter.join().unwrap(), 2);
            });
            assert_eq!(monitor.lock().0.waiting, 0);
        }
    }

    #[test]
    fn a_change_for_all_wakes_all() {
        let monitor = Monitor::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let waited = monitor.wait(Until::default(), |value| *value);
                    assert!(waited.is_ok());
                });
            }
            while monitor.lock().0.waiting < 4 {
                thread::yield_now();
            }
            monitor.change(|value| *value = true);
        });
    }

    #[test]
    fn whatever_comes_first_ends_it() {
        let never = Until::default();
        let patience = Until {
            patience: now(),
            ..never
        };
        assert_eq!(sleep(patience), Ended::Patience);
        let deadline = Until {
            deadline: now().map(Deadline::from),
            patience: late(),
            ..never
        };
        assert_eq!(sleep(deadline), Ended::Deadline);
        let patience = Until {
            deadline: late().map(Deadline::from),
            patience: now(),
            ..never
        };
        assert_eq!(sleep(patience), Ended::Patience);
        let soon = Instant::now() + Duration::from_millis(5);
        let both = Until {
            deadline: Some(soon.into()),
            patience: Some(soon),
            ..never
        };
        assert_eq!(sleep(both), Ended::Deadline);
        assert!(Instant::now() >= soon);
    }

    #[test]
    fn a_cancellation_ends_it_before_and_during_the_wait() {
        let cancel = Cancel::new();
        let monitor = Monitor::new(());
        let until = Until {
            deadline: late().map(Deadline::from),
            cancel: Some(&cancel),
            ..Until::default()
        };
        thread::scope(|scope| {
            let waiter = scope.spawn(|| monitor.wait(until, |()| false).err());
            until_one_waits(&monitor);
            cancel.cancel();
            assert_eq!(waiter.join().unwrap(), Some(Ended::Cancelled));
        });
        assert_eq!(sleep(until), Ended::Cancelled);
    }

    #[test]
    fn a_cancellation_is_never_missed() {
        for _ in 0..500 {
            let cancel = Cancel::new();
            thread::scope(|scope| {
                scope.spawn(|| cancel.cancel());
                let until = Until {
                    cancel: Some(&cancel),
                    ..Until::default()
                };
                assert_eq!(sleep(until), Ended::Cancelled);
            });
        }
    }
}
