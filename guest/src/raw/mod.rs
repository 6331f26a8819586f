//! The only unsafe code of the guest: how it meets its host, and how Lua meets memory.

#![allow(
    unsafe_code,
    reason = "exports, imports and an allocator have no safe form"
)]

#[cfg(target_family = "wasm")]
mod abi;
mod blocks;
pub(crate) mod gate;
#[cfg(target_family = "wasm")]
mod heap;
#[cfg(target_family = "wasm")]
mod interrupt;
pub(crate) mod lazy;
pub(crate) mod library;
pub(crate) mod memory;
pub(crate) mod quick;
pub(crate) mod raised;
pub(crate) mod random;
pub(crate) mod reserve;
pub(crate) mod settle;
#[cfg(target_family = "wasm")]
mod site;
pub(crate) mod stack;

use crate::wire::Position;

/// Where Lua had no memory last in this request, as far as that is known, and the frames there.
pub(crate) fn memory_site() -> Option<(Position, String)> {
    #[cfg(target_family = "wasm")]
    return site::of_memory();
    #[cfg(not(target_family = "wasm"))]
    return None;
}

#[global_allocator]
static ALLOCATOR: reserve::WithReserve = reserve::WithReserve;
