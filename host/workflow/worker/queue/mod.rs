//! Branches on other machines, by way of a server of NATS: see `docs/scaling.md`.
//!
//! The queue is that of the crate `moonfork-nats`, for which jobs are bytes. Here is what is in them: the
//! same messages that processes of this machine are sent, several branches at a time.

pub(crate) mod access;
pub(crate) mod chunk;
pub(crate) mod fold;
pub(crate) mod hosts;
pub(crate) mod place;
pub(crate) mod serve;
