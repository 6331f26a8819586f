//! Snapshots: an instance's memory, frozen, for others to begin with.
//!
//! The instance itself is left alone. A copy of it is made, granted nothing, which collects its garbage,
//! runs the finalizers of that, and zeroes what is free; the memory of the copy is frozen. So whatever goes
//! wrong on the way, the instance lives on.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::chunk::Chunk;
use crate::engine::image::LARGE_STACK;
use crate::identity::StoreId;
use crate::instance::Instance;
use crate::instance::compile;
use crate::instance::copy;
use crate::instance::frozen::{Frozen, HeldText};
use crate::instance::session::{Session, encode};
use crate::instance::shared::Shared;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::store::global::Number;
use crate::wire::{Bytecode, Header, HeldChunk, Op, Settle};
use crate::{Error, Result};

/// A request without anything in it.
struct Nothing;

impl Header for Nothing {
    fn write(&self, _: &mut Vec<u8>) {}
}

/// A value that is passed to the guest.
pub(crate) trait Encode {
    /// Appends it.
    ///
    /// # Errors
    ///
    /// `Argument` when it can't pass.
    fn encode(&self, request: &mut Vec<u8>) -> Result<()>;
}

impl<T: Serialize> Encode for T {
    fn encode(&self, request: &mut Vec<u8>) -> Result<()> {
        encode("state", self, request)
    }
}

/// What a frozen memory has besides what the instance has.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extras<'e> {
    /// A state, whose values states of calls to those that begin with the memory may name: see [`Op::Keep`].
    pub(crate) state: Option<&'e dyn Encode>,
    /// Chunks that those are likely to run with a state, which they don't have to load then. What can't be held
    /// is left out.
    pub(crate) chunks: &'e [Chunk<'e>],
}

/// The part of the memory below the stack pointer, where the guest's small stack has been: its calls
/// have ended, so nothing there is in use. The lowest bytes are never used (`xtask/src/stacks.rs`).
const STACK_START: usize = 16;

impl Instance {
    /// Freezes its memory as it is, with `extras`.
    ///
    /// # Errors
    ///
    /// `Poisoned` when it was stopped; and what may stop a call: a finalizer may run for too long, and the
    /// state may find no room.
    pub(crate) fn freeze(&mut self, extras: Extras<'_>) -> Result<Frozen> {
        let parent = self.live()?;
        let shared = Arc::clone(&parent.shared);
        let limits = parent.store.data().limits;
        let terms = Terms {
            granted: Some(Arc::clone(&shared.nothing)),
            ..Terms::of_limits(Limits {
                memory: shared.limits.memory,
                ..limits
            })
        };
        let slot = shared.slot(&shared.snapshot_slots, &terms)?;
        let id = parent.store.data().id;
        let mut chunks = match parent.frozen() {
            Some(frozen) => frozen.chunks.clone(),
            None => Vec::new(),
        };
        let mut copy = copy::copy(parent, &shared, slot, terms)?;
        if let Some(state) = extras.state {
            let write = |request: &mut Vec<u8>| state.encode(request);
            copy.request::<IgnoredAny>(None, Op::Keep, &Nothing, write)?;
        }
        copy.hold(extras.chunks, &mut chunks)?;
        copy.settled(true, id, chunks)
    }

    /// Freezes the memory itself, without a copy, when it holds nothing but what is in use. `keeps_translated` is whether its
    /// prototypes go on saying the places of their functions.
    ///
    /// # Errors
    ///
    /// As [`freeze`](Self::freeze).
    fn settled(
        &mut self,
        keeps_translated: bool,
        parent: StoreId,
        chunks: Vec<HeldText>,
    ) -> Result<Frozen> {
        let shared = Arc::clone(self.shared());
        #[cfg(feature = "compile")]
        let translated = match keeps_translated {
            true => self.live()?.translated().to_vec(),
            false => Vec::new(),
        };
        #[cfg(feature = "compile")]
        let keeps_translated = !translated.is_empty();
        let settle = Settle { keeps_translated };
        self.request::<IgnoredAny>(None, Op::Settle, &settle, |_| Ok(()))?;
        let frozen = self.live()?.frozen_memory(&shared, parent, chunks)?;
        #[cfg(feature = "compile")]
        let frozen = Frozen {
            translated,
            ..frozen
        };
        Ok(frozen)
    }

