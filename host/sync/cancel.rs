//! Stopping a run from another thread.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Stops the runs that it was given to, and no others.
///
/// Clones are the same handle. Any thread may fire it: before a run, which then doesn't start;
/// during one, which is stopped at the next tick of the pool's clock (5 ms), wherever it is in
/// Lua; after it, when nothing happens. Once fired it stays so. What it can't stop is a host
/// function that blocks: that one is told through its [`HostCall`](crate::HostCall).
///
/// ```
/// use moonfork::{Cancel, Pool, RunOptions};
/// # fn main() -> moonfork::Result<()> {
/// let cancel = Cancel::new();
/// let pool = Pool::builder().build()?;
/// let mut branch = pool.branch_with(&RunOptions::new().cancel_handle(&cancel))?;
/// let canceller = std::thread::spawn(move || cancel.cancel());
/// let error = branch.eval::<()>("while true do end").unwrap_err();
/// assert!(error.is_cancelled());
/// # canceller.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Default)]
struct Inner {
    fired: AtomicBool,
    watchers: Mutex<Watchers>,
    /// What fires this one when it is fired: kept, so that a handle in the middle of a chain may
    /// be dropped.
    parents: Vec<Place>,
    /// Whether to fire, asked at each tick of a run that was given the handle.
    condition: Option<Condition>,
}

type Condition = Box<dyn Fn() -> bool + Send + Sync>;
type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Watchers {
    next: u64,
    watching: BTreeMap<u64, Watcher>,
}

enum Watcher {
    Callback(Callback),
    Child(Weak<Inner>),
}

impl Watchers {
    fn add(&mut self, watcher: Watcher) -> u64 {
        let key = self.next;
        self.next += 1;
        self.watching.insert(key, watcher);
        key
    }
}

/// Where something watches a handle.
struct Place {
    of: Cancel,
    key: u64,
}

impl Cancel {
    /// A handle that was not fired.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// A handle that is fired when this one is, and can be fired by itself.
    pub fn child(&self) -> Cancel {
        Cancel::any([self])
    }

    /// A [child](Self::child) that also fires when `condition` says so. That is asked on the thread
    /// that runs a script, at each tick of the pool's clock (5 ms) that the script sees, if the run was
    /// given this very handle: for a host that has to look for something now and then on its own
    /// thread, such as a signal. A panic of it ends the instance.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    /// use moonfork::{Cancel, Pool, RunOptions};
    /// # fn main() -> moonfork::Result<()> {
    /// let asked = AtomicUsize::new(0);
    /// let cancel = Cancel::new().child_when(move || asked.fetch_add(1, Ordering::Relaxed) == 2);
    /// let pool = Pool::builder().build()?;
    /// let mut branch = pool.branch_with(&RunOptions::new().cancel_handle(&cancel))?;
    /// let error = branch.eval::<()>("while true do end").unwrap_err();
    /// assert!(error.is_cancelled() && cancel.is_cancelled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn child_when(&self, condition: impl Fn() -> bool + Send + Sync + 'static) -> Cancel {
        Cancel::descend([self], Some(Box::new(condition)))
    }

    /// A handle that is fired when any of `parents` is, and can be fired by itself.
    pub fn any<'a>(parents: impl IntoIterator<Item = &'a Cancel>) -> Cancel {
        Cancel::descend(parents, None)
    }

    fn descend<'a>(
        parents: impl IntoIterator<Item = &'a Cancel>,
        condition: Option<Condition>,
    ) -> Cancel {
        let child = Cancel(Arc::new_cyclic(|child: &Weak<Inner>| Inner {
            fired: AtomicBool::default(),
            watchers: Mutex::default(),
            parents: parents
                .into_iter()
                .map(|parent| Place {
                    of: parent.clone(),
                    key: parent.0.lock().add(Watcher::Child(Weak::clone(child))),
                })
                .collect(),
            condition,
        }));
        // A parent that was fired before the child was there could not reach it.
        if child.0.parents.iter().any(|place| place.of.is_cancelled()) {
            child.cancel();
        }
        child
    }

    /// Fires the handle if its condition holds by now.
    pub(crate) fn look(&self) {
        if let Some(condition) = &self.0.condition
            && !self.is_cancelled()
            && condition()
        {
            self.cancel();
        }
    }

    /// Stops the runs that have this handle.
    ///
    /// # Panics
    ///
    /// When a callback of [`on_cancel`](Self::on_cancel) does, after all have been called.
    pub fn cancel(&self) {
        // A list, not a recursion: handles may be children of children without end.
        let mut to_fire = vec![self.clone()];
        let mut callbacks = Vec::new();
        while let Some(handle) = to_fire.pop() {
            let watching = {
                let mut watchers = handle.0.lock();
                // Under the lock: who watches afterwards sees it, who watched before is called.
                handle.0.fired.store(true, Ordering::Release);
                std::mem::take(&mut watchers.watching)
            };
            for watcher in watching.into_values() {
                match watcher {
                    Watcher::Callback(callback) => callbacks.push(callback),
                    Watcher::Child(child) => to_fire.extend(child.upgrade().map(Cancel)),
                }
            }
        }
        let mut panicked = None;
        for callback in callbacks {
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(callback)) {
                panicked.get_or_insert(payload);
            }
        }
        if let Some(payload) = panicked {
            panic::resume_unwind(payload);
        }
    }

    /// Whether it was fired.
    pub fn is_cancelled(&self) -> bool {
        self.0.fired.load(Ordering::Acquire)
    }

    /// Calls `callback` once when the handle is fired, on the thread that fires it; at once if
    /// it was fired already. For host functions that wait for something: a way to be woken.
    ///
    /// The callback is forgotten when the result is dropped; it may be under way by then.
    #[must_use = "the callback is forgotten when this is dropped"]
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> CancelWatch {
        let mut watchers = self.0.lock();
        let key = if self.is_cancelled() {
            drop(watchers);
            callback();
            None
        } else {
            Some(watchers.add(Watcher::Callback(Box::new(callback))))
        };
        CancelWatch(key.map(|key| Place {
            of: self.clone(),
            key,
        }))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Watchers> {
        // Callbacks run outside of the lock, so that a panic leaves the book whole.
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // One by one, as above: a handle may be the last to keep a long line of parents.
        let mut parents = std::mem::take(&mut self.parents);
        while let Some(place) = parents.pop() {
            place.forget();
            if let Some(mut parent) = Arc::into_inner(place.of.0) {
                parents.append(&mut parent.parents);
            }
        }
    }
}

