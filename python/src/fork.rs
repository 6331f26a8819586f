//! Nothing that has threads survives `fork`: they stay behind in the parent.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How often this process was forked from one that had the module.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Read by threads that make or give up a pool, written to by one that forks.
static NO_FORK: RwLock<()> = RwLock::new(());

thread_local! {
    /// What the thread that forks has until that is done.
    static FORKING: RefCell<Option<RwLockWriteGuard<'static, ()>>> = const { RefCell::new(None) };
}

/// Waits until no thread makes or gives up a pool: a lock that one of them had would stay locked in the
/// child, where it isn't.
#[pyfunction]
pub(crate) fn before_fork(py: Python<'_>) {
    py.detach(|| {
        let guard = NO_FORK.write().unwrap_or_else(PoisonError::into_inner);
        FORKING.set(Some(guard));
    });
}

/// Lets them go on.
#[pyfunction]
pub(crate) fn after_fork() {
    FORKING.take();
}

/// Notes that this is the child of a `fork`.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    after_fork();
}

/// Has other threads wait with a `fork` until this is dropped.
pub(crate) fn no_fork() -> RwLockReadGuard<'static, ()> {
    NO_FORK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Which process something was made in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birthplace(u32);

impl Birthplace {
    /// This process.
    pub(crate) fn here() -> Birthplace {
        Birthplace(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether it is this process still.
    pub(crate) fn is_here(self) -> bool {
        self == Birthplace::here()
    }
}

/// A value for the process that made it. In the child of a `fork` it is neither used nor dropped, since
/// either may wait for threads that aren't there.
pub(crate) struct Own<T> {
    /// There until it is dropped.
    value: Option<T>,
    made: Birthplace,
}

impl<T> Own<T> {
    pub(crate) fn new(value: T) -> Own<T> {
        Own {
            value: Some(value),
            made: Birthplace::here(),
        }
    }

    /// The value, unless this is another process than the one that made it.
    pub(crate) fn here(&self) -> Option<&T> {
        self.value.as_ref().filter(|_| self.made.is_here())
    }

    /// As [`here`](Self::here), to change it.
    pub(crate) fn here_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut().filter(|_| self.made.is_here())
    }

    /// As [`here`](Self::here), for who can't do without: `what` it is called in the message.
    pub(crate) fn get(&self, what: &str) -> PyResult<&T> {
        self.here().ok_or_else(|| forked(what))
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if !self.made.is_here() {
            mem::forget(self.value.take());
        }
    }
}

/// That something was made before a `fork`.
pub(crate) fn forked(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!(
        "this {what} was made before the process was forked, and its threads stayed in the parent; \
         make a new one in the child (multiprocessing: in the initializer, or use the start method \
         'spawn'; Celery: in the signal worker_process_init)"
    ))
}
