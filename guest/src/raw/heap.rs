//! The heap below all others: memory as the host gives it.
//!
//! It begins with an array in the front of the guest's memory, which the host keeps at hand for every
//! instance (see `xtask/src/layout.rs`). What starting up makes comes to lie there, and what is free
//! of it by then, holes and all, is used before anything else: a small script touches no other page.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// Bytes of the array: what starting up makes, and as much again as a script of a few lines does.
/// Each of them is copied for every instance.
const FIRST: usize = 64 << 10;

/// Memory that an instance has from the start.
#[repr(C, align(16))]
struct First(UnsafeCell<[u8; FIRST]>);

// SAFETY: there is one thread in the guest, and only the heap uses it.
unsafe impl Sync for First {}

#[unsafe(export_name = "moonfork_heap")]
static FIRST_MEMORY: First = First(UnsafeCell::new([0; FIRST]));

/// Where the heap gets its memory from.
struct Source {
    /// Whether it has the array already.
    begun: Cell<bool>,
}

thread_local! {
    /// Whether the heap has to do with the memory that it has.
    static CLOSED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` while the heap gets no more memory.
pub(super) fn closed<T>(work: impl FnOnce() -> T) -> T {
    CLOSED.set(true);
    let done = work();
    CLOSED.set(false);
    done
}

// SAFETY: what is given out is the array, once, or what the host has just added to the memory, and
// is never taken back.
unsafe impl Allocator for Source {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        const NONE: (*mut u8, usize, u32) = (ptr::null_mut(), 0, 0);

        if CLOSED.get() {
            return NONE;
        }
        if size <= FIRST && !self.begun.replace(true) {
            return (FIRST_MEMORY.0.get().cast(), FIRST, 0);
        }
        let pages = size.div_ceil(self.page_size());
        let before = core::arch::wasm32::memory_grow::<0>(pages);
        if before == usize::MAX {
            return NONE;
        }
        let start = ptr::without_provenance_mut(before * self.page_size());
        (start, pages * self.page_size(), 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        64 << 10
    }
}

/// The heap.
pub(super) struct Heap(UnsafeCell<Dlmalloc<Source>>);

// SAFETY: there is one thread in the guest.
unsafe impl Sync for Heap {}

pub(super) static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Source {
    begun: Cell::new(false),
})));

// SAFETY: every block comes from the one allocator and goes back to it with the layout that it came
// with. No reference to it lives longer than one of its calls, and none of those calls another.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`; see above.
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { (*self.0.get()).free(block, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { (*self.0.get()).realloc(block, layout.size(), layout.align(), size) }
    }
}
