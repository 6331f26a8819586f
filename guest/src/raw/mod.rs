//! The only unsafe code of the guest: how it meets its host, and how Lua meets memory.

#![allow(
    unsafe_code,
    reason = "exports, imports and an allocator have no safe form"
)]

#[cfg(target_family = "wasm")]
mod abi;
mod blocks;
#[cfg(target_family = "wasm")]
mod heap;
#[cfg(target_family = "wasm")]
mod interrupt;
pub(crate) mod memory;
pub(crate) mod quick;
pub(crate) mod raised;
pub(crate) mod random;
pub(crate) mod reserve;
pub(crate) mod stack;

#[global_allocator]
static ALLOCATOR: reserve::WithReserve = reserve::WithReserve;
