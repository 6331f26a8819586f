//! The identity of an instance, and what it is for.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Which wasmtime store an instance lives in: unique in this process, and never used again.
///
/// A counter, not an address: an address is free to be used again as soon as what stood
/// there is gone, so that comparing two of them says nothing unless both are still alive.
/// The id lies in the store's own data and is read from there, hence two handles reach the
/// same instance if and only if their ids are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(NonZeroU64);

impl StoreId {
    /// An id that no store of this process has had.
    pub(crate) fn next() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only the counter's own order matters. At one store a nanosecond it takes
        // five centuries to wrap around.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        StoreId(NonZeroU64::new(id).expect("a process doesn't live to make 2^64 stores"))
    }

    /// The id as a number, for logs and reports.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an instance is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The long-lived instance of a pool or of a workflow run.
    Main,
    /// A fresh instance for one parallel branch.
    Branch,
}
