//! The clock that running scripts are checked against.
//!
//! Compiled code reads the engine's epoch at every loop and call; when it has moved on, the
//! store's callback runs and looks at the instance's own deadline. Moving the epoch is the
//! ticker's work: one thread an engine, asleep while nothing runs.
//!
//! Waking a sleeping thread costs more than a small script, so the ticker doesn't fall asleep
//! at once when the last run ends, only after [`LINGER`] ticks without any. The two sides
//! meet in two flags, each written by one side before it reads the other's, all in one total
//! order (`SeqCst`): a run raises `running`, then reads `asleep`; the ticker raises `asleep`,
//! then reads `running`. Whichever comes second in that order sees the other's flag, so that
//! a run never starts beside a ticker that goes on sleeping.
//!
//! What runs is counted by thread, for the reason given in `host/instance/shard.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::instance::shard::{self, SHARDS};
use crate::{Error, Result};

/// How often deadlines are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// Ticks without any run after which the ticker falls asleep.
const LINGER: u32 = 20;

/// Moves an engine's epoch while scripts run; stops with its last handle.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many scripts run at the moment, by their threads.
    running: [Arc<Count>; SHARDS],
    /// Whether the thread is parked, or about to be.
    asleep: AtomicBool,
    /// Whether it is to end.
    stopped: AtomicBool,
}

/// One of them, by itself in what processors pass to each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Count(AtomicUsize);

impl Shared {
    fn is_idle(&self) -> bool {
        self.running.iter().all(|count| count.0.load(SeqCst) == 0)
    }

    /// The count of this thread.
    fn own_count(&self) -> &Arc<Count> {
        &self.running[shard::own()]
    }
}

impl Ticker {
    /// Starts the thread, asleep.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start(engine: &Engine) -> Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let (engine, state) = (engine.weak(), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("moonfork-ticker".into())
            .stack_size(64 << 10)
            .spawn(move || tick(&engine, &state))
            .map_err(|error| Error::setup(format_args!("no thread for the clock: {error}")))?;
        Ok(Ticker {
            shared,
            thread: thread.thread().clone(),
        })
    }

    /// A ticket for an instance made on this thread.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(Arc::clone(self.shared.own_count()))
    }

    /// Keeps the ticker awake for as long as the result lives.
    pub(crate) fn run(&self, ticket: Ticket) -> Running {
        ticket.0.0.fetch_add(1, SeqCst);
        if self.shared.asleep.load(SeqCst) {
            self.thread.unpark();
        }
        Running(Some(ticket))
    }

    /// Whether the thread is parked, or about to be.
    #[cfg(test)]
    fn is_asleep(&self) -> bool {
        self.shared.asleep.load(SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// The right to be counted among what runs, which an instance has from one run to the next.
pub(crate) struct Ticket(Arc<Count>);

/// A script that runs.
pub(crate) struct Running(Option<Ticket>);

impl Running {
    /// Ends it.
    pub(crate) fn end(mut self) -> Option<Ticket> {
        self.stop()
    }

    fn stop(&mut self) -> Option<Ticket> {
        let ticket = self.0.take()?;
        ticket.0.0.fetch_sub(1, SeqCst);
        Some(ticket)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = LINGER;
    while !shared.stopped.load(SeqCst) {
        if !shared.is_idle() {
            idle = 0;
        } else if idle < LINGER {
            idle += 1;
        } else {
            shared.asleep.store(true, SeqCst);
            while shared.is_idle() && !shared.stopped.load(SeqCst) {
                thread::park();
            }
            shared.asleep.store(false, SeqCst);
            continue;
        }
        thread::park_timeout(TICK);
        // Only a weak handle: the ticker must not keep an engine alive that nobody uses.
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until the ticker sleeps, or doesn't.
    fn until(ticker: &Ticker, asleep: bool) {
        while ticker.is_asleep() != asleep {
            thread::yield_now();
        }
    }

    #[test]
    fn it_is_awake_while_anything_runs_on_any_of_many_threads() {
        let engine = Engine::default();
        let ticker = Ticker::start(&engine).unwrap();
        let barrier = std::sync::Barrier::new(2 * SHARDS + 1);
        thread::scope(|scope| {
            for _ in 0..2 * SHARDS {
                scope.spawn(|| {
                    let running = ticker.run(ticker.ticket());
                    barrier.wait();
                    barrier.wait();
                    drop(running);
                });
            }
            barrier.wait();
            until(&ticker, false);
            assert!(!ticker.shared.is_idle());
            barrier.wait();
        });
        assert!(ticker.shared.is_idle());
        until(&ticker, true);
    }

    #[test]
    fn it_sleeps_until_something_runs_and_again_afterwards() {
        let engine = Engine::default();
        let ticker = Ticker::start(&engine).unwrap();
        until(&ticker, true);
        for _ in 0..3 {
            let running = ticker.run(ticker.ticket());
            until(&ticker, false);
            drop(running);
            until(&ticker, true);
        }
    }
}
