//! Chunks that much time goes into, translated to WebAssembly by a thread of the pool's.
//!
//! What the runs of a text take is added up where its bytecode is kept ([`KnownChunk`]), so a text is known from its
//! second run on. Time is that of the clock on the wall, less what the host does for the script: each call of an instance
//! takes it anyway, where the time of the processor would be two calls of the kernel more. That a busy machine makes some
//! runs seem longer than they are is what [`Heat`] leaves out.
//!
//! The thread is started for the first chunk, does one at a time, and has nothing of the pool while it waits.

mod heat;
#[cfg(test)]
mod tests;

pub(crate) use heat::Heat;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::engine::image::Image;
use crate::instance::chunk_cache::KnownChunk;
use crate::instance::translations::Translations;
use crate::sync::monitor::{Monitor, Until};

/// Bytes of machine code that an instruction is expected to give.
const CODE: usize = 300;

/// How much is translated because it is hot, in a pool.
#[derive(Clone, Copy)]
struct Bounds {
    /// Chunks that wait. Those beyond ask again at their next run.
    waiting: usize,
    /// Chunks that are tried, whatever comes of them.
    chunks: usize,
    /// Bytes of machine code, and of the texts and the bytecode that are kept for it.
    bytes: usize,
}

const BOUNDS: Bounds = Bounds {
    waiting: 8,
    chunks: 512,
    bytes: 32 << 20,
};

/// What has hot chunks translated.
pub(crate) struct Hot {
    work: Arc<Monitor<Work>>,
    bounds: Bounds,
    translate: Arc<Translate>,
}

/// Translates a chunk, unless that may take more than so many bytes. Gives those that it took.
type Translate = dyn Fn(&dyn Translating, &KnownChunk, usize) -> usize + Send + Sync;

/// What of a pool translating takes.
pub(crate) trait Translating: Send + Sync {
    fn image(&self) -> &Image;

    fn translations(&self) -> &Translations;
}

/// What there is to do.
#[derive(Default)]
struct Work {
    waiting: VecDeque<Arc<KnownChunk>>,
    /// Whether there is a thread for it.
    has_thread: bool,
    /// Whether that translates a chunk.
    is_busy: bool,
    /// Whether nothing more is to be done.
    is_over: bool,
    /// Chunks that were tried.
    tried: usize,
    /// Bytes that they take.
    bytes: usize,
}

impl Drop for Hot {
    fn drop(&mut self) {
        self.work.change(Work::end);
    }
}

impl Hot {
    pub(crate) fn new() -> Hot {
        Hot::within(BOUNDS, Arc::new(translate))
    }

    fn within(bounds: Bounds, translate: Arc<Translate>) -> Hot {
        Hot {
            work: Monitor::new(Work::default()),
            bounds,
            translate,
        }
    }

    /// Counts a run of `chunk` in this pool, which took so long.
    pub(crate) fn ran<P>(&self, pool: &Arc<P>, chunk: &Arc<KnownChunk>, took: Duration)
    where
        P: Translating + 'static,
    {
        if !chunk.heat.add(took, &chunk.bytecode) {
            return;
        }
        let Bounds { waiting, .. } = self.bounds;
        let needs_thread = self.work.change(|work| {
            if work.is_over {
                return false;
            }
            if work.waiting.len() >= waiting {
                chunk.heat.not_now();
                return false;
            }
            work.waiting.push_back(Arc::clone(chunk));
            !std::mem::replace(&mut work.has_thread, true)
        });
        if needs_thread {
            let (work, bounds) = (Arc::clone(&self.work), self.bounds);
            let (translate, pool) = (Arc::clone(&self.translate), Arc::downgrade(pool));
            let started = thread::Builder::new()
                .name("moonfork-hot".into())
                .spawn(move || translate_all(&work, bounds, &*translate, &pool));
            if started.is_err() {
                self.work.change(|work| {
                    work.has_thread = false;
                    work.waiting.drain(..).for_each(|it| it.heat.not_now());
                });
            }
        }
    }

    /// Waits until nothing waits to be translated, for so long at most. Whether that is so.
    #[cfg(feature = "testing")]
    pub(crate) fn is_done(&self, within: Duration) -> bool {
        let until = Until {
            patience: std::time::Instant::now().checked_add(within),
            ..Until::default()
        };
        let is_done = |work: &Work| work.waiting.is_empty() && !work.is_busy;
        self.work.wait(until, is_done).is_ok()
    }
}

impl Work {
    fn end(&mut self) {
        self.is_over = true;
        self.waiting.clear();
    }
}

/// Translates what there is to do, until the pool is gone or may have no more.
fn translate_all<P: Translating>(
    work: &Arc<Monitor<Work>>,
    bounds: Bounds,
    translate: &Translate,
    pool: &Weak<P>,
) {
    loop {
        let next = work.wait(Until::default(), |work| {
            work.is_over || !work.waiting.is_empty()
        });
        // It is waited for however long it takes.
        let Ok(mut next) = next else { return };
        let Some(chunk) = next.waiting.pop_front() else {
            return;
        };
        next.is_busy = true;
        next.tried += 1;
        let is_last = next.tried >= bounds.chunks;
        let left = bounds.bytes.saturating_sub(next.bytes);
        drop(next);
        // With it goes the pool, if nobody else has it by then, and what embedders gave it.
        let translated = catch_unwind(AssertUnwindSafe(|| {
            let pool = pool.upgrade()?;
            let has_places = pool.image().has_places();
            has_places.then(|| translate(&*pool, &chunk, left))
        }));
        work.change(|work| {
            work.is_busy = false;
            match translated {
                Ok(Some(bytes)) => work.bytes += bytes,
                Ok(None) => work.end(),
                Err(_) => {}
            }
            if is_last {
                work.end();
            }
        });
    }
}

/// As [`Translate`] says.
fn translate(pool: &dyn Translating, chunk: &KnownChunk, left: usize) -> usize {
    let count = moonfork_translate::instructions(&chunk.bytecode).unwrap_or(0);
    if count.saturating_mul(CODE) + chunk.size() > left {
        return 0;
    }
    // wasmtime has a chunk's functions compiled side by side, by threads of the whole process, unless it is asked by one of
    // others.
    let Ok(one) = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .thread_name(|_| "moonfork-hot".into())
        .build()
    else {
        return 0;
    };
    // One that doesn't compile is as one that isn't hot.
    one.install(|| pool.translations().translate_hot(pool.image(), chunk))
        .unwrap_or(0)
}
