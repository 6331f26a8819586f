//! What the guest's start-up gets to see. Also part of `bin/preinit.rs`, which runs it.

use serde::{Deserialize, Serialize};

/// What the guest sees of the world while it is pre-initialised.
#[derive(Serialize, Deserialize)]
pub(crate) struct World {
    /// Seconds since 1970, as the wall clock always shows.
    pub(crate) wall_clock_seconds: u64,
    /// What the monotonic clock always shows.
    pub(crate) monotonic_nanoseconds: u64,
    /// Repeated without end, wherever random bytes are asked for.
    pub(crate) random_bytes: Vec<u8>,
}
