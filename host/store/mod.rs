//! One wasmtime store: what it carries, and what the guest in it can call.

pub(crate) mod accountant;
pub(crate) mod context;
pub(crate) mod exception;
pub(crate) mod global;
pub(crate) mod imports;
pub(crate) mod interrupt;
pub(crate) mod memory;
pub(crate) mod random;
mod replayed;
mod wasi;
