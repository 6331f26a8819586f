//! Texts that something is known by: what it was made of is compared in full, since hashes may be the same.

use std::hash::{BuildHasher, RandomState};

use crate::wire::Chunk;

/// A chunk, and whether it is run with a state.
#[derive(Clone, PartialEq)]
pub(crate) struct KnownText {
    pub(crate) chunk: Chunk<'static>,
    pub(crate) with_state: bool,
}

impl KnownText {
    pub(crate) fn new(chunk: &Chunk<'_>, with_state: bool) -> KnownText {
        let chunk = Chunk {
            name: chunk.name.clone().into_owned().into(),
            line: chunk.line,
            code: chunk.code.clone().into_owned().into(),
            expression: chunk.expression,
        };
        KnownText { chunk, with_state }
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, chunk: &Chunk<'_>, with_state: bool) -> bool {
        self.chunk == *chunk && self.with_state == with_state
    }

    /// Bytes that it takes, besides its own.
    pub(crate) fn size(&self) -> usize {
        self.chunk.name.len() + self.chunk.code.len()
    }

    /// A hash of all that makes a difference.
    pub(crate) fn hash(key: &RandomState, chunk: &Chunk<'_>, with_state: bool) -> u64 {
        key.hash_one((
            &chunk.name,
            chunk.line,
            &chunk.code,
            chunk.expression,
            with_state,
        ))
    }
}
