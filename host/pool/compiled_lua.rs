//! Chunks that a pool has translated to WebAssembly.

use std::time::Duration;

use crate::chunk::Chunk;
use crate::engine::translated::OneTranslated;
use crate::error::{Error, Result};
use crate::instance::compile;
use crate::pool::Pool;

/// What became of a chunk of [`PoolBuilder::compile`](crate::PoolBuilder::compile).
#[derive(Clone)]
pub struct CompiledLua {
    name: String,
    translated: OneTranslated,
}

impl CompiledLua {
    /// What the chunk is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many of its functions were translated, itself included.
    pub fn functions(&self) -> usize {
        self.translated.chunk().functions
    }

    /// How many instructions of Lua's bytecode those have.
    pub fn instructions(&self) -> usize {
        self.translated.chunk().instructions
    }

    /// Those of its functions that stay interpreted: the line that each begins on, 0 for the chunk itself,
    /// and why.
    pub fn interpreted(&self) -> impl Iterator<Item = (u32, String)> {
        let refused = self.translated.chunk().refused.iter();
        refused.map(|refused| (refused.line, refused.reason.to_string()))
    }

    /// Bytes of machine code that it takes, for as long as the pool lives.
    pub fn code_bytes(&self) -> usize {
        self.translated.all.code
    }

    /// How long it took to translate and to compile it.
    pub fn time(&self) -> Duration {
        self.translated.all.time
    }
}

impl std::fmt::Debug for CompiledLua {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledLua")
            .field("name", &self.name)
            .field("functions", &self.functions())
            .field("instructions", &self.instructions())
            .field("interpreted", &self.interpreted().collect::<Vec<_>>())
            .field("code_bytes", &self.code_bytes())
            .field("time", &self.time())
            .finish()
    }
}

impl Pool {
    /// The chunks that the pool has translated to WebAssembly, in no order.
    pub fn compiled_lua(&self) -> Vec<CompiledLua> {
        let all = self.inner.shared.translations.all().into_iter();
        all.map(|(name, translated)| CompiledLua { name, translated })
            .collect()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn bytecode(&self, chunk: &Chunk<'_>) -> Option<Vec<u8>> {
        compile::bytecode_patiently(&self.inner.shared, &chunk.to_wire(), false)
    }

    /// Translates a chunk, for all that run it from there on.
    pub(super) fn translate(&self, chunk: &Chunk<'_>) -> Result<()> {
        let shared = &self.inner.shared;
        let chunk = chunk.to_wire();
        if !shared.image.translates() {
            return Ok(());
        }
        let compile = || compile::bytecode_patiently(shared, &chunk, false);
        let translated = shared
            .translations
            .translate(&shared.image, &chunk, false, compile);
        match translated {
            Ok(Some(_)) => Ok(()),
            // Whatever is wrong with it comes up when it is run.
            Ok(None) => Err(Error::setup(format_args!(
                "'{}' can't be compiled: it doesn't parse",
                chunk.name
            ))),
            Err(error) => Err(Error::setup(format_args!(
                "'{}' can't be compiled: {error:#}",
                chunk.name
            ))),
        }
    }
}
