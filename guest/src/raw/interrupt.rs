//! Where a script is when the host stops it.
//!
//! Lua's interpreter notes its place only where something might look at it, not at every jump,
//! so that asking it from outside gives the line of what was called last. The hook that Lua has
//! for debuggers is called with the place noted: the host sets it from the middle of whatever
//! runs, and the script stops itself at its next instruction. In a C function there is none to
//! come, and the place of the call is noted.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

use mlua::ffi::{self, lua_Debug, lua_State};

use super::site;

/// The Lua thread that runs at the moment: see guest/lua/lua_config.h.
#[unsafe(no_mangle)]
static mut moonfork_running: *mut lua_State = ptr::null_mut();

mod import {
    #[link(wasm_import_module = "moonfork")]
    unsafe extern "C" {
        pub(super) safe fn stopped(ptr: *const u8, len: usize);
    }
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_interrupt() -> u32 {
    // SAFETY: there is one thread in the guest; the states that were stored there are alive
    // while they run. Setting a hook is made to be done at any moment: it stores some words.
    unsafe {
        let state = moonfork_running;
        let mut frame = new_frame();
        if state.is_null()
            || ffi::lua_getstack(state, 0, &raw mut frame) == 0
            || ffi::lua_getinfo(state, c"S".as_ptr(), &raw mut frame) == 0
            || CStr::from_ptr(frame.what) == c"C"
        {
            return 0;
        }
        ffi::lua_sethook(state, Some(stop), ffi::LUA_MASKCOUNT, 1);
    }
    1
}

/// The hook: says where the script is, and doesn't return; unless the call that the host wanted
/// to stop has ended meanwhile, in a coroutine that ran no further instruction of its own.
unsafe extern "C-unwind" fn stop(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: Lua calls its hooks with the thread that runs, and lets them change hooks.
    let (ptr, len) = unsafe {
        ffi::lua_sethook(state, None, 0, 0);
        site::describe_stopped(state)
    };
    import::stopped(ptr, len);
}

/// Has the scripts of `state` say where they are each time they come to this line, of whatever chunk.
///
/// Coroutines that are made from then on are watched as well.
///
/// # Safety
///
/// `state` must be alive, and idle.
pub(super) unsafe fn watch(state: *mut lua_State, line: i32) {
    WATCHED.set(line);
    // SAFETY: the caller's promise.
    unsafe { ffi::lua_sethook(state, Some(watched), ffi::LUA_MASKLINE, 0) };
}

thread_local! {
    /// The line that is watched for.
    static WATCHED: Cell<i32> = const { Cell::new(0) };
}

/// The hook for that: the host looks at the chunk, and doesn't return if it is the one.
unsafe extern "C-unwind" fn watched(state: *mut lua_State, line: *mut lua_Debug) {
    // SAFETY: Lua calls its hooks with the thread that runs, and for a line with that.
    let (ptr, len) = unsafe {
        if (*line).currentline != WATCHED.get() {
            return;
        }
        site::describe_stopped(state)
    };
    import::stopped(ptr, len);
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_site() -> u64 {
    // SAFETY: as for `moonfork_interrupt`; a thread that was stopped is what it was.
    let (ptr, len) = unsafe {
        match moonfork_running {
            state if state.is_null() => (ptr::null(), 0),
            state => site::describe_stopped(state),
        }
    };
    (ptr as u64) << 32 | len as u64
}

fn new_frame() -> lua_Debug {
    // SAFETY: a C structure of numbers and pointers, all of which may be zero.
    unsafe { std::mem::zeroed() }
}
