//! What of a pool's Lua is translated to WebAssembly.

use crate::chunk::Chunk;
use crate::error::{Error, Result};
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
    /// Whether chunks are whose runs take long, once they have.
    pub(super) hot: bool,
    /// Whether all chunks are, when they are first run.
    #[cfg(feature = "testing")]
    pub(super) all: bool,
    /// Whether those are however large they are.
    #[cfg(feature = "testing")]
    pub(super) large: bool,
}

impl Compile {
    /// Says whether a pool can have this.
    ///
    /// # Errors
    ///
    /// `Options` when it can't.
    pub(super) fn check(&self, metered: bool) -> Result<()> {
        match self.hot && metered {
            true => Err(Error::options(
                "a pool that counts fuel can't have hot chunks compiled in the background (`compile_hot`): compiled Lua burns \
                 other fuel, and what a run burns would be up to when that was done; name the chunks (`compile`), or \
                 build the pool without `metered`",
            )),
            false => Ok(()),
        }
    }

    /// Tells the instances' shared parts what is translated later.
    pub(super) fn apply(&self, shared: Shared) -> Shared {
        #[cfg(feature = "testing")]
        if self.all {
            return shared.translating_all(!self.large);
        }
        match self.hot {
            true => shared.translating_hot(),
            false => shared,
        }
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
