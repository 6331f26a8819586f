//! Compiling a chunk to bytecode.
//!
//! Lua doesn't verify bytecode, so where it comes from matters. It comes from an instance that was
//! made for one text, is granted nothing, runs nothing, and is gone afterwards. It is loaded only
//! where the host asks for that very text to be run. Scripts have no way to load any, and
//! nothing that an instance answers once it has run a script is ever taken for bytecode.

use std::sync::Arc;
use std::time::Duration;

use crate::instance::chunk_cache::Compiled;
use crate::instance::session::Session;
use crate::instance::shared::Shared;
use crate::instance::stack;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::store::context::Context;
use crate::sync::slots::Slot;
use crate::wire::Chunk;
use crate::{Error, Result};

/// How long compiling may take: a few ticks, since whoever asks waits for it outside of their
/// own limit.
const WALL: Duration = Duration::from_millis(20);

/// What `chunk` compiles to, in an instance made for that.
pub(crate) fn bytecode(shared: &Arc<Shared>, chunk: &Chunk<'_>, with_state: bool) -> Compiled {
    let Some(slot) = shared.compiler_slots.try_take() else {
        return Compiled::Busy;
    };
    match compiled(shared, chunk, with_state, slot, terms(shared, WALL)) {
        Ok(bytecode) => Compiled::Bytecode(bytecode),
        Err(error) if error.is_timeout() => Compiled::Late,
        Err(_) => Compiled::Refused,
    }
}

/// How long it may take where somebody asked for it.
#[cfg(feature = "compile")]
const PATIENT: Duration = Duration::from_secs(5);

/// The same, which waits for a slot, and takes its time. Nothing where it can't be compiled.
#[cfg(feature = "compile")]
pub(crate) fn bytecode_patiently(
    shared: &Arc<Shared>,
    chunk: &Chunk<'_>,
    with_state: bool,
) -> Option<Vec<u8>> {
    let terms = terms(shared, PATIENT);
    let slot = shared.slot(&shared.compiler_slots, &terms).ok()?;
    compiled(shared, chunk, with_state, slot, terms).ok()
}

fn terms(shared: &Shared, wall: Duration) -> Terms {
    Terms::of_limits(Limits {
        wall: shared.limits.wall.min(wall),
        ..shared.limits
    })
}

fn compiled(
    shared: &Arc<Shared>,
    chunk: &Chunk<'_>,
    with_state: bool,
    slot: Slot,
    terms: Terms,
) -> Result<Vec<u8>> {
    let context = Context::new(
        terms,
        Arc::clone(&shared.nothing),
        Duration::ZERO,
        &shared.random,
        Arc::clone(shared.image.awake()),
    );
    let session = Session::new(shared, None, context, slot).map_err(Error::internal)?;
    stack::with_room(|| session.compile(chunk, with_state))
}
