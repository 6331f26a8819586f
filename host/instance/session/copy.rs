//! What of a live instance is copied into a fresh one, and what that has of its own.

use std::sync::Arc;

use wasmtime::{Extern, Global};

use crate::engine::apart::PAGE;
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
        for (at, theirs) in (0..).step_by(PIECE).zip(theirs.chunks(PIECE)) {
            let own = &mut own[at..at + theirs.len()];
            let is_same = match initial {
                _ if at >= begun => theirs == &ZEROS[..theirs.len()],
                Some(initial) => theirs == &initial[at..at + theirs.len()],
                None => theirs == own,
            };
            if !is_same {
                own.copy_from_slice(theirs);
            }
        }
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
