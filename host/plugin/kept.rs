//! Instances that are kept from call to call: one for each plugin and tenant, never shared.
//!
//! Each has a cell that one call at a time may be in. The locks are held for moments only,
//! never while Lua runs; where both are needed, that of the map is taken first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::load::Plugin;
use crate::sync::monitor::{Ended, Monitor, Until};
use crate::{Branch, StoreId};

/// The kept instances of a host.
#[derive(Debug)]
pub(super) struct Keep {
    /// How many there may be.
    pub(super) limit: usize,
    live: Arc<AtomicUsize>,
    cells: Mutex<HashMap<Key, Cell>>,
}

/// Whose instance it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) plugin: Arc<str>,
    pub(super) tenant: Arc<str>,
}

/// What one call at a time may be in.
#[derive(Clone, Debug)]
struct Cell(Arc<Monitor<State>>);

#[derive(Debug, Default)]
struct State {
    /// The thread whose call is in the cell.
    user: Option<ThreadId>,
    kept: Option<Kept>,
    lost: Option<StoreId>,
    /// The plugin's generation, where it changed while a call was in the cell: what that call
    /// leaves behind is kept only if it is of this one.
    generation: Option<u64>,
    /// Whether the cell was taken out of the map: a thread that waited for it has to look it up again.
    retired: bool,
}

/// A kept instance.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) branch: Branch,
    /// That of the plugin whose entry it ran.
    generation: u64,
    _permit: Permit,
}

/// The right to keep one instance.
#[derive(Debug)]
struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a call didn't get its turn.
pub(super) enum NoTurn {
    InUse(Duration),
    TimedOut(Option<Duration>),
    Cancelled,
    Reentrant,
}

impl Keep {
    pub(super) fn new(limit: usize) -> Keep {
        Keep {
            limit,
            live: Arc::default(),
            cells: Mutex::default(),
        }
    }

