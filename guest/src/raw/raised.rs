//! What is known of errors beside what they say.
//!
//! Scripts catch errors as text, and any script can write one. So that the host refused something,
//! or that the interpreter found nil in a global, is noted by *which value* was raised: whoever
//! raises that value again raises the same error, and a text that merely says the same is none.
//! (Of texts of up to 40 bytes Lua has each once, so these are the same value.)

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::AtomicU8;

use mlua::{Lua, Value, ffi};

/// Errors that are remembered, for a script may raise an earlier one again.
const KEPT: i64 = 16;

/// Its address is the registry's key of the book: a list of the next entry's number, the error whose
/// frames are noted, and then an error and what is known of it, for each entry.
static BOOK: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// Whether anything is known of any error, for those who would have to look at each. A guest has one
    /// thread; where it is tested natively, there is a machine for each.
    static ANY: Cell<bool> = const { Cell::new(false) };
}

/// Where the book has the number of the next entry.
const NEXT: i64 = 1;

/// Where it has the error that has ended coroutines.
const FRAMED: i64 = 2;

fn place_of_error(entry: i64) -> i64 {
    2 * entry + FRAMED + 1
}

fn place_of_knowledge(entry: i64) -> i64 {
    2 * entry + FRAMED + 2
}

/// Pushes the book.
///
/// # Safety
///
/// The state has to be alive and its stack to have room, as for all below.
unsafe fn push_book(state: *mut ffi::lua_State) {
    let key: *const AtomicU8 = &raw const BOOK;
    // SAFETY: the caller's promise; the registry is always there.
    unsafe { ffi::lua_rawgetp(state, ffi::LUA_REGISTRYINDEX, key.cast()) };
}

/// Makes the book.
///
/// # Errors
///
/// When Lua can't allocate it.
pub(crate) fn begin(lua: &Lua) -> mlua::Result<()> {
    let places = usize::try_from(place_of_error(KEPT)).expect("they are few");
    let book = lua.create_table_with_capacity(places, 0)?;
    book.raw_set(NEXT, 0)?;
    lua.exec_raw_lua(|raw| {
        let key: *const AtomicU8 = &raw const BOOK;
        // SAFETY: the state is alive, and has memory: no limit is set before a script runs.
        unsafe {
            raw.push_value(&Value::Table(book))?;
            ffi::lua_rawsetp(raw.state(), ffi::LUA_REGISTRYINDEX, key.cast());
        }
        forget_all(raw.state());
        Ok(())
    })
}

/// Forgets all errors: those of one request are nothing to the next.
pub(crate) fn clear(lua: &Lua) {
    if ANY.replace(false) {
        lua.exec_raw_lua(|raw| forget_all(raw.state()));
    }
    #[cfg(target_family = "wasm")]
    super::site::forget_memory();
}

fn forget_all(state: *mut ffi::lua_State) {
    // SAFETY: called above, with a state that is idle. All places are there already, but for the first
    // time, when there is memory.
    unsafe {
        push_book(state);
        for place in NEXT + 1..place_of_error(KEPT) {
            ffi::lua_pushboolean(state, 0);
            ffi::lua_rawseti(state, -2, place);
        }
        ffi::lua_pop(state, 1);
    }
}

/// Notes the last value of the stack, which is taken away, as what is known of the error below it.
///
/// # Safety
///
/// As above; there have to be two values.
pub(super) unsafe fn note(state: *mut ffi::lua_State) {
    // SAFETY: the caller's promise. Nothing is allocated: the book has all places.
    unsafe {
        push_book(state);
        ffi::lua_rawgeti(state, -1, NEXT);
        let entry = ffi::lua_tointeger(state, -1);
        ffi::lua_pop(state, 1);
        ffi::lua_pushinteger(state, (entry + 1) % KEPT);
        ffi::lua_rawseti(state, -2, NEXT);
        ffi::lua_insert(state, -2);
        ffi::lua_rawseti(state, -2, place_of_knowledge(entry));
        ffi::lua_pushvalue(state, -2);
        ffi::lua_rawseti(state, -2, place_of_error(entry));
        ffi::lua_pop(state, 1);
    }
    ANY.set(true);
}