impl Place {
    fn forget(&self) {
        let forgotten = self.of.0.lock().watching.remove(&self.key);
        // Outside of the lock: what a callback holds may be a handle to the same one.
        drop(forgotten);
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Keeps a callback of [`Cancel::on_cancel`] until it is dropped, and the handle with it.
pub struct CancelWatch(Option<Place>);

impl Drop for CancelWatch {
    fn drop(&mut self) {
        if let Some(place) = &self.0 {
            place.forget();
        }
    }
}

impl fmt::Debug for CancelWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelWatch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counter() -> (Arc<AtomicUsize>, impl Fn() + Clone + Send + 'static) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        (count, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
    }

    #[test]
    fn a_child_follows_its_parents_and_not_the_other_way_round() {
        let (one, other) = (Cancel::new(), Cancel::new());
        let child = Cancel::any([&one, &other]);
        let grandchild = child.child();
        let sibling = one.child();
        other.cancel();
        assert!(child.is_cancelled() && grandchild.is_cancelled());
        assert!(!one.is_cancelled() && !sibling.is_cancelled());
        sibling.cancel();
        assert!(!one.is_cancelled());
    }

    #[test]
    fn a_child_of_a_fired_handle_is_fired() {
        let parent = Cancel::new();
        parent.cancel();
        assert!(parent.child().is_cancelled());
    }

    #[test]
    fn a_callback_is_called_once() {
        let (count, callback) = counter();
        let cancel = Cancel::new();
        let before = cancel.on_cancel(callback.clone());
        cancel.cancel();
        cancel.cancel();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let after = cancel.on_cancel(callback);
        assert_eq!(count.load(Ordering::Relaxed), 2);
        drop((before, after));
    }

    #[test]
    fn a_callback_that_nobody_keeps_is_forgotten() {
        let (count, callback) = counter();
        let cancel = Cancel::new();
        drop(cancel.on_cancel(callback));
        cancel.cancel();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn dropped_children_leave_nothing_behind() {
        let parent = Cancel::new();
        for _ in 0..1000 {
            drop(parent.child());
        }
        assert!(parent.0.lock().watching.is_empty());
    }

    #[test]
    fn a_chain_holds_though_nobody_keeps_its_middle() {
        let (count, callback) = counter();
        let parent = Cancel::new();
        let grandchild = parent.child().child();
        let watch = parent.child().on_cancel(callback);
        parent.cancel();
        assert!(grandchild.is_cancelled());
        assert_eq!(count.load(Ordering::Relaxed), 1);
        drop(watch);
    }

    #[test]
    fn a_callback_that_panics_keeps_no_other_from_being_called() {
        let (count, callback) = counter();
        let cancel = Cancel::new();
        let _first = cancel.on_cancel(|| panic!("of the callback's own"));
        let _second = cancel.on_cancel(callback);
        let child = cancel.child();
        let result = panic::catch_unwind(AssertUnwindSafe(|| cancel.cancel()));
        assert!(result.is_err());
        assert!(child.is_cancelled());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_callback_may_use_the_handle_that_fires_it() {
        let cancel = Cancel::new();
        let own = cancel.clone();
        let _watch = cancel.on_cancel(move || {
            own.cancel();
            drop(own.on_cancel(|| ()));
            assert!(own.child().is_cancelled());
        });
        cancel.cancel();
    }

    #[test]
    fn children_of_children_do_not_use_up_the_stack() {
        let first = Cancel::new();
        let mut last = first.clone();
        for _ in 0..100_000 {
            last = last.child();
        }
        let other = last.child();
        first.cancel();
        assert!(last.is_cancelled());
        drop((first, last));
        drop(other);
    }

    #[test]
    fn a_parent_fired_on_another_thread_never_misses_a_child() {
        for _ in 0..200 {
            let parent = Cancel::new();
            let child = std::thread::scope(|scope| {
                scope.spawn(|| parent.cancel());
                parent.child()
            });
            assert!(child.is_cancelled());
        }
    }
}
