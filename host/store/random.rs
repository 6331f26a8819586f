//! Random numbers for an instance, without giving it any of the host's.

use std::hash::{BuildHasher, RandomState};

use crate::StoreId;

/// The stream of an instance's copy number `copy`: the same in every run, and no other's, as far as 64
/// bits go. (The mixing is that of SplitMix64.)
pub(crate) fn stream(parent: u64, copy: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    let mix = |mut number: u64| {
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    };
    mix(mix(parent.wrapping_add(STEP)).wrapping_add(copy.wrapping_mul(STEP)))
}

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

    /// Fills `bytes`: with the same each time, if they come from this stream of a fixed seed.
    pub(crate) fn fill(&mut self, bytes: &mut [u8], fixed: Option<(u64, u64)>) {
        for chunk in bytes.chunks_mut(8) {
            let number = match fixed {
                None => self.draw(),
                Some((seed, of_instance)) => {
                    self.drawn += 1;
                    stream(seed ^ of_instance, self.drawn)
                }
            };
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.key.hash_one((self.id, self.drawn))
    }
}
