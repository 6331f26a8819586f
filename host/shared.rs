//! What all instances of a pool have in common. Main is not part of it: what an instance can
//! reach never leads to another instance.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::StoreId;
use crate::function::Functions;
use crate::image::Image;
use crate::limits::Limits;

/// The shared parts of a pool.
pub(crate) struct Shared {
    pub(crate) image: Image,
    pub(crate) limits: Limits,
    pub(crate) functions: Arc<Functions>,
    /// Keyed afresh for each pool by the standard library.
    pub(crate) seeds: RandomState,
}

impl Shared {
    /// Seeds for `math.random` that no other instance has.
    pub(crate) fn seed(&self, id: StoreId) -> (i64, i64) {
        let half = |which: u8| self.seeds.hash_one((id, which)).cast_signed();
        (half(0), half(1))
    }
}
