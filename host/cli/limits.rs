//! Limits as flags, and the pool that keeps them.

use std::time::Duration;

use bytesize::ByteSize;
use moonfork::{Limits, Pool, PoolBuilder};

use super::cache;

/// What a script may use.
#[derive(Debug, clap::Args)]
pub(super) struct LimitArgs {
    /// Wall-clock time that one call of Lua may take (each node of a workflow is one), as
    /// in 300ms or 1m 30s [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wall: Option<Duration>,

    /// Memory that one instance may take, as in 16MiB [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<usize>,
}

impl LimitArgs {
    /// A pool that keeps these limits, for one run with at most `branches` branches at once:
    /// each of them reserves address space.
    ///
    /// # Errors
    /// If there can't be one, for want of address space as a rule.
    pub(super) fn pool(&self, branches: usize) -> anyhow::Result<Pool> {
        Ok(self.builder(branches).build()?)
    }

    /// Settings of such a pool.
    pub(super) fn builder(&self, branches: usize) -> PoolBuilder {
        let branches = u32::try_from(branches).unwrap_or(u32::MAX);
        let mut pool = Pool::builder().branches(branches).runs(1);
        if let Some(wall) = self.wall {
            pool = pool.wall(wall);
        }
        if let Some(memory) = self.memory {
            pool = pool.memory(memory);
        }
        with_cache(pool)
    }
}

fn with_cache(pool: PoolBuilder) -> PoolBuilder {
    match cache::folder() {
        Some(folder) => pool.cache_dir(folder),
        None => pool,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("nothing could run in no time".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it as in 300ms or 1m 30s")),
    }
}

fn size(text: &str) -> Result<usize, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|error| format!("{error}; write it as in 16MiB"))?;
    let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    if !Limits::MEMORY_RANGE.contains(&bytes) {
        let [least, most] = [Limits::MEMORY_RANGE.start(), Limits::MEMORY_RANGE.end()]
            .map(|bytes| ByteSize(*bytes as u64));
        return Err(format!("it must be between {least} and {most}"));
    }
    Ok(bytes)
}
