//! Small blocks of memory that are kept for whoever asks for as much next.
//!
//! Lua makes and frees small objects all the time, and the heap takes longer for each than Lua for
//! what it does with them. So freed blocks are kept, by size, for the next of
//! that size: only so many, since what is kept here can't be put together for a larger block.

#[cfg(not(target_family = "wasm"))]
use std::alloc::System as HEAP;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

#[cfg(target_family = "wasm")]
use super::heap::HEAP;

/// Sizes are rounded up to multiples of this.
const STEP: usize = 16;

/// How blocks are aligned. For more, the heap takes a longer way.
pub(super) const ALIGN: usize = 8;

/// The largest size that is kept, in bytes.
const MAX: usize = 256;

/// Bytes of one size that are kept at the most.
const MAX_KEPT: usize = 32 << 10;

const SIZES: usize = MAX / STEP;

/// A block that is kept: it holds where the next one is.
struct Kept {
    next: *mut Kept,
}

/// The blocks of one size that are kept.
struct Shelf {
    first: Cell<*mut Kept>,
    bytes: Cell<usize>,
}

thread_local! {
    static SHELVES: [Shelf; SIZES] = const {
        [const { Shelf { first: Cell::new(ptr::null_mut()), bytes: Cell::new(0) } }; SIZES]
    };
}

/// The heap, with small blocks kept in front of it.
pub(crate) struct Blocks;

impl Blocks {
    /// Gives all that is kept back to the heap; says whether there was any.
    pub(super) fn clear() -> bool {
        SHELVES.with(|shelves| {
            let mut any = false;
            for (shelf, size) in shelves.iter().zip(1..) {
                // SAFETY: steps up to `MAX` make a layout, and every block on a shelf has its
                // size; it is taken off before it is freed.
                unsafe {
                    let layout = Layout::from_size_align_unchecked(size * STEP, ALIGN);
                    while let Some(block) = shelf.take(size * STEP) {
                        HEAP.dealloc(block, layout);
                        any = true;
                    }
                }
            }
            any
        })
    }
}

#[cfg(target_family = "wasm")]
impl Blocks {
    /// Blocks of a size that are put on its shelf, by number of steps: small ones are made the most.
    const fn stocked(steps: usize) -> usize {
        match steps {
            1..=4 => 16,
            5..=8 => 4,
            _ => 1,
        }
    }

    /// Bytes that a stock takes, with what the heap adds to each block: its size, and what makes it a
    /// multiple of its alignment.
    pub(super) const STOCK: usize = {
        let mut bytes = 0;
        let mut steps = 1;
        while steps <= SIZES {
            bytes += Blocks::stocked(steps) * (steps * STEP + ALIGN);
            steps += 1;
        }
        bytes
    };

    /// Puts some blocks of each size on the shelves, as far as the heap has them: what a small script
    /// asks for then lies side by side, on few pages.
    pub(super) fn stock() {
        SHELVES.with(|shelves| {
            for (shelf, steps) in shelves.iter().zip(1..) {
                let size = steps * STEP;
                for _ in 0..Blocks::stocked(steps) {
                    // SAFETY: steps up to `MAX` make a layout, and the block is nobody's.
                    unsafe {
                        let layout = Layout::from_size_align_unchecked(size, ALIGN);
                        let block = HEAP.alloc(layout);
                        if !block.is_null() && !shelf.put(block, size) {
                            HEAP.dealloc(block, layout);
                        }
                    }
                }
            }
        });
    }
}

impl Shelf {
    /// Takes a block of `size` bytes, the shelf's.
    fn take(&self, size: usize) -> Option<*mut u8> {
        let block = self.first.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: what is on the shelf is a block that nobody else has, and `put` wrote to it.
        self.first.set(unsafe { (*block).next });
        self.bytes.set(self.bytes.get() - size);
        Some(block.cast())
    }

    /// Puts a block there, unless there are enough; says whether it did.
    ///
    /// # Safety
    ///
    /// `block` must have `size` bytes, the shelf's, be aligned to [`ALIGN`], and belong to nobody.
    unsafe fn put(&self, block: *mut u8, size: usize) -> bool {
        if self.bytes.get() >= MAX_KEPT {
            return false;
        }
        let kept: *mut Kept = block.cast();
        // SAFETY: the caller's promise; a step has room for it.
        unsafe {
            kept.write(Kept {
                next: self.first.get(),
            })
        };
        self.first.set(kept);
        self.bytes.set(self.bytes.get() + size);
        true
    }
}

/// What is asked of the heap for `layout`, and the shelf for it, where there is one.
#[inline]
fn rounded(layout: Layout) -> (Layout, Option<usize>) {
    let size = layout.size();
    if size == 0 || size > MAX || layout.align() > ALIGN {
        return (layout, None);
    }
    let steps = size.div_ceil(STEP);
    // SAFETY: at most `MAX`, and aligned to a power of two.
    let layout = unsafe { Layout::from_size_align_unchecked(steps * STEP, ALIGN) };
    (layout, Some(steps - 1))
}

// SAFETY: a block has at least the size and the alignment that were asked for, since both are only
// rounded up. The same layout always is rounded to the same, so that the heap gets its blocks
// back with the layout that they came with; and a block is either on a shelf or with a caller.
unsafe impl GlobalAlloc for Blocks {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (layout, place) = rounded(layout);
        if let Some(place) = place
            && let Some(block) = SHELVES.with(|shelves| shelves[place].take(layout.size()))
        {
            return block;
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe {
            let made = HEAP.alloc(layout);
            if made.is_null() && Blocks::clear() {
                return HEAP.alloc(layout);
            }
            made
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (layout, place) = rounded(layout);
        // SAFETY: the caller keeps the contract of `dealloc`: the block was made for this layout,
        // and is nobody's any more.
        unsafe {
            let kept = place.is_some_and(|place| {
                SHELVES.with(|shelves| shelves[place].put(block, layout.size()))
            });
            if !kept {
                HEAP.dealloc(block, layout);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` makes a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let (was, shelf) = rounded(layout);
        let (becomes, other_shelf) = rounded(wanted);
        if was == becomes && shelf.is_some() {
            return block;
        }
        // SAFETY: the caller keeps the contract of `realloc`. A block that changes its kind is
        // copied as far as both go, and what can't be made leaves it as it was.
        unsafe {
            if shelf.is_none() && other_shelf.is_none() {
                let made = HEAP.realloc(block, layout, size);
                if made.is_null() && Blocks::clear() {
                    return HEAP.realloc(block, layout, size);
                }
                return made;
            }
            let made = self.alloc(wanted);
            if !made.is_null() {
                ptr::copy_nonoverlapping(block, made, layout.size().min(size));
                self.dealloc(block, layout);
            }
            made
        }
    }
}
