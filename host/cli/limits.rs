//! Limits as flags, and the pool that keeps them.

use std::time::Duration;

use moonfork::quantity::{self, QuantityError, format_size};
use moonfork::{Limits, Pool, PoolBuilder};

use super::cache;

/// What a script may use.
#[derive(Debug, clap::Args)]
pub(super) struct LimitArgs {
    /// Wall-clock time that one call of Lua may take (each node of a workflow is one), as
    /// in 300ms or 1m 30s [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = quantity::parse_duration)]
    wall: Option<Duration>,

    /// Fuel that one call of Lua may burn, about one unit for each WebAssembly instruction
    /// [default: no limit, and not counted].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fuel: Option<u64>,

    /// Memory that one instance may take, as in 16MiB [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<usize>,

    /// Printed output that is kept, as in 64KiB; the rest is cut off [default: 1MiB].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    output: Option<usize>,

    /// How often one call of Lua may call the host: host functions, `require`, `fs`
    /// [default: 100000].
    #[arg(long, value_name = "N")]
    host_calls: Option<u64>,
}

impl LimitArgs {
    /// Settings for a pool that keeps these limits, for one run with at most `branches`
    /// branches at once: each of them reserves address space.
    pub(super) fn builder(&self, branches: usize) -> PoolBuilder {
        let branches = u32::try_from(branches).unwrap_or(u32::MAX);
        let default = Limits::default();
        let pool = Pool::builder()
            .max_branches(branches)
            .max_runs(1)
            .limits(Limits {
                wall: self.wall.unwrap_or(default.wall),
                fuel: self.fuel,
                memory: self.memory.unwrap_or(default.memory),
                output: self.output.unwrap_or(default.output),
                host_calls: self.host_calls.unwrap_or(default.host_calls),
                ..default
            });
        let pool = match self.fuel {
            Some(_) => pool.metered(),
            None => pool,
        };
        match cache::folder() {
            Some(folder) => pool.cache_dir(folder),
            None => pool,
        }
    }
}

fn size(text: &str) -> Result<usize, QuantityError> {
    let bytes = quantity::parse_size(text)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn memory(text: &str) -> Result<usize, String> {
    let bytes = size(text).map_err(|error| error.to_string())?;
    if !Limits::MEMORY_RANGE.contains(&bytes) {
        let [least, most] = [Limits::MEMORY_RANGE.start(), Limits::MEMORY_RANGE.end()]
            .map(|bytes| format_size(*bytes as u64));
        return Err(format!("it must be between {least} and {most}"));
    }
    Ok(bytes)
}
