//! What instances can begin with in place of what the guest begins with.

use std::sync::{Arc, OnceLock};

use crate::engine::frozen::FrozenMemory;
#[cfg(feature = "compile")]
use crate::engine::translated::Translated;
use crate::grants::told::{Numbers, Told};
use crate::identity::StoreId;
use crate::instance::chunk_cache::KnownChunk;
use crate::journal::memory::Memory;
use crate::store::global::Number;
use crate::wire::HeldChunk;

/// A chunk that a guest holds, ready to be run.
#[derive(Clone)]
pub(crate) struct HeldText {
    pub(crate) number: HeldChunk,
    pub(crate) known: Arc<KnownChunk>,
}

/// A frozen memory, and what belongs to it.
pub(crate) struct Frozen {
    pub(crate) memory: FrozenMemory,
    /// The global variables, in the order of the code's exports.
    pub(crate) globals: Vec<Number>,
    /// Where the guest has room for a small request.
    pub(crate) room: Option<(u32, u32)>,
    /// What the guest was told.
    pub(crate) told: Arc<Told>,
    /// The numbers that it knows host functions by.
    pub(crate) numbers: Option<Arc<Numbers>>,
    /// The stream of random numbers, where the seed is fixed.
    pub(crate) stream: u64,
    /// The instance that it was made of.
    pub(crate) parent: StoreId,
    /// The chunks that its guest holds, where those are known.
    pub(crate) chunks: Vec<HeldText>,
    /// The chunks whose translated functions its prototypes may say the places of.
    #[cfg(feature = "compile")]
    pub(crate) translated: Vec<Arc<Translated>>,
    /// The memory as journals have it, once one was to.
    pub(crate) kept: OnceLock<Arc<Memory>>,
}
