//! How much an instance may use, and the accounts that hold it to that.

use std::ops::RangeInclusive;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::{Error, Result};

/// What a call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time a call may take, host functions included. Defends against endless
    /// loops, wherever they are: in Lua, in a coroutine, inside a C function such as
    /// `string.find`. Checked at every tick of the pool's clock (5 ms).
    pub wall: Duration,
    /// Bytes that an instance may occupy in all, its own code's tables and stack included.
    /// Defends the host's memory. Lua may have all but its fixed part and a small reserve,
    /// so that a script sees an error that it can catch before the sandbox has to stop it.
    pub memory: usize,
    /// Bytes of printed output that are kept; the rest is cut off, and said so. Defends the
    /// host's memory against `print` in a loop.
    pub output: usize,
    /// What a value may cost on its way out: the bytes of its text, and besides 32 for each
    /// value in it and 128 for each object, which is about what it takes in memory. On its
    /// way in, where the caller has it in memory already, its encoded bytes are counted.
    /// Defends the host against results that are larger than any caller expects: a few
    /// kilobytes of Lua tables that hold each other many times unfold to gigabytes.
    pub value: usize,
}

impl Default for Limits {
    /// 30 s, 64 MiB, 1 MiB of output, 64 MiB a value.
    fn default() -> Limits {
        Limits {
            wall: Duration::from_secs(30),
            memory: 64 << 20,
            output: 1 << 20,
            value: 64 << 20,
        }
    }
}

impl Limits {
    /// What [`memory`](Self::memory) can be: at least what an instance needs to run anything,
    /// at most what 32 bits can address.
    pub const MEMORY_RANGE: RangeInclusive<usize> = 4 << 20..=4 << 30;

    /// What [`value`](Self::value) must be at least.
    pub const MIN_VALUE: usize = 1 << 10;

    /// Refuses limits that can't be kept.
    pub(crate) fn check(&self) -> Result<()> {
        if !Self::MEMORY_RANGE.contains(&self.memory) {
            return Err(Error::setup(format_args!(
                "the memory limit is {} bytes; it must be between {} (4 MiB) and {} (4 GiB)",
                self.memory,
                Self::MEMORY_RANGE.start(),
                Self::MEMORY_RANGE.end()
            )));
        }
        if self.value < Self::MIN_VALUE {
            return Err(Error::setup(format_args!(
                "the limit of a value is {}; nothing could pass with less than {}",
                self.value,
                Self::MIN_VALUE
            )));
        }
        if self.wall.is_zero() {
            return Err(Error::setup(
                "the wall-clock limit is zero; no call could run",
            ));
        }
        Ok(())
    }

    /// What Lua may allocate when the instance occupies `fixed` bytes before it starts: all
    /// but a sixteenth, for the buffers that values pass through.
    pub(crate) fn lua_memory(&self, fixed: usize) -> u64 {
        let all = self.memory.saturating_sub(EXCEPTION_HEAP);
        (all - all / 16).saturating_sub(fixed) as u64
    }
}

/// Bytes set aside for the heap that holds caught exceptions. wasmtime makes it when the first
/// Lua error is raised: were there no room left by then, "not enough memory" itself could not
/// be raised.
pub(crate) const EXCEPTION_HEAP: usize = 512 << 10;

/// Adds up what a store has grown to: its linear memory, and the heap for exceptions.
/// wasmtime's own `StoreLimits` bounds each memory by itself, not the sum.
#[derive(Debug)]
pub(crate) struct Accountant {
    used: usize,
    limit: usize,
    /// Whether growth was refused during the call: tells a trap for want of memory from any
    /// other.
    pub(crate) refused: bool,
}

impl Accountant {
    pub(crate) fn new(limit: usize) -> Accountant {
        Accountant {
            used: 0,
            limit: limit.saturating_sub(EXCEPTION_HEAP),
            refused: false,
        }
    }
}

impl ResourceLimiter for Accountant {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Linear memory is larger than this from the start, so it is the other one, which
        // grows into what was set aside for it.
        if desired <= EXCEPTION_HEAP {
            return Ok(true);
        }
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The guest's tables have a fixed size.
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}
