//! Stopping a run from another thread.

use std::collections::BTreeMap;
use std::fmt;
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
/// use moonfork::{Cancel, Handle, Pool, RunOptions};
/// # fn main() -> moonfork::Result<()> {
/// let cancel = Cancel::new();
/// let pool = Pool::builder().build()?;
/// let mut branch = pool.branch_with(&RunOptions::new().cancel(&cancel))?;
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
    /// What fires this one when it is fired; dropped with it.
    parents: Vec<CancelWatch>,
}

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Watchers {
    next: u64,
    callbacks: BTreeMap<u64, Callback>,
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

    /// A handle that is fired when any of `parents` is, and can be fired by itself.
    pub fn any<'a>(parents: impl IntoIterator<Item = &'a Cancel>) -> Cancel {
        Cancel(Arc::new_cyclic(|child: &Weak<Inner>| {
            let watch = |parent: &Cancel| {
                let child = Weak::clone(child);
                parent.on_cancel(move || {
                    if let Some(child) = child.upgrade() {
                        Cancel(child).cancel();
                    }
                })
            };
            let parents: Vec<_> = parents
                .into_iter()
                .map(|parent| (parent.is_cancelled(), watch(parent)))
                .collect();
            Inner {
                // The child can't be reached yet by the callback of a parent that was fired
                // already.
                fired: AtomicBool::new(parents.iter().any(|(fired, _)| *fired)),
                watchers: Mutex::default(),
                parents: parents.into_iter().map(|(_, watch)| watch).collect(),
            }
        }))
        .checked()
    }

    /// Catches a parent that was fired between the look at it and the child's being there.
    fn checked(self) -> Cancel {
        let fired = |watch: &CancelWatch| watch.of.upgrade().is_some_and(|of| of.is_fired());
        if self.0.parents.iter().any(fired) {
            self.cancel();
        }
        self
    }

    /// Stops the runs that have this handle.
    pub fn cancel(&self) {
        let callbacks = {
            let mut watchers = self.0.lock();
            // Under the lock: who watches afterwards sees it, who watched before is called.
            self.0.fired.store(true, Ordering::Release);
            std::mem::take(&mut watchers.callbacks)
        };
        for callback in callbacks.into_values() {
            callback();
        }
    }

    /// Whether it was fired.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_fired()
    }

    /// Calls `callback` once when the handle is fired, on the thread that fires it; at once if
    /// it was fired already. For host functions that wait for something: a way to be woken.
    ///
    /// The callback is forgotten when the result is dropped; it may be under way by then.
    #[must_use = "the callback is forgotten when this is dropped"]
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> CancelWatch {
        let mut watchers = self.0.lock();
        let key = watchers.next;
        if self.is_cancelled() {
            drop(watchers);
            callback();
        } else {
            watchers.next += 1;
            watchers.callbacks.insert(key, Box::new(callback));
        }
        CancelWatch {
            of: Arc::downgrade(&self.0),
            key,
        }
    }
}

impl Inner {
    fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Watchers> {
        // Callbacks run outside of the lock, so that a panic leaves the book whole.
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Keeps a callback of [`Cancel::on_cancel`] until it is dropped.
pub struct CancelWatch {
    of: Weak<Inner>,
    key: u64,
}

impl Drop for CancelWatch {
    fn drop(&mut self) {
        let forgotten = self
            .of
            .upgrade()
            .and_then(|inner| inner.lock().callbacks.remove(&self.key));
        // Outside of the lock: what the callback holds may be a handle to the same one.
        drop(forgotten);
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
        assert!(parent.0.lock().callbacks.is_empty());
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
