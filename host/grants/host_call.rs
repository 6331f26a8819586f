//! What a host function may know of the run that calls it.

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
}

/// The handles that may stop a call: the instance's own and the call's.
pub(crate) type Cancels = [Option<Cancel>; 2];

impl HostCall {
    /// The instance whose script made the call; nothing where Rust made it.
    pub fn store_id(&self) -> Option<StoreId> {
        self.store_id
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
