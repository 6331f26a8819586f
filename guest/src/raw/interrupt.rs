//! Where a script is when the host stops it.
//!
//! Lua's interpreter notes its place only where something might look at it, not at every jump,
//! so that asking it from outside gives the line of what was called last. The hook that Lua has
//! for debuggers is called with the place noted: the host sets it from the middle of whatever
//! runs, and the script stops itself at its next instruction. In a C function there is none to
//! come, and the place of the call is noted.
//!
//! Nothing here allocates: a script may be stopped for want of memory, or inside the allocator.

use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::fmt::Write;
use std::ptr;

use mlua::ffi::{self, lua_Debug, lua_State};

use crate::sandbox::PRELUDE;

/// The Lua thread that runs at the moment: see guest/lua/lua_config.h.
#[unsafe(no_mangle)]
static mut moonfork_running: *mut lua_State = ptr::null_mut();

mod import {
    #[link(wasm_import_module = "moonfork")]
    unsafe extern "C" {
        pub(super) safe fn stopped(ptr: *const u8, len: usize);
    }
}

thread_local! {
    static SITE: RefCell<Text> = const { RefCell::new(Text::new()) };
}

/// Frames that are described.
const MAX_FRAMES: i32 = 20;

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
            || text(frame.what) == "C"
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
        describe(state)
    };
    import::stopped(ptr, len);
}

#[unsafe(no_mangle)]
extern "C" fn moonfork_site() -> u64 {
    // SAFETY: as for `moonfork_interrupt`; a thread that was stopped is what it was.
    let (ptr, len) = unsafe {
        match moonfork_running {
            state if state.is_null() => (ptr::null(), 0),
            state => describe(state),
        }
    };
    (ptr as u64) << 32 | len as u64
}

/// Describes where `state` is: the innermost position of the script's own, as the number of the
/// line and the length of the chunk's name on a line, and the name on the next; and then its frames as
/// Lua's tracebacks show them.
///
/// # Safety
///
/// `state` must be alive.
unsafe fn describe(state: *mut lua_State) -> (*const u8, usize) {
    SITE.with_borrow_mut(|site| {
        site.clear();
        let mut positioned = false;
        // Below the script's last frame there is only how it was called.
        let mut end = 0;
        for only_position in [true, false] {
            for level in 0..MAX_FRAMES {
                let mut frame = new_frame();
                // SAFETY: the caller's promise; `frame` is filled before it is read.
                let known = unsafe {
                    ffi::lua_getstack(state, level, &raw mut frame) != 0
                        && ffi::lua_getinfo(state, c"nSl".as_ptr(), &raw mut frame) != 0
                };
                if !known {
                    break;
                }
                // SAFETY: `lua_getinfo` filled it, and what it points to lives in `state`.
                let of_script = unsafe { show(&frame, only_position, site) };
                if of_script {
                    end = site.len;
                    positioned = true;
                    if only_position {
                        break;
                    }
                }
            }
            if !positioned {
                break;
            }
        }
        (site.bytes.as_ptr(), end)
    })
}

/// Shows a frame; its position only, if it has one. Whether it is a Lua function of the
/// script's.
///
/// # Safety
///
/// `frame` must have been filled by Lua, and what it points to be alive.
unsafe fn show(frame: &lua_Debug, only_position: bool, site: &mut Text) -> bool {
    // SAFETY: the caller's promise. `short_src` ends with a zero.
    let (source, what, name, name_kind) = unsafe {
        (
            text(frame.short_src.as_ptr()),
            text(frame.what),
            text(frame.name),
            text(frame.namewhat),
        )
    };
    if source == PRELUDE {
        return false;
    }
    if only_position {
        if frame.currentline <= 0 {
            return false;
        }
        // A full buffer is the end of the text, not a failure.
        let _ = write!(site, "{} {}\n{source}\n", frame.currentline, source.len());
        return true;
    }
    let _ = match frame.currentline {
        1.. => write!(site, "{source}:{}: in ", frame.currentline),
        _ => write!(site, "{source}: in "),
    };
    let _ = match (name_kind, what) {
        (kind, _) if !kind.is_empty() => writeln!(site, "{kind} '{name}'"),
        (_, "main") => writeln!(site, "main chunk"),
        (_, "C") => writeln!(site, "?"),
        _ => writeln!(site, "function <{source}:{}>", frame.linedefined),
    };
    what != "C"
}

/// The text at `start`; nothing where that is null or isn't UTF-8.
///
/// # Safety
///
/// `start` must be null or lead to a text that ends with a zero and lives as long as is asked
/// for.
unsafe fn text<'a>(start: *const c_char) -> &'a str {
    if start.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(start) }
        .to_str()
        .unwrap_or_default()
}

fn new_frame() -> lua_Debug {
    // SAFETY: a C structure of numbers and pointers, all of which may be zero.
    unsafe { std::mem::zeroed() }
}

/// A text of bounded length.
struct Text {
    bytes: [u8; Text::MAX],
    len: usize,
}

impl Text {
    /// Bytes that it has room for.
    const MAX: usize = 4 << 10;

    const fn new() -> Text {
        Text {
            bytes: [0; Text::MAX],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.len = 0;
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.len() - self.len;
        let text = &text[..text.floor_char_boundary(room)];
        self.bytes[self.len..][..text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
