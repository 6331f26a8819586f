//! The guest, compiled and linked once, and the clock that its instances are stopped by.

pub(crate) mod apart;
pub(crate) mod audited;
pub(crate) mod compiled;
pub(crate) mod exports;
pub(crate) mod frozen;
pub(crate) mod image;
pub(crate) mod ticker;
#[cfg(feature = "compile")]
pub(crate) mod translated;

/// Stack that compiled Lua may use, in bytes. wasmtime counts it from where the call enters and traps
/// beyond it. Lua's own limit of 200 nested C calls has to come first, as an error that
/// scripts can catch: `tests/runtime/limits/stack.rs` measures that it does.
pub(crate) const WASM_STACK: usize = 1 << 20;