    /// Holds chunks that aren't `held` yet, which are run with a state.
    ///
    /// # Errors
    ///
    /// When that stops the instance.
    fn hold(&mut self, chunks: &[Chunk<'_>], held: &mut Vec<HeldText>) -> Result<()> {
        let shared = Arc::clone(self.shared());
        // Where fuel is metered, a chunk burns what reading its text does, each time.
        if shared.image.is_metered() {
            return Ok(());
        }
        for chunk in chunks {
            let chunk = chunk.to_wire();
            if held.iter().any(|held| held.known.text.is(&chunk, true)) {
                continue;
            }
            let compile = || compile::bytecode(&shared, &chunk, true);
            let Some(known) = shared.chunks.get_at_once(&chunk, true, compile) else {
                continue;
            };
            match self.request(None, Op::Hold, &Bytecode(&known.bytecode), |_| Ok(())) {
                Ok(number) => held.push(HeldText {
                    number: HeldChunk(number),
                    known,
                }),
                Err(error) if error.ends_instance() => return Err(error),
                // It finds no room.
                Err(_) => break,
            }
        }
        Ok(())
    }
}

#[cfg(feature = "compile")]
impl Frozen {
    /// The same without anything that this pool alone knows: prototypes say no places. Nothing where they don't anyway.
    ///
    /// # Errors
    ///
    /// As [`Instance::freeze`].
    pub(crate) fn for_others(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<Option<Frozen>> {
        if self.translated.is_empty() {
            return Ok(None);
        }
        let terms = Terms {
            granted: Some(Arc::clone(&shared.nothing)),
            ..Terms::of_limits(shared.limits)
        };
        let slot = shared.slot(&shared.snapshot_slots, &terms)?;
        let mut copy = Instance::beginning_with(Some(self), shared, slot, terms)?;
        copy.settled(false, self.parent, Vec::new()).map(Some)
    }
}

impl Session {
    fn frozen_memory(
        &mut self,
        shared: &Shared,
        parent: StoreId,
        chunks: Vec<HeldText>,
    ) -> Result<Frozen> {
        let globals = self.globals();
        let globals: wasmtime::Result<Vec<_>> = globals
            .iter()
            .map(|global| Number::of(global, &mut self.store))
            .collect();
        let globals = globals.map_err(Error::internal)?;
        let mut bytes = self.memory.data(&self.store).to_vec();
        wipe_stacks(&mut bytes, &globals);
        let memory = shared.image.freeze(&bytes).map_err(|error| {
            Error::internal(format_args!("the memory can't be frozen: {error:#}"))
        })?;
        let context = self.store.data();
        Ok(Frozen {
            memory,
            globals,
            room: self.room(),
            stream: context.stream,
            numbers: context.numbers.clone(),
            told: self.told(),
            parent,
            chunks,
            #[cfg(feature = "compile")]
            translated: Vec::new(),
            kept: OnceLock::new(),
        })
    }
}

/// Zeroes what calls have left on the stacks.
fn wipe_stacks(memory: &mut [u8], globals: &[Number]) {
    let small_end = match globals {
        [Number::I32(stack_pointer)] => usize::try_from(*stack_pointer).unwrap_or(0),
        _ => 0,
    };
    let large = LARGE_STACK.start..LARGE_STACK.end.min(memory.len());
    for unused in [STACK_START..small_end.min(LARGE_STACK.start), large] {
        if let Some(unused) = memory.get_mut(unused) {
            unused.fill(0);
        }
    }
}
