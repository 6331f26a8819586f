//! Means for the tests of isolation; behind the feature `testing`, never for anything else.
//!
//! Identity tests are worth something only if they can fail. [`Sabotage`] makes pools that
//! break one promise each, and the tests have to notice.

use std::panic::{self, AssertUnwindSafe};

use crate::instance::Instance;
use crate::{Branch, Pool};

pub use crate::instance::handle::Inspect;
pub use crate::pool::sabotage::Sabotage;

/// How many chunks the pool would run without compiling them.
pub fn compiled_chunks(pool: &Pool) -> usize {
    pool.compiled_chunks()
}

/// What the chunk compiles to, as [`PoolBuilder::compile`](crate::PoolBuilder::compile) has it translated; nothing
/// where it doesn't parse.
#[cfg(feature = "compile")]
pub fn bytecode<'c>(pool: &Pool, chunk: impl Into<crate::Chunk<'c>>) -> Option<Vec<u8>> {
    pool.bytecode(&chunk.into())
}

/// Waits until all chunks that are hot by now are translated, for so long at most
/// ([`PoolBuilder::compile_hot`](crate::PoolBuilder::compile_hot)). Whether they are.
#[cfg(feature = "compile")]
pub fn has_translated_what_is_hot(pool: &Pool, within: std::time::Duration) -> bool {
    pool.has_translated_what_is_hot(within)
}

/// How many chunks, or groups of those that were translated together, the branch has translated functions of.
#[cfg(feature = "compile")]
pub fn translated_chunks_of(branch: &Branch) -> usize {
    branch.0.with(Instance::translated_chunks)
}

/// A copy of all linear memory that the branch has at the moment; empty once it has ended.
pub fn memory_of(branch: &Branch) -> Vec<u8> {
    branch.0.with(Instance::copy_memory)
}

/// Tries to read the linear memory of `owner` through the store of `other`.
///
/// # Errors
///
/// With wasmtime's message, when it refuses.
pub fn read_memory_of(owner: &Branch, other: &Branch) -> Result<(), String> {
    refused(|| {
        owner
            .0
            .with(|owner| other.0.with(|other| owner.read_through(other)))
    })
}

/// Tries to call a function of `owner` through the store of `other`.
///
/// # Errors
///
/// With wasmtime's message, when it refuses.
pub fn call_function_of(owner: &Branch, other: &mut Branch) -> Result<(), String> {
    refused(|| {
        owner
            .0
            .with(|owner| other.0.with_mut(|other| owner.call_through(other)))
    })
}

/// wasmtime refuses another store's object with a panic.
fn refused(attempt: impl FnOnce()) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(attempt)).map_err(|payload| {
        payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default()
    })
}
