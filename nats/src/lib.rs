//! Jobs on other machines, by way of [NATS JetStream](https://docs.nats.io/nats-concepts/jetstream), with exactly one
//! result each.
//!
//! A [`Session`] sends jobs in chunks and gets their ends; a [`Worker`] runs them. What a job is, and what an end
//! is, is up to the two: for this crate they are bytes. What it sees to:
//!
//! - **One end each.** A job may be run more than once, when its worker dies or falls silent; the session takes the
//!   first end of each and drops the others, and the server holds one result for each chunk. Several jobs of a chunk may
//!   have one end in common: it counts for all of them, or for none.
//! - **Leases.** A worker says every few seconds that it is at a chunk, from a thread that does nothing else. One
//!   that falls silent loses it.
//! - **Suspects.** What a silent worker was at runs again, job by job, each alone in its process; a job that costs three
//!   more workers is [`Lost`](Update::Lost), and lies among the dead letters.
//! - **Sizes.** Chunks take about 20 milliseconds, by the reports of workers; twice as many are out as there are slots.
//! - **Versions.** A worker sees jobs of its own version alone.
//!
//! Both sides have a thread of their own for the connection, and block: no runtime is needed around them. Nothing is printed,
//! and the environment isn't read.

mod access;
mod client;
mod error;
mod io;
mod keys;
mod link;
mod message;
mod names;
mod overview;
mod sealed;
mod session;
mod sizes;
mod streams;
mod worker;

pub use crate::access::Access;
pub use crate::client::Client;
pub use crate::error::Error;
pub use crate::overview::{Backlog, Dead, Overview};
pub use crate::session::{Run, Session, Update, Waker};
#[cfg(feature = "testing")]
pub use crate::worker::Sabotage;
pub use crate::worker::{Busy, Stopper, Task, Worker, WorkerShown};
