//! How much a call may use.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::wire;

/// What a call may use.
///
/// The limits of a pool hold for every call of every instance it makes. A run may ask for
/// narrower ones through [`RunOptions`](crate::RunOptions), never for wider ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time a call may take, host functions included. Defends against endless
    /// loops, wherever they are: in Lua, in a coroutine, inside a C function such as
    /// `string.find`. Checked at every tick of the pool's clock (5 ms).
    pub wall: Duration,
    /// Fuel a call may burn: about one unit for each WebAssembly instruction, a few dozen for
    /// each of Lua's. Defends against scripts that take more than their share, by a measure
    /// that is the same on every machine and at every load. Only pools that meter
    /// ([`PoolBuilder::metered`](crate::PoolBuilder::metered)) can have such a limit.
    pub fuel: Option<u64>,
    /// Bytes that an instance may occupy in all, its own code's tables and stack included.
    /// Defends the host's memory. Lua may have all but its fixed part and a small reserve,
    /// so that a script sees an error that it can catch before the sandbox has to stop it.
    pub memory: usize,
    /// Bytes of printed output that are kept until they are taken; the rest is cut off, and said
    /// so. Defends the host's memory against `print` in a loop, in one call or in many.
    pub output: usize,
    /// How many times a call may call host functions, `require`, `fs` and the clock of `os`. Defends what is
    /// behind them: a loop around a cheap question is a dear one for who answers it.
    pub host_calls: u64,
    /// What a value may cost on its way out: the bytes of its text, and besides 32 for each
    /// value in it and 128 for each object, which is about what it takes in memory. On its
    /// way in, where the caller has it in memory already, its encoded bytes are counted.
    /// Defends the host against results that are larger than any caller expects: a few
    /// kilobytes of Lua tables that hold each other many times unfold to gigabytes.
    pub value: usize,
    /// How many levels deep a value may be nested, in either direction, at most
    /// [`MAX_DEPTH`](Self::MAX_DEPTH). Defends the stacks of both sides.
    pub depth: usize,
}

impl Default for Limits {
    /// 30 s, no limit of fuel, 64 MiB, 1 MiB of output, 100,000 host calls, 64 MiB a value,
    /// 100 levels.
    fn default() -> Limits {
        Limits {
            wall: Duration::from_secs(30),
            fuel: None,
            memory: 64 << 20,
            output: 1 << 20,
            host_calls: 100_000,
            value: 64 << 20,
            depth: Limits::MAX_DEPTH,
        }
    }
}

impl Limits {
    /// What [`memory`](Self::memory) can be: at least what an instance needs to run anything,
    /// at most what 32 bits can address.
    pub const MEMORY_RANGE: RangeInclusive<usize> = 4 << 20..=4 << 30;

    /// What [`value`](Self::value) must be at least.
    pub const MIN_VALUE: usize = 1 << 10;

    /// What [`depth`](Self::depth) can be at most.
    pub const MAX_DEPTH: usize = wire::MAX_DEPTH;

    /// For small scripts of strangers: 1 s, 8 MiB, 64 KiB of output, 1000 host calls, 1 MiB
    /// a value, 32 levels.
    pub fn strict() -> Limits {
        Limits {
            wall: Duration::from_secs(1),
            fuel: None,
            memory: 8 << 20,
            output: 64 << 10,
            host_calls: 1000,
            value: 1 << 20,
            depth: 32,
        }
    }

    /// For scripts that are trusted not to exhaust the host: no limit but what the sandbox
    /// itself has, 4 GiB of memory and [`MAX_DEPTH`](Self::MAX_DEPTH). They can still be
    /// stopped, by [`Cancel`](crate::Cancel).
    pub fn unlimited() -> Limits {
        Limits {
            wall: Duration::MAX,
            fuel: None,
            memory: *Limits::MEMORY_RANGE.end(),
            output: usize::MAX,
            host_calls: u64::MAX,
            value: u32::MAX as usize,
            depth: Limits::MAX_DEPTH,
        }
    }

    /// Refuses limits that can't be kept. `metered` says whether the pool counts fuel.
    pub(crate) fn check(&self, metered: bool) -> Result<(), String> {
        if !Self::MEMORY_RANGE.contains(&self.memory) {
            return Err(format!(
                "the memory limit is {} bytes; it must be between {} (4 MiB) and {} (4 GiB)",
                self.memory,
                Self::MEMORY_RANGE.start(),
                Self::MEMORY_RANGE.end()
            ));
        }
        if self.value < Self::MIN_VALUE {
            return Err(format!(
                "the limit of a value is {}; nothing could pass with less than {}",
                self.value,
                Self::MIN_VALUE
            ));
        }
        if !(1..=Self::MAX_DEPTH).contains(&self.depth) {
            return Err(format!(
                "the depth limit is {}; it must be between 1 and {}",
                self.depth,
                Self::MAX_DEPTH
            ));
        }
        if self.wall.is_zero() {
            return Err("the wall-clock limit is zero; no call could run".into());
        }
        match self.fuel {
            Some(_) if !metered => Err(
                "a limit of fuel is asked for, and the pool doesn't meter fuel; build it with \
                 `metered`"
                    .into(),
            ),
            Some(0) => Err("the limit of fuel is zero; no call could run".into()),
            _ => Ok(()),
        }
    }
}
