//! Lua that runs before anything else, and is kept for all instances.

use std::path::PathBuf;

use moonfork::{Chunk, PoolBuilder};

use super::input;

/// The arguments for preludes.
#[derive(Debug, clap::Args)]
pub(super) struct PreludeArgs {
    /// A Lua file that runs once, before anything else: what it leaves is there from the beginning
    #[arg(long = "prelude", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl PreludeArgs {
    /// Gives the preludes to a pool, which runs them in their order when it is built.
    ///
    /// # Errors
    /// If one can't be read, with its name.
    pub(super) fn apply(&self, mut pool: PoolBuilder) -> anyhow::Result<PoolBuilder> {
        for file in &self.files {
            let chunk = Chunk::new(input::file(file)?);
            pool = pool.prelude(chunk.named(file.display().to_string()));
        }
        Ok(pool)
    }
}