    /// How many instances are kept.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Waits until no other call is in the cell of `key`, and takes it.
    pub(super) fn enter(
        &self,
        key: &Key,
        patience: Duration,
        until: Until<'_>,
    ) -> Result<Turn<'_>, NoTurn> {
        let until = Until {
            patience: Instant::now().checked_add(patience),
            ..until
        };
        loop {
            let cell = self
                .lock()
                .entry(key.clone())
                .or_insert_with(Cell::new)
                .clone();
            if let Some((kept, lost)) = cell.take(patience, until)? {
                return Ok(Turn {
                    keep: self,
                    key: key.clone(),
                    cell,
                    kept,
                    lost,
                    unwinding: thread::panicking(),
                });
            }
        }
    }

    /// Ends the instances of `tenant`: at once, or when the call that is under way ends.
    pub(super) fn release(&self, tenant: &str) {
        self.end(|key| *key.tenant == *tenant);
    }

    /// Ends the instances of a plugin that is not what it was: at once, or when the call that is
    /// under way ends. `now` is what it has become, if it is there and keeps instances; then the
    /// next call of each tenant is told what it lost.
    pub(super) fn retire(&self, plugin: &str, now: Option<&Plugin>) {
        let Some(now) = now.filter(|now| now.is_kept()) else {
            return self.end(|key| *key.plugin == *plugin);
        };
        let cells: Vec<_> = {
            let cells = self.lock();
            let of_plugin = cells.iter().filter(|(key, _)| *key.plugin == *plugin);
            of_plugin.map(|(_, cell)| cell.clone()).collect()
        };
        for cell in cells {
            let outdated = cell.0.change(|state| {
                state.generation = Some(now.generation);
                let outdated = state.kept.take_if(|kept| kept.generation != now.generation);
                if let Some(outdated) = &outdated {
                    state.lost = Some(outdated.branch.store_id());
                }
                outdated
            });
            // Not under the lock: ending an instance takes a while.
            drop(outdated);
        }
    }

    fn end(&self, whose: impl Fn(&Key) -> bool) {
        let mut cells = self.lock();
        let released: Vec<_> = cells.extract_if(|key, _| whose(key)).collect();
        drop(cells);
        for (_, cell) in released {
            let kept = cell.0.change(|state| {
                state.retired = true;
                state.kept.take()
            });
            // Not under the lock: ending an instance takes a while.
            drop(kept);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Cell>> {
        // Nothing panics between two changes that belong together.
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Taken = (Option<Kept>, Option<StoreId>);

impl Cell {
    fn new() -> Cell {
        Cell(Monitor::new(State::default()))
    }

    /// Takes the cell when it is free; `None` when it is retired by then. `patience` is the time
    /// that `until` ends the caller's with.
    fn take(&self, patience: Duration, until: Until<'_>) -> Result<Option<Taken>, NoTurn> {
        let me = thread::current().id();
        if self.0.lock().user == Some(me) {
            return Err(NoTurn::Reentrant);
        }
        let free = |state: &State| state.user.is_none() || state.retired;
        let mut state = self.0.wait(until, free).map_err(|ended| match ended {
            Ended::Cancelled => NoTurn::Cancelled,
            Ended::Deadline => {
                NoTurn::TimedOut(until.deadline.and_then(|deadline| deadline.time()))
            }
            Ended::Patience => NoTurn::InUse(patience),
        })?;
        if state.retired {
            return Ok(None);
        }
        state.user = Some(me);
        Ok(Some((state.kept.take(), state.lost)))
    }
}

/// A call that is in a cell; it leaves when this is dropped.
pub(super) struct Turn<'k> {
    keep: &'k Keep,
    key: Key,
    cell: Cell,
    kept: Option<Kept>,
    /// The instance that was there before and is lost, until somebody is told.
    pub(super) lost: Option<StoreId>,
    /// Whether there was a panic already when the call began.
    unwinding: bool,
}

impl Turn<'_> {
    /// Ends the instance if it is of another generation.
    pub(super) fn end_outdated(&mut self, generation: u64) {
        let kept = self.kept.as_ref();
        if kept.is_some_and(|kept| kept.generation != generation) {
            self.discard(true);
        }
    }

    /// The instance that was kept.
    pub(super) fn branch(&mut self) -> Option<&mut Branch> {
        self.kept.as_mut().map(|kept| &mut kept.branch)
    }

    /// Makes an instance to be kept. `None` if there are too many.
    pub(super) fn make<E>(
        &mut self,
        generation: u64,
        make: impl FnOnce() -> Result<Branch, E>,
    ) -> Result<Option<&mut Branch>, E> {
        let more = |live| (live < self.keep.limit).then_some(live + 1);
        let taken = self
            .keep
            .live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if taken.is_err() {
            return Ok(None);
        }
        let permit = Permit(Arc::clone(&self.keep.live));
        let kept = self.kept.insert(Kept {
            branch: make()?,
            generation,
            _permit: permit,
        });
        Ok(Some(&mut kept.branch))
    }

    /// Ends the instance. The next one is told of it only if it held anything.
    pub(super) fn discard(&mut self, held_state: bool) {
        if let Some(kept) = self.kept.take()
            && held_state
        {
            self.lost = Some(kept.branch.store_id());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.unwinding {
            self.discard(true);
        }
        // A cell that has nothing to tell goes; the map would grow with every tenant.
        let mut cells = (self.kept.is_none() && self.lost.is_none()).then(|| self.keep.lock());
        let outdated = self.cell.0.change(|state| {
            let is_outdated =
                |kept: &mut Kept| state.generation.is_some_and(|it| it != kept.generation);
            let outdated = self.kept.take_if(is_outdated);
            if let Some(outdated) = &outdated {
                self.lost = Some(outdated.branch.store_id());
            }
            if !state.retired {
                state.kept = self.kept.take();
                state.lost = self.lost;
                if let Some(cells) = &mut cells {
                    cells.remove(&self.key);
                    state.retired = true;
                }
            }
            state.user = None;
            outdated
        });
        // Not under the lock: ending an instance takes a while.
        drop((cells, outdated, self.kept.take()));
    }
}