/// Pushes what is known of the error at this address; pushes nothing and gives false if that is
/// nothing. The latest entry counts.
///
/// # Safety
///
/// As above.
unsafe fn push_known(state: *mut ffi::lua_State, error: *const c_void) -> bool {
    if error.is_null() {
        return false;
    }
    // SAFETY: the caller's promise.
    unsafe {
        push_book(state);
        ffi::lua_rawgeti(state, -1, NEXT);
        let next = ffi::lua_tointeger(state, -1);
        ffi::lua_pop(state, 1);
        for entry in (1..=KEPT).map(|ago| (next - ago).rem_euclid(KEPT)) {
            ffi::lua_rawgeti(state, -1, place_of_error(entry));
            let found = ffi::lua_topointer(state, -1) == error;
            ffi::lua_pop(state, 1);
            if found {
                ffi::lua_rawgeti(state, -1, place_of_knowledge(entry));
                ffi::lua_remove(state, -2);
                return true;
            }
        }
        ffi::lua_pop(state, 1);
    }
    false
}

/// What is known of an error.
#[derive(Default)]
pub(crate) struct Known {
    /// The number of a refusal, or a global's name.
    pub(crate) denied: Option<Value>,
    /// Frames of the coroutines that it has ended, one a line.
    pub(crate) frames: Option<String>,
}

/// What is known of `error`.
pub(crate) fn known(lua: &Lua, error: &Value) -> Known {
    if !ANY.get() {
        return Known::default();
    }
    lua.exec_raw_lua(|raw| {
        // SAFETY: the state is alive, in a call of a C function that has just begun.
        unsafe {
            let state = raw.state();
            if raw.push_value(error).is_err() {
                return Known::default();
            }
            let address = ffi::lua_topointer(state, -1);
            ffi::lua_pop(state, 1);
            Known {
                denied: push_known(state, address).then(|| raw.pop_value()),
                #[cfg(target_family = "wasm")]
                frames: has_frames(state, address).then(super::site::frames),
                #[cfg(not(target_family = "wasm"))]
                frames: None,
            }
        }
    })
}

/// Whether the frames that are noted are those that the error at this address went through.
///
/// # Safety
///
/// As above.
#[cfg(target_family = "wasm")]
pub(super) unsafe fn has_frames(state: *mut ffi::lua_State, error: *const c_void) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        push_book(state);
        ffi::lua_rawgeti(state, -1, FRAMED);
        let framed = ffi::lua_topointer(state, -1);
        ffi::lua_pop(state, 2);
        framed == error && !error.is_null()
    }
}

/// Notes that the frames are those of the last value of the stack.
///
/// # Safety
///
/// As above.
#[cfg(target_family = "wasm")]
pub(super) unsafe fn note_frames(state: *mut ffi::lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        push_book(state);
        ffi::lua_pushvalue(state, -2);
        ffi::lua_rawseti(state, -2, FRAMED);
        ffi::lua_pop(state, 1);
    }
    ANY.set(true);
}

/// The interpreter is about to raise the last value of the stack, since the global `name` is nil.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn moonfork_missing(
    state: *mut ffi::lua_State,
    name: *const std::ffi::c_char,
) {
    // SAFETY: called where Lua has made a message; there is room for what errors need besides.
    unsafe {
        ffi::lua_pushstring(state, name);
        note(state);
    }
}

/// The last value of the stack is what was raised with `error`, with a position before it.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn moonfork_derived(state: *mut ffi::lua_State, error: *const c_void) {
    // SAFETY: called in C functions of Lua's own, which have room for a few values.
    unsafe {
        if !ANY.get() {
            return;
        }
        if push_known(state, error) {
            note(state);
        }
        if has_frames(state, error) {
            note_frames(state);
        }
    }
}
