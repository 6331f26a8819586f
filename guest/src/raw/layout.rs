//! Where in memory things lie that almost every script writes to: side by side.
//!
//! Each page that an instance has written to is copied when it ends, whole. What starting up
//! allocates lies in the order that it came in, so that a script which does hardly anything would
//! write to a few bytes each of a dozen pages.

use mlua::{Lua, ffi};

use super::{blocks, reserve};

#[cfg(not(feature = "plain-lua"))]
unsafe extern "C" {
    /// Makes the stack, the frames and the table of strings of a state anew: see
    /// guest/lua/18-gather.patch.
    unsafe fn moonfork_gather(state: *mut ffi::lua_State, freed: extern "C" fn());
}

/// Has all that is allocated from now on lie together, behind all that was.
pub(crate) fn begin(lua: &Lua) {
    /// Values that the registry will have to hold.
    const HELD: usize = 8;

    lua.exec_raw_lua(|raw| {
        let state = raw.state();
        // SAFETY: the state is alive, idle, and has memory: no limit is set before a script runs.
        unsafe {
            // It grows now, rather than among what follows.
            let places: [_; HELD] = std::array::from_fn(|_| {
                ffi::lua_pushboolean(state, 0);
                ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX)
            });
            for place in places {
                ffi::luaL_unref(state, ffi::LUA_REGISTRYINDEX, place);
            }
        }
    });
    fill();
    blocks::to_next_page();
}

/// Moves there what the state `lua` writes to whatever it runs.
#[cfg(not(feature = "plain-lua"))]
pub(crate) fn gather(lua: &Lua) {
    // SAFETY: as above.
    lua.exec_raw_lua(|raw| unsafe { moonfork_gather(raw.state(), fill) });
}

/// Has nothing come to lie in the holes that are left.
pub(super) extern "C" fn fill() {
    blocks::fill_holes(reserve::start());
}
