//! What a pool has once for each thread.
//!
//! Processors pass the memory that they write to back and forth. Threads that make small
//! instances all the time would wait for that wherever they write to the same: a count of
//! references, a lock. So what is written to for each instance is there several times, and each
//! thread uses the same one every time. An instance stays with that of the thread that made it.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::grants::Granted;
use crate::instance::bytecode::Recent;
use crate::instance::shared::Shared;

/// How many there are of what each thread should have by itself. Threads beyond that share.
pub(crate) const SHARDS: usize = 16;

/// Which of them is this thread's.
pub(crate) fn own() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

/// The shards of a pool, each made when it is first needed.
pub(crate) struct Shards {
    shared: Arc<Shared>,
    made: [OnceLock<Arc<Shard>>; SHARDS],
}

/// The shared parts of a pool as the instances of one shard hold them.
#[repr(align(128))]
pub(crate) struct Shard {
    shared: Arc<Shared>,
    /// A copy of the pool's own.
    pub(crate) granted: Arc<Granted>,
    /// Bytecode of the chunks that came last.
    pub(crate) recent: Recent,
}

impl Shards {
    pub(crate) fn new(shared: Shared) -> Shards {
        Shards {
            shared: Arc::new(shared),
            made: Default::default(),
        }
    }

    /// That of the calling thread.
    pub(crate) fn own(&self) -> &Arc<Shard> {
        self.made[own()].get_or_init(|| {
            Arc::new(Shard {
                shared: Arc::clone(&self.shared),
                granted: Arc::new(self.shared.granted.clone()),
                recent: Recent::default(),
            })
        })
    }
}

impl Deref for Shards {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Deref for Shard {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_has_the_same_one_every_time() {
        for _ in 0..2 * SHARDS {
            let [first, second] = thread::spawn(|| [own(), own()]).join().unwrap();
            assert_eq!(first, second);
            assert!(first < SHARDS);
        }
    }
}
