//! Copies of tables that share what no script has changed: see guest/lua/lazy_copy.h.
//!
//! Native builds have Lua as it comes, which has none: there every copy is read by itself.

use std::ffi::c_void;

use mlua::{Lua, ffi};

use super::stack::{Held, Stack};

/// Whether this Lua has lazy copies. What follows is asked for only then.
pub(crate) const HAS_COPIES: bool = cfg!(target_family = "wasm");

#[cfg(target_family = "wasm")]
mod import {
    use std::ffi::{c_int, c_void};

    use mlua::ffi::lua_State;

    unsafe extern "C-unwind" {
        pub(super) fn moonfork_origins(table: *const c_void);
        pub(super) fn moonfork_seal(table: *const c_void);
        pub(super) fn moonfork_lazy(state: *mut lua_State);
        pub(super) fn moonfork_is_original(table: *const c_void) -> c_int;
        pub(super) fn moonfork_pending(table: *const c_void) -> *const c_void;
        pub(super) fn moonfork_origin(table: *const c_void) -> *const c_void;
        pub(super) fn moonfork_is_unchanged(table: *const c_void, original: *const c_void)
        -> c_int;
        pub(super) fn moonfork_push_table(state: *mut lua_State, table: *const c_void);
    }
}

#[cfg(not(target_family = "wasm"))]
mod import {
    use std::ffi::{c_int, c_void};
    use std::ptr;

    use mlua::ffi::lua_State;

    pub(super) unsafe fn moonfork_origins(_: *const c_void) {}
    pub(super) unsafe fn moonfork_seal(_: *const c_void) {}
    pub(super) unsafe fn moonfork_lazy(_: *mut lua_State) {}
    pub(super) unsafe fn moonfork_is_original(_: *const c_void) -> c_int {
        0
    }
    pub(super) unsafe fn moonfork_pending(_: *const c_void) -> *const c_void {
        ptr::null()
    }
    pub(super) unsafe fn moonfork_origin(_: *const c_void) -> *const c_void {
        ptr::null()
    }
    pub(super) unsafe fn moonfork_is_unchanged(_: *const c_void, _: *const c_void) -> c_int {
        0
    }
    pub(super) unsafe fn moonfork_push_table(_: *mut lua_State, _: *const c_void) {}
}

use import::*;

/// Has Lua note in this table, which is held for good, of which originals tables are copies.
///
/// # Errors
///
/// When Lua's stack has no room.
pub(crate) fn keep_origins(lua: &Lua, table: Held) -> mlua::Result<()> {
    lua.exec_raw_lua(|raw| {
        let state = raw.state();
        // SAFETY: the state is alive, and the registry has the table from now on.
        unsafe {
            ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, table.place().into());
            moonfork_origins(ffi::lua_topointer(state, -1));
            ffi::lua_pop(state, 1);
        }
        Ok(())
    })
}

// SAFETY, for all that follows: addresses are those of tables, as `Item::Table` has them, that a place
// of the stack holds, or a table there; see also the head of `stack`.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "said above, once for all"
)]
impl Stack {
    /// Makes an original of a table in which all tables are originals. From here on nobody may write to
    /// it.
    pub(crate) fn seal(self, table: *const c_void) {
        unsafe { moonfork_seal(table) }
    }

    /// Puts a lazy copy in place of the last value, an original. May raise a memory error.
    pub(crate) fn lazy_copy(self) {
        unsafe { moonfork_lazy(self.state()) }
    }

    /// Whether a table is an original.
    pub(crate) fn is_original(self, table: *const c_void) -> bool {
        unsafe { moonfork_is_original(table) != 0 }
    }

    /// Pushes a table by its address.
    pub(crate) fn push_at(self, table: *const c_void) {
        unsafe { moonfork_push_table(self.state(), table) }
    }

    /// The original of a copy in which nothing is yet.
    pub(crate) fn pending(self, table: *const c_void) -> Option<*const c_void> {
        let original = unsafe { moonfork_pending(table) };
        (!original.is_null()).then_some(original)
    }

    /// The original that a table is a copy of, as far as is known.
    pub(crate) fn origin(self, table: *const c_void) -> Option<*const c_void> {
        let original = unsafe { moonfork_origin(table) };
        (!original.is_null()).then_some(original)
    }

    /// Whether a copy is still what its original is.
    pub(crate) fn is_unchanged(self, table: *const c_void, original: *const c_void) -> bool {
        unsafe { moonfork_is_unchanged(table, original) != 0 }
    }
}
