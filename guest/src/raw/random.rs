//! What `math.random` draws from.

use std::ffi::c_int;

use mlua::{Function, Lua, Value, ffi};

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

/// `math.randomseed` of Lua's own, made of it and of `math.random`, that without arguments goes on from the
/// instance's own seed: Lua would seed from time and addresses, which are the same in every instance.
///
/// # Errors
///
/// When Lua can't allocate it.
pub(crate) fn reseeding(
    lua: &Lua,
    (random, randomseed): (Function, Function),
) -> mlua::Result<Function> {
    let function = lua.exec_raw_lua(|raw| {
        let state = raw.state();
        // SAFETY: the state is alive, idle, and has memory. Lua's function has one upvalue, the
        // generator's state, which is where this one has to have it as well.
        unsafe {
            raw.push_value(&Value::Function(randomseed))?;
            ffi::lua_getupvalue(state, -1, 1);
            ffi::lua_insert(state, -2);
            raw.push_value(&Value::Function(random))?;
            ffi::lua_pushcclosure(state, reseed, 3);
            Ok::<_, mlua::Error>(raw.pop_value())
        }
    })?;
    Ok(function.as_function().expect("it was pushed").clone())
}

unsafe extern "C-unwind" fn reseed(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua calls this, as `reseeding` made it. Both of its own functions find the generator's state
    // where it has it.
    unsafe {
        let own = |upvalue| {
            let function = ffi::lua_tocfunction(state, ffi::lua_upvalueindex(upvalue));
            function.expect("it was made with one")
        };
        let (randomseed, random) = (own(2), own(3));
        if ffi::lua_gettop(state) == 0 {
            let seed = [(); 2].map(|()| {
                ffi::lua_settop(state, 0);
                ffi::lua_pushinteger(state, 0);
                random(state);
                ffi::lua_tointeger(state, -1)
            });
            ffi::lua_settop(state, 0);
            for half in seed {
                ffi::lua_pushinteger(state, half);
            }
        }
        randomseed(state)
    }
}
