//! Zeroing what is free, before all of the memory is copied: who has the copy is to find nothing in it
//! of what was freed.

#[cfg(target_family = "wasm")]
pub(super) use heap::set_nest_aside;
#[cfg(target_family = "wasm")]
pub(crate) use heap::wipe;

/// Has all functions interpreted that were translated: what begins with the copy has other ones.
#[cfg(all(target_family = "wasm", not(feature = "plain-lua")))]
pub(crate) fn forget_compiled(lua: &mlua::Lua) {
    unsafe extern "C-unwind" {
        /// See guest/lua/19-compiled-code.patch.
        fn moonfork_forget_compiled(state: *mut mlua::ffi::lua_State);
    }

    // SAFETY: the state is alive; nothing runs, and nothing is made meanwhile.
    lua.exec_raw_lua(|raw| unsafe { moonfork_forget_compiled(raw.state()) });
}

/// Nothing: no function is.
#[cfg(not(all(target_family = "wasm", not(feature = "plain-lua"))))]
pub(crate) fn forget_compiled(_: &mlua::Lua) {}

/// Nothing: only the guest's memory is ever copied.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn wipe() {}

#[cfg(target_family = "wasm")]
mod heap {
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::Cell;
    use std::ptr;

    use crate::raw::blocks::{ALIGN, Blocks};
    use crate::raw::heap::{HEAP, closed};
    use crate::raw::reserve;

    /// A piece of free memory, while it is taken.
    struct Piece {
        next: *mut Piece,
        bytes: usize,
    }

    /// What the heap adds to a block: its size, in front of it.
    const HEAD: usize = size_of::<usize>();

    /// The heap's smallest block, with its head.
    const SMALLEST: usize = 4 * HEAD;

    /// Bits of a head that are no part of the size.
    const FLAGS: usize = 2 * HEAD - 1;

    /// Room for a stock of small blocks, and for a little beside it.
    const NEST: Layout = match Layout::from_size_align(Blocks::STOCK + (1 << 10), ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a stock has a size"),
    };

    thread_local! {
        static NEST_ASIDE: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
    }

    /// Keeps memory aside for the small blocks of those who begin with a copy of all of it. The heap begins
    /// in the front of the memory, which every instance has at hand. By the time that it is copied,
    /// that would be full of what is in use for long: each page behind it that a small script writes to
    /// costs as much as the rest of its start.
    pub(crate) fn set_nest_aside() {
        // SAFETY: the layout isn't of size zero.
        NEST_ASIDE.set(unsafe { HEAP.alloc(NEST) });
    }

    /// Gives that to the heap, zeroed; says whether it was there still. It is for one copy: what is made in
    /// there stays in use.
    fn open_nest() -> bool {
        let nest = NEST_ASIDE.replace(ptr::null_mut());
        if !nest.is_null() {
            // SAFETY: it was made with this layout, and nobody else has it.
            unsafe {
                nest.write_bytes(0, NEST.size());
                HEAP.dealloc(nest, NEST);
            }
        }
        !nest.is_null()
    }

    /// Zeroes all that the heap has free. It can't be asked where that is. So it is asked for all
    /// of it, in pieces as large as they come, while it gets no more from the host.
    pub(crate) fn wipe() {
        Blocks::clear();
        reserve::wipe();
        closed(|| {
            let mut pieces: *mut Piece = ptr::null_mut();
            let mut size = 1 << (usize::BITS - 2);
            while size >= SMALLEST {
                while let Some(piece) = take(size - HEAD, pieces) {
                    pieces = piece;
                }
                size /= 2;
            }
            // Nothing else is free while the nest is: what is made comes from there.
            if !open_nest() {
                give_back(take_nest(&mut pieces));
            }
            Blocks::stock();
            give_back(pieces);
        });
    }

    /// Takes out the piece that small blocks are to come from where none was set aside: the first in memory
    /// that is large enough, since the front of the memory is at hand for every instance, else the largest.
    fn take_nest(pieces: &mut *mut Piece) -> *mut Piece {
        let is_enough = |bytes: usize| bytes >= Blocks::STOCK;
        let mut best: *mut *mut Piece = ptr::null_mut();
        let mut link: *mut *mut Piece = pieces;
        // SAFETY: `link` and `best` are the caller's variable or the field of a piece, and all pieces
        // are taken.
        unsafe {
            while !(*link).is_null() {
                let piece = *link;
                let is_better = best.is_null() || {
                    let other = *best;
                    match (is_enough((*piece).bytes), is_enough((*other).bytes)) {
                        (true, true) => piece < other,
                        (false, false) => (*piece).bytes > (*other).bytes,
                        (is_enough, _) => is_enough,
                    }
                };
                if is_better {
                    best = link;
                }
                link = &raw mut (*piece).next;
            }
            if best.is_null() {
                return ptr::null_mut();
            }
            let nest = *best;
            *best = (*nest).next;
            (*nest).next = ptr::null_mut();
            nest
        }
    }

    /// A piece of at least so many bytes, zeroed but for what it is noted by, in front of the others.
    fn take(bytes: usize, others: *mut Piece) -> Option<*mut Piece> {
        let layout = Layout::from_size_align(bytes, ALIGN).ok()?;
        // SAFETY: it isn't of size zero. Behind its head, a block of the heap has all bytes of the size
        // that stands there, and the head of the next: what was asked for, and what was too little to
        // be a block of its own.
        unsafe {
            let block = HEAP.alloc(layout);
            if block.is_null() {
                return None;
            }
            let head = block.cast::<usize>().sub(1).read();
            let bytes = (head & !FLAGS) - HEAD;
            block.write_bytes(0, bytes);
            let piece = block.cast::<Piece>();
            piece.write(Piece {
                next: others,
                bytes,
            });
            Some(piece)
        }
    }

    /// Gives all of them back to the heap, which puts those together that lie side by side.
    fn give_back(mut pieces: *mut Piece) {
        while !pieces.is_null() {
            // SAFETY: each was taken from the heap, has that many bytes, and is used no more.
            unsafe {
                let Piece { next, bytes } = pieces.read();
                pieces.cast::<u8>().write_bytes(0, size_of::<Piece>());
                let layout = Layout::from_size_align_unchecked(bytes, ALIGN);
                HEAP.dealloc(pieces.cast(), layout);
                pieces = next;
            }
        }
    }
}
