//! Room on the stack for a call into the sandbox, whatever thread it comes from.

use crate::engine::WASM_STACK;

/// What the host's side of a call uses above and below that: encoding and decoding values of
/// the greatest depth, imports, and a host function's own frames.
const HOST_STACK: usize = 384 << 10;

/// Runs `call` with enough stack: the caller's where it has enough left, a new one otherwise.
///
/// A thread's stack may be of any size, and so may what is left of it. wasmtime's limit alone
/// doesn't know where the caller's stack ends.
pub(crate) fn with_room<T>(call: impl FnOnce() -> T) -> T {
    const NEEDED: usize = WASM_STACK + HOST_STACK;
    stacker::maybe_grow(NEEDED, NEEDED + (64 << 10), call)
}
