//! Memory that Rust code falls back on when Lua has taken all the rest.
//!
//! Lua can be told that an allocation failed; Rust code, ours and our libraries', aborts. So
//! a block is kept aside that only Rust's allocator may break up, and only when there is
//! nothing else: enough to report an error, or to collect garbage. Lua's own allocator doesn't
//! ask here, and never gets at it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

use super::blocks::Blocks;

/// Bytes kept aside: many times what reporting an error takes.
const RESERVE: Layout = match Layout::from_size_align(256 << 10, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("the reserve has a size"),
};

thread_local! {
    static BLOCK: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// Sets the block aside, if it isn't; says whether it is now.
#[inline]
pub(crate) fn fill() -> bool {
    !BLOCK.get().is_null() || set_aside()
}

#[cold]
fn set_aside() -> bool {
    // SAFETY: the layout isn't of size zero.
    let block = unsafe { Blocks.alloc(RESERVE) };
    BLOCK.set(block);
    !block.is_null()
}

/// Zeroes the block: who had its memory before may have left something there.
#[cfg(target_family = "wasm")]
pub(super) fn wipe() {
    let block = BLOCK.get();
    if !block.is_null() {
        // SAFETY: `fill` allocated it with this layout, and nobody else uses it.
        unsafe { block.write_bytes(0, RESERVE.size()) };
    }
}

/// Gives the block to whoever allocates next; says whether there was one.
fn release() -> bool {
    BLOCK.with(|block| {
        let held = block.replace(ptr::null_mut());
        if !held.is_null() {
            // SAFETY: `fill` allocated it with this layout, and nothing else knows of it.
            unsafe { Blocks.dealloc(held, RESERVE) };
        }
        !held.is_null()
    })
}

/// [`Blocks`], with the reserve behind it.
pub(crate) struct WithReserve;

// SAFETY: every block comes from `Blocks` and goes back to it with the layout that it came
// with; `release` doesn't allocate.
unsafe impl GlobalAlloc for WithReserve {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        let made = unsafe { Blocks.alloc(layout) };
        if made.is_null() && release() {
            // SAFETY: as above.
            return unsafe { Blocks.alloc(layout) };
        }
        made
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { Blocks.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`.
        let made = unsafe { Blocks.realloc(block, layout, size) };
        if made.is_null() && release() {
            // SAFETY: as above; a failed `realloc` leaves the block as it was.
            return unsafe { Blocks.realloc(block, layout, size) };
        }
        made
    }
}
