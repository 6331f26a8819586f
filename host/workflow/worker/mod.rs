//! Branches in other processes: `place` is the side of the run, `serve` that of a worker.
//!
//! A worker has the same workflow, which it is sent once, as the files that it was read from; and the state that
//! a fan-out begins with, once for each fan-out. Then it is sent branches, one at a time, and sends back what
//! happens in them and how they end. What a worker grants is up to whoever starts it.

pub(crate) mod away;
pub(crate) mod elsewhere;
pub(crate) mod frame;
pub(crate) mod hosted;
pub(crate) mod message;
pub(crate) mod pack;
pub(crate) mod place;
pub(crate) mod process;
#[cfg(feature = "nats")]
pub(crate) mod queue;
pub(crate) mod serve;
pub(crate) mod workers;
