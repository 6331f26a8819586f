//! What a host function may know of the run that calls it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Cancel, Deadline, StoreId};

/// The run that called a host function: how long it has left, and whether it was cancelled.
///
/// The pool can't stop a host function that blocks; one that may take long should wait no
/// longer than [`remaining`](Self::remaining), and end when the run is cancelled.
#[derive(Clone, Debug, Default)]
pub struct HostCall {
    pub(crate) store_id: Option<StoreId>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) cancels: Cancels,
    /// What it goes by, and its number among the calls that go by it.
    pub(crate) key: Option<(Arc<CallKeys>, u64)>,
}

/// What calls of host functions go by: a text, and each a number behind it.
#[derive(Debug)]
pub(crate) struct CallKeys {
    text: String,
    next: AtomicU64,
}

impl CallKeys {
    pub(crate) fn new(text: String) -> CallKeys {
        let next = AtomicU64::new(0);
        CallKeys { text, next }
    }

    /// What the next call goes by.
    pub(crate) fn next(keys: &Arc<CallKeys>) -> (Arc<CallKeys>, u64) {
        // Relaxed: only that each has its own number matters.
        (Arc::clone(keys), keys.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The handles that may stop a call: the instance's own and the call's.
pub(crate) type Cancels = [Option<Cancel>; 2];

impl HostCall {
    /// The instance whose script made the call; nothing where Rust made it.
    pub fn store_id(&self) -> Option<StoreId> {
        self.store_id
    }

    /// What this call goes by: the same text when it is made again because whatever makes it runs again, and another one
    /// than that of any other call. Whoever does something outside on its behalf can hand it on, so that the other side
    /// does it once. It is of letters, digits and `-`, where what it was made of is.
    ///
    /// Calls have one where [`RunOptions::idempotency_key`](crate::RunOptions::idempotency_key) says so, and in workflows:
    /// there it comes from the run, which a run that is resumed is still; the way to the node: the branches around
    /// it, and which of the nodes of its path it is; and the number of the call within the node. So it is the same when a
    /// branch runs again because its worker has ended, when a node is tried again, and when a run goes
    /// on that ended by force; if the script makes the same calls in the same order.
    pub fn idempotency_key(&self) -> Option<String> {
        let (keys, number) = self.key.as_ref()?;
        Some(format!("{}-{number}", keys.text))
    }

    /// When the run must have ended; nothing where it may take for ever.
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// How long the run has left: zero when its time is over.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.remaining())
    }

    /// Whether the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancels.iter().flatten().any(Cancel::is_cancelled)
    }

    /// A handle that is fired when the run is cancelled; firing it doesn't cancel the run.
    pub fn cancel_handle(&self) -> Cancel {
        Cancel::any(self.cancels.iter().flatten())
    }
}
