//! Limits as flags, and the pool that keeps them.

use std::time::Duration;

use bytesize::ByteSize;
use moonfork::{ErrorKind, Pool, PoolBuilder};

use super::{Mistake, cache};

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
    /// A pool that keeps these limits.
    ///
    /// # Errors
    /// If there can't be one: a [`Mistake`] if that is for a limit that was asked for.
    pub(super) fn pool(&self) -> anyhow::Result<Pool> {
        let mut pool = Pool::builder();
        if let Some(wall) = self.wall {
            pool = pool.wall(wall);
        }
        if let Some(memory) = self.memory {
            pool = pool.memory(memory);
        }
        with_cache(pool)
            .build()
            .map_err(|error| match error.kind() {
                ErrorKind::Setup { .. } if self.memory.is_some() => {
                    Mistake(format!("--memory: {error}")).into()
                }
                _ => error.into(),
            })
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
    usize::try_from(size.as_u64()).map_err(|_| "more than this machine can address".to_owned())
}
