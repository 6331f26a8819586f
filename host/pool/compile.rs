//! What of a pool's Lua is translated to WebAssembly.

use crate::chunk::Chunk;
use crate::error::Result;
use crate::instance::shared::Shared;
use crate::pool::Pool;

/// What is to be translated when a pool is built.
#[derive(Default)]
pub(super) struct Compile {
    pub(super) chunks: Vec<Chunk<'static>>,
    /// Those that are run with a state.
    pub(super) chunks_with_state: Vec<Chunk<'static>>,
    /// Whether the prelude is.
    pub(super) prelude: bool,
    /// Whether all chunks are, when they are first run.
    #[cfg(feature = "testing")]
    pub(super) all: bool,
    /// Whether those are however large they are.
    #[cfg(feature = "testing")]
    pub(super) large: bool,
}

impl Compile {
    /// Tells the instances' shared parts what is translated later.
    #[cfg_attr(
        not(feature = "testing"),
        expect(clippy::unused_self, reason = "tests have more")
    )]
    pub(super) fn apply(&self, shared: Shared) -> Shared {
        #[cfg(feature = "testing")]
        if self.all {
            return shared.translating_all(!self.large);
        }
        shared
    }

    /// Translates what is to be when the pool is built.
    ///
    /// # Errors
    ///
    /// As [`Pool::compile_together`].
    pub(super) fn translate(&self, pool: &Pool, prelude: &[Chunk<'_>]) -> Result<()> {
        for (chunks, with_state) in [(&self.chunks, false), (&self.chunks_with_state, true)] {
            for chunk in chunks {
                pool.compile_together(std::slice::from_ref(chunk), with_state)?;
            }
        }
        match self.prelude {
            true => pool.compile_together(prelude, false),
            false => Ok(()),
        }
    }
}
