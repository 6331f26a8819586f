//! What `math.random` draws from.

use mlua::{Lua, Value, ffi};

/// The state of the generator of a Lua state: xoshiro256**, as Lua has it in `lmathlib.c`.
///
/// Lua's functions have it as their upvalue. Seeding it here needs no call of Lua's, which each
/// fresh instance would have to make, and most for nothing.
#[derive(Debug)]
pub(crate) struct Random(*mut [u64; 4]);

impl Random {
    /// Has `functions`, Lua's own `math.random` and `math.randomseed` in `lua`, draw from a new state.
    ///
    /// # Errors
    ///
    /// When Lua's stack has no room.
    pub(crate) fn of(lua: &Lua, functions: &[Value; 2]) -> mlua::Result<Random> {
        lua.exec_raw_lua(|raw| {
            let state = raw.state();
            // SAFETY: the state is alive, idle, and has memory: no limit is set before a script
            // runs. The functions have one upvalue, a userdata of four 64-bit numbers.
            unsafe {
                let top = ffi::lua_gettop(state);
                let new = ffi::lua_newuserdatauv(state, size_of::<[u64; 4]>(), 0).cast();
                for function in functions {
                    raw.push_value(function)?;
                    ffi::lua_pushvalue(state, top + 1);
                    ffi::lua_setupvalue(state, -2, 1);
                    ffi::lua_pop(state, 1);
                }
                // For good, whatever a script does to the functions.
                ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX);
                let random = Random(new);
                random.seed(0, 0);
                Ok(random)
            }
        })
    }

    /// As `math.randomseed(low, high)`.
    pub(crate) fn seed(&self, low: i64, high: i64) {
        /// Numbers that are drawn for nothing, so that all of the state depends on the seed.
        const DISCARDED: usize = 16;

        let mut state = [low.cast_unsigned(), 0xff, high.cast_unsigned(), 0];
        for _ in 0..DISCARDED {
            let [a, b, c, d] = state;
            let (c, d) = (c ^ a, d ^ b);
            state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        }
        // SAFETY: `of` made it, aligned as Lua aligns all userdata, which is enough for 64 bits, and
        // the registry holds it. Nothing of Lua's runs meanwhile.
        unsafe { self.0.write(state) };
    }
}
