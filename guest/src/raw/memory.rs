//! Lua's allocator: counted, limited, and never fatal.
//!
//! mlua's own allocator counts and limits as well, but when the memory below it has run out it
//! aborts. This one says so to Lua, which collects its garbage, tries again, and then raises
//! "not enough memory", an error that scripts can catch: also when memory that is free in
//! total lies in pieces that are too small. It never touches the [`reserve`](super::reserve).

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use mlua::{Lua, ffi};

use super::blocks::Blocks;

thread_local! {
    /// Whether somebody was told that there is no memory.
    static RAN_OUT: Cell<bool> = const { Cell::new(false) };
}

/// Whether there was no memory for something in this request.
pub(crate) fn ran_out() -> bool {
    RAN_OUT.get()
}

/// Notes that there was none.
pub(crate) fn run_out() {
    RAN_OUT.set(true);
}

/// What Lua has allocated, and how much it may.
#[derive(Debug)]
pub(crate) struct Account {
    used: Cell<usize>,
    limit: Cell<usize>,
}

impl Account {
    /// Takes over the memory of `lua`, without a limit.
    ///
    /// The account lives as long as the process: the state's last allocations are freed
    /// when it is closed, which no owner of the account could wait for.
    ///
    /// # Errors
    ///
    /// When `lua` has another allocator than mlua's.
    pub(crate) fn open(lua: &Lua) -> mlua::Result<&'static Account> {
        let account: &'static Account = Box::leak(Box::new(Account {
            used: Cell::new(lua.used_memory()),
            limit: Cell::new(usize::MAX),
        }));
        // From here on mlua expects that any allocation may fail.
        lua.set_memory_limit(usize::MAX)?;
        let data: *const Account = account;
        lua.exec_raw_lua(|raw| {
            // SAFETY: the state is alive, and idle as far as its memory goes. `moonfork_allocate`
            // keeps the contract of `lua_Alloc`, and frees and resizes what mlua's allocator
            // made, since both end at `Blocks` with the same layouts. `data` stays
            // valid for ever.
            unsafe { ffi::lua_setallocf(raw.state(), moonfork_allocate, data.cast_mut().cast()) }
        });
        Ok(account)
    }

    /// Sets how many bytes Lua may have in all, in the request that begins.
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.limit.set(bytes);
        RAN_OUT.set(false);
    }

    /// Counts a change from `old` to `new` bytes, if the limit allows it.
    fn change(&self, old: usize, new: usize) -> bool {
        let used = self.used.get() - old + new;
        let allowed = new <= old || used <= self.limit.get();
        if allowed {
            self.used.set(used);
        }
        allowed
    }
}

/// Lua's allocation function.
///
/// # Safety
///
/// As `lua_Alloc` has it: `data` is the [`Account`]; `block` is null or was allocated by this
/// function, or mlua's, with `old` bytes; where it is null, `old` says what kind of object
/// the new block is for.
#[unsafe(no_mangle)]
unsafe extern "C" fn moonfork_allocate(
    data: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the caller keeps the same contract.
    unsafe { allocate(data, block, old, new) }
}

/// [`moonfork_allocate`] for a new block: the guest's Lua calls these two by their names.
///
/// # Safety
///
/// As above.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
unsafe extern "C" fn moonfork_new(data: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller keeps the same contract.
    unsafe { allocate(data, ptr::null_mut(), 0, size) }
}

/// [`moonfork_allocate`] for a block that is freed.
///
/// # Safety
///
/// As above.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
unsafe extern "C" fn moonfork_free(data: *mut c_void, block: *mut c_void, size: usize) {
    // SAFETY: the caller keeps the same contract.
    unsafe { allocate(data, block, size, 0) };
}

/// What they all do.
///
/// # Safety
///
/// As above.
#[inline(always)]
unsafe fn allocate(data: *mut c_void, block: *mut c_void, old: usize, new: usize) -> *mut c_void {
    // SAFETY: `data` is what `open` gave to Lua, which is never freed.
    let account = unsafe { &*data.cast_const().cast::<Account>() };
    let old = if block.is_null() { 0 } else { old };
    let Ok(layout) = Layout::from_size_align(old, ffi::SYS_MIN_ALIGN) else {
        return ptr::null_mut();
    };
    if new == 0 {
        account.change(old, 0);
        if !block.is_null() {
            // SAFETY: `block` was allocated with this layout.
            unsafe { Blocks.dealloc(block.cast(), layout) };
        }
        return ptr::null_mut();
    }
    let Ok(new_layout) = Layout::from_size_align(new, ffi::SYS_MIN_ALIGN) else {
        return ptr::null_mut();
    };
    if !account.change(old, new) {
        run_out();
        return ptr::null_mut();
    }
    let made = if block.is_null() {
        // SAFETY: `new` isn't zero.
        unsafe { Blocks.alloc(new_layout) }
    } else {
        // SAFETY: `block` was allocated with `layout`, and `new` isn't zero.
        unsafe { Blocks.realloc(block.cast(), layout, new) }
    };
    if made.is_null() {
        run_out();
        account.change(new, old);
    }
    made.cast()
}
