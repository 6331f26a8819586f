//! Texts that something is known by: what it was made of is compared in full, since hashes may be the same.

use std::hash::{BuildHasher, RandomState};

use crate::wire::Chunk;

/// A chunk, and whether it is run with a state.
#[derive(Clone, PartialEq)]
pub(crate) struct KnownText {
    name: String,
    line: u32,
    code: Vec<u8>,
    expression: bool,
    with_state: bool,
}

impl KnownText {
    pub(crate) fn new(chunk: &Chunk<'_>, with_state: bool) -> KnownText {
        KnownText {
            name: chunk.name.clone().into_owned(),
            line: chunk.line,
            code: chunk.code.clone().into_owned(),
            expression: chunk.expression,
            with_state,
        }
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, chunk: &Chunk<'_>, with_state: bool) -> bool {
        self.code == *chunk.code
            && self.name == chunk.name
            && (self.line, self.expression, self.with_state)
                == (chunk.line, chunk.expression, with_state)
    }

    /// What the chunk is called in messages.
    #[cfg(feature = "compile")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that it takes, besides its own.
    pub(crate) fn size(&self) -> usize {
        self.name.len() + self.code.len()
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
