//! Keeping a thread awake that is only needed while others work.
//!
//! Who begins something says so by [`touch`](Awake::touch): a load of two flags that hardly ever
//! change, since a short call is over before anything else would be worth its while. The thread
//! takes the touch back at every turn, and goes to sleep after a number of turns without any. Who
//! takes longer than a turn [holds](Awake::hold) it awake until they are done.
//!
//! So that nobody begins beside a thread that goes on sleeping, the two sides meet in flags that each
//! writes before it reads the other's, all in one total order (`SeqCst`): who begins sets `touched`
//! or `held`, then reads `asleep`; the thread sets `asleep`, then reads `touched` and `held`.
//! Whichever comes second in that order sees what the other wrote.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// The flags, shared by the thread and all who need it.
#[derive(Debug, Default)]
pub(crate) struct Awake {
    /// Whether anything has begun since the thread looked last.
    touched: AtomicBool,
    /// How many need it until they say otherwise.
    held: AtomicUsize,
    /// Whether the thread sleeps, or is about to.
    asleep: AtomicBool,
    /// Whether it is to end.
    stopped: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Awake {
    /// Something begins: the thread takes another turn, at least, that begins after this.
    pub(crate) fn touch(&self) {
        // Written once a turn, not once a call: a line of memory that nobody writes to is in the
        // cache of every processor.
        if !self.touched.load(SeqCst) {
            self.touched.store(true, SeqCst);
        }
        self.wake();
    }

    /// Keeps the thread awake until the result is dropped.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        self.held.fetch_add(1, SeqCst);
        self.wake();
        Hold(Arc::clone(self))
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        self.unpark();
    }

    fn wake(&self) {
        if self.asleep.load(SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        // Before there is a thread, it isn't asleep.
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Does `turn` every `interval` on this thread, as long as that gives true: while it is held, and for
    /// `linger` turns after it was last touched. Sleeps in between; begins asleep.
    pub(crate) fn run(&self, interval: Duration, linger: u32, mut turn: impl FnMut() -> bool) {
        self.thread.get_or_init(thread::current);
        let mut idle = linger;
        while !self.stopped.load(SeqCst) {
            if self.touched.swap(false, SeqCst) || self.held.load(SeqCst) > 0 {
                idle = 0;
            } else if idle < linger {
                idle += 1;
            } else {
                self.sleep();
                continue;
            }
            thread::park_timeout(interval);
            if !turn() {
                return;
            }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, SeqCst);
        while !self.is_wanted() {
            thread::park();
        }
        self.asleep.store(false, SeqCst);
    }

    fn is_wanted(&self) -> bool {
        self.touched.load(SeqCst) || self.held.load(SeqCst) > 0 || self.stopped.load(SeqCst)
    }

    /// Whether the thread sleeps, or is about to.
    #[cfg(test)]
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(SeqCst)
    }
}

/// Keeps a thread awake.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Awake>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_micros(50);
    const LINGER: u32 = 3;

    /// Does `work` beside a thread that counts its turns.
    fn beside(work: impl FnOnce(&Arc<Awake>, &AtomicUsize)) {
        let (awake, turns) = (Arc::new(Awake::default()), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                awake.run(TURN, LINGER, || {
                    turns.fetch_add(1, SeqCst);
                    true
                });
            });
            until(|| awake.is_asleep());
            work(&awake, &turns);
            awake.stop();
        });
    }

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_touch_is_followed_by_some_turns_and_then_by_sleep() {
        beside(|awake, turns| {
            for _ in 0..3 {
                let before = turns.load(SeqCst);
                awake.touch();
                until(|| turns.load(SeqCst) > before + LINGER as usize);
                until(|| awake.is_asleep());
            }
        });
    }

    #[test]
    fn it_stays_awake_while_anyone_of_many_holds_it() {
        beside(|awake, turns| {
            let mut holds: Vec<_> = (0..3).map(|_| awake.hold()).collect();
            while !holds.is_empty() {
                let before = turns.load(SeqCst);
                until(|| turns.load(SeqCst) > before + 3 * LINGER as usize);
                holds.pop();
            }
            until(|| awake.is_asleep());
        });
    }

    #[test]
    fn nobody_begins_beside_a_thread_that_goes_on_sleeping() {
        beside(|awake, turns| {
            for _ in 0..2000 {
                let before = turns.load(SeqCst);
                awake.touch();
                // With its linger, the thread falls asleep now and then just as it is touched.
                until(|| turns.load(SeqCst) > before);
            }
        });
    }

    #[test]
    fn it_ends_when_its_turn_says_so_and_when_it_is_stopped() {
        let awake = Arc::new(Awake::default());
        thread::scope(|scope| {
            scope.spawn(|| awake.run(TURN, LINGER, || false));
            awake.touch();
        });
        beside(|_, _| ());
    }
}
