//! A pool doesn't survive `fork`: its threads stay behind in the parent.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

/// How often this process was forked from one that had the module.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Notes that this is the child of a `fork`.
#[pyfunction]
pub(crate) fn note_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
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
