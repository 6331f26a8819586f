//! Random numbers for an instance, without giving it any of the host's.

use std::hash::{BuildHasher, RandomState};

use crate::StoreId;

/// A stream of numbers of its own for each instance: the keyed hash of its id and a counter.
/// The key is the pool's, made afresh by the standard library and never shown.
#[derive(Debug)]
pub(crate) struct Entropy {
    key: RandomState,
    id: StoreId,
    drawn: u64,
}

impl Entropy {
    /// The numbers of instance `id`, of a pool with this key.
    pub(crate) fn new(key: &RandomState, id: StoreId) -> Entropy {
        Entropy {
            key: key.clone(),
            id,
            drawn: 0,
        }
    }

    /// Seeds for `math.random`.
    pub(crate) fn seed(&mut self) -> (i64, i64) {
        (self.draw().cast_signed(), self.draw().cast_signed())
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.key.hash_one((self.id, self.drawn))
    }
}
