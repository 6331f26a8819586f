//! What an instance's memory adds up to, and who refuses it more: Lua first, then the store.

use wasmtime::ResourceLimiter;

use crate::wire::Allowance;
use crate::{Error, Limits, Result};

/// Bytes set aside for the heap that holds caught exceptions. wasmtime makes it when the first
/// Lua error is thrown: were there no room left by then, "not enough memory" itself could not
/// be thrown.
pub(crate) const EXCEPTION_HEAP: usize = 512 << 10;

/// What the guest has to see to, when the instance occupies `fixed` bytes before it starts. Lua may
/// allocate all but a sixteenth, for the buffers that values pass through.
pub(crate) fn allowance(limits: &Limits, fixed: usize) -> Allowance {
    let all = limits.memory.saturating_sub(EXCEPTION_HEAP);
    let clamp = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
    Allowance {
        lua_memory: clamp((all - all / 16).saturating_sub(fixed)),
        max_value: clamp(limits.value),
        max_depth: limits.depth,
    }
}

/// Refuses limits that a memory of so many bytes goes beyond.
///
/// # Errors
///
/// `Options`.
pub(crate) fn check_room(memory: usize, limits: &Limits) -> Result<()> {
    if memory > limits.memory.saturating_sub(EXCEPTION_HEAP) {
        return Err(Error::options(format_args!(
            "an instance that begins with a memory of {memory} bytes is to have {} at the most, of \
             which {EXCEPTION_HEAP} are kept for errors: give it more",
            limits.memory
        )));
    }
    Ok(())
}

/// Adds up what a store has grown to: its linear memory, and the heap for exceptions.
/// wasmtime's own `StoreLimits` bounds each memory by itself, not the sum.
#[derive(Debug)]
pub(crate) struct Accountant {
    /// What linear memory has grown to. It never shrinks.
    used: usize,
    /// What the heap of exceptions has grown to.
    exceptions: usize,
    limit: usize,
    /// Whether growth was refused during the call: tells a trap for want of memory from any
    /// other.
    pub(crate) refused: bool,
}

impl Accountant {
    pub(crate) fn new(limit: usize) -> Accountant {
        Accountant {
            used: 0,
            exceptions: 0,
            limit: limit.saturating_sub(EXCEPTION_HEAP),
            refused: false,
        }
    }

    /// Begins a call that may occupy `limit` bytes.
    pub(crate) fn begin(&mut self, limit: usize) {
        self.limit = limit.saturating_sub(EXCEPTION_HEAP);
        self.refused = false;
    }

    /// Bytes that the store has grown to.
    pub(crate) fn used(&self) -> usize {
        self.used + self.exceptions
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
            self.exceptions = desired;
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
