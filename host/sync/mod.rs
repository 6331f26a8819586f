//! Stopping, waiting, and which call is under way on a thread.

pub(crate) mod cancel;
pub(crate) mod nesting;
