//! What of a live instance is copied into a fresh one, and what that has of its own.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;

use wasmtime::{Extern, Global};

use crate::engine::apart::PAGE;
use crate::engine::audited::huge_pages::{self, HUGE};
use crate::grants::told::Told;
use crate::instance::frozen::Frozen;
use crate::instance::session::{Session, exports};
use crate::report::{Origin, hex};
use crate::store::global::Number;

impl Session {
    /// What it began with in place of the guest's own memory.
    pub(in crate::instance) fn frozen(&self) -> Option<&Arc<Frozen>> {
        self.frozen.as_ref()
    }

    /// Where its memory came from.
    pub(in crate::instance) fn origin(&self) -> Origin {
        Origin {
            parent: self.store.data().parent,
            guest_sha256: self.shared.image.guest_sha256().to_owned(),
            snapshot_sha256: self.frozen.as_ref().map(|it| hex(it.memory.hash())),
        }
    }

    /// Where the guest has room for a small request, and how much.
    pub(in crate::instance) fn room(&self) -> Option<(u32, u32)> {
        self.room
    }

    /// Takes what a fresh instance needs that begins with `frozen`.
    pub(super) fn begin_frozen(&mut self, frozen: &Arc<Frozen>) -> wasmtime::Result<()> {
        self.frozen = Some(Arc::clone(frozen));
        self.room = frozen.room;
        for (own, value) in self.globals().into_iter().zip(&frozen.globals) {
            value.put(&own, &mut self.store)?;
        }
        let context = self.store.data_mut();
        context.parent = Some(frozen.parent);
        context.stream = frozen.stream;
        context.numbers.clone_from(&frozen.numbers);
        self.inherit(Arc::clone(&frozen.told));
        Ok(())
    }

    /// Makes this fresh instance what `parent` is, which began in the same way.
    pub(in crate::instance) fn become_copy(
        &mut self,
        parent: &mut Session,
    ) -> wasmtime::Result<()> {
        self.copy_memory(parent)?;
        #[cfg(feature = "compile")]
        self.inherit_translated(parent)?;
        for (own, theirs) in self.globals().into_iter().zip(parent.globals()) {
            Number::of(&theirs, &mut parent.store)?.put(&own, &mut self.store)?;
        }
        self.room = parent.room;
        let told = parent.told();
        let theirs = parent.store.data_mut();
        let own = self.store.data_mut();
        own.parent = Some(theirs.id);
        own.stream = theirs.next_stream();
        own.numbers.clone_from(&theirs.numbers);
        self.inherit(told);
        Ok(())
    }

    fn copy_memory(&mut self, parent: &Session) -> wasmtime::Result<()> {
        /// Bytes that are compared, and copied, at once: a page of the host's, as a rule.
        const PIECE: usize = 4 << 10;
        const ZEROS: &[u8] = &[0; PIECE];

        let Session {
            store,
            memory,
            shared,
            ..
        } = self;
        let begun = memory.data_size(&*store);
        let theirs = parent.memory.data(&parent.store);
        let missing = theirs.len().saturating_sub(begun) / PAGE;
        if missing > 0 {
            memory.grow(&mut *store, missing as u64)?;
        }
        // What it begins with, without looking there, which would have the kernel map it.
        let initial = match self.frozen {
            None => Some(
                shared
                    .image
                    .initial(|| memory.data(&*store)[..begun].into()),
            ),
            Some(_) => None,
        };
        let own = memory.data_mut(&mut *store);
        let initial = |at: usize, len: usize| match initial {
            _ if at >= begun => Some(&ZEROS[..len]),
            Some(initial) => Some(&initial[at..at + len]),
            None => None,
        };
        let copied = &mut own[..theirs.len()];
        huge_pages::filled(copied, begun.min(theirs.len()), |own| {
            at_once(own, theirs, |at, own, theirs| {
                let places = (at..).step_by(PIECE);
                let pieces = own.chunks_mut(PIECE).zip(theirs.chunks(PIECE));
                for (at, (own, theirs)) in places.zip(pieces) {
                    if theirs != initial(at, theirs.len()).unwrap_or(own) {
                        own.copy_from_slice(theirs);
                    }
                }
            });
        });
        Ok(())
    }

    /// The globals that are state.
    pub(in crate::instance) fn globals(&mut self) -> Vec<Global> {
        let exports = exports(&self.shared, self.frozen.as_deref());
        let found = exports.globals.iter().filter_map(|export| {
            self.instance
                .get_module_export(&mut self.store, export)
                .and_then(Extern::into_global)
        });
        found.collect()
    }

    /// What its guest was told, and those of which it is a copy.
    pub(in crate::instance) fn told(&self) -> Arc<Told> {
        let context = self.store.data();
        let inherited = self.inherited.as_deref().unwrap_or(Told::NOTHING);
        Arc::new(match self.ready {
            true => inherited.and(&context.granted, context.numbers.as_deref()),
            // It waits for its first call.
            false => inherited.clone(),
        })
    }

    /// Has its guest told what its memory hasn't been told.
    fn inherit(&mut self, told: Arc<Told>) {
        let context = self.store.data();
        let news = told.news(&context.granted, context.numbers.as_deref());
        self.ready = !news.is_any();
        self.inherited = Some(told);
    }
}

/// Has `copy` copy all of one memory to another, part by part, with each part's place in them: by several
/// threads where it is large. Most of the time goes into page faults, which processors take side by side.
fn at_once(to: &mut [u8], from: &[u8], copy: impl Fn(usize, &mut [u8], &[u8]) + Sync) {
    /// Bytes of a part: two threads that come upon the same page, new to both, would both zero one.
    const PART: usize = HUGE;
    /// Bytes for each thread. With two thirds of that, thousands of forks of 4 MB by two workers took longer than without:
    /// the processors were at work already.
    const ENOUGH: usize = 3 << 20;
    /// More don't copy faster: they wait for the same locks of the kernel's.
    const MAX_THREADS: usize = 4;
    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, Into::into));

    let parts = (0..).step_by(PART);
    let parts = Mutex::new(parts.zip(to.chunks_mut(PART)).zip(from.chunks(PART)));
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let copy_parts = || {
        while let Some(((at, to), from)) = next() {
            copy(at, to, from);
        }
    };
    let threads = (from.len() / ENOUGH).min(*PROCESSORS).min(MAX_THREADS);
    thread::scope(|scope| {
        for _ in 1..threads {
            // One that can't be had isn't needed: what it would copy is copied here.
            let _ = thread::Builder::new().spawn_scoped(scope, copy_parts);
        }
        copy_parts();
    });
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(0)]
    #[case::less_than_a_part(7)]
    #[case::by_one_thread((5 << 20) + 4096)]
    #[case::by_several((17 << 20) + 4096)]
    fn each_part_is_copied_once_from_its_own_place(#[case] len: usize) {
        let from: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut to = vec![0; len];
        let copied = Mutex::new(Vec::new());
        at_once(&mut to, &from, |at, to, from| {
            to.copy_from_slice(from);
            copied.lock().unwrap().push((at, to.len()));
        });
        assert!(to == from);
        let mut copied = copied.into_inner().unwrap();
        copied.sort_unstable();
        let mut end = 0;
        for (at, len) in copied {
            assert_eq!(at, end);
            end += len;
        }
        assert_eq!(end, len);
    }
}
