//! Calls that pass only numbers, booleans and nil: these are what a program makes by the million.
//!
//! Such values can be pushed and read without memory and without errors. So the script's
//! function is what is called in a protected call, and not a function of ours around it that
//! converts values.

use std::ffi::c_int;

use mlua::{Lua, Value, ffi};

use super::stack::{Gate, Held, ROOM};
use crate::msgpack::{Token, Tokens};

/// What a function returned.
pub(crate) enum Returned {
    Nil,
    Boolean(bool),
    Integer(i64),
    /// A finite one.
    Number(f64),
    /// Any other value.
    Value(Value),
    /// So many.
    Several(c_int),
}

/// Arguments that such a call can have.
const MAX_ARGUMENTS: usize = 8;

impl Gate {
    /// Calls the global function `name` with the array that `args` holds; nothing where there is
    /// no such function, or the arguments are of another kind: then nothing has happened.
    ///
    /// # Errors
    ///
    /// With what an error was raised with, as the handler described it if there is one.
    pub(crate) fn call_quickly(
        &self,
        lua: &Lua,
        name: Held,
        args: &[u8],
    ) -> Option<Result<Returned, Value>> {
        lua.exec_raw_lua(|raw| {
            let state = raw.state();
            // SAFETY: the state is alive, and idle but for C functions. There is room for all that
            // is pushed: the handler, the globals, the name, and the arguments. Looking a key up
            // in a table as it is raises nothing, and nothing else that is done outside of the
            // protected call makes or enlarges anything.
            unsafe {
                let top = ffi::lua_gettop(state);
                if ffi::lua_checkstack(state, ROOM) == 0 {
                    return None;
                }
                let handler = match self.handler {
                    Some(handler) => {
                        handler.push(state);
                        top + 1
                    }
                    None => 0,
                };
                ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
                name.push(state);
                let count = if ffi::lua_rawget(state, -2) == ffi::LUA_TFUNCTION {
                    ffi::lua_replace(state, -2);
                    push_plain(state, args)
                } else {
                    None
                };
                let Some(count) = count else {
                    ffi::lua_settop(state, top);
                    return None;
                };
                let function = ffi::lua_gettop(state) - count;
                let result = match ffi::lua_pcall(state, count, ffi::LUA_MULTRET, handler) {
                    ffi::LUA_OK => match ffi::lua_gettop(state) + 1 - function {
                        0 => Ok(Returned::Nil),
                        1 => Ok(plain(state).unwrap_or_else(|| Returned::Value(raw.pop_value()))),
                        several => Ok(Returned::Several(several)),
                    },
                    _ => Err(raw.pop_value()),
                };
                ffi::lua_settop(state, top);
                Some(result)
            }
        })
    }
}

/// Pushes the elements of an array, if all are plain; says how many these are.
///
/// # Safety
///
/// The state has to be alive, and to have room for [`MAX_ARGUMENTS`].
unsafe fn push_plain(state: *mut ffi::lua_State, args: &[u8]) -> Option<c_int> {
    let mut tokens = Tokens::of(args);
    let count = match tokens.next()? {
        Token::Array(count) if count <= MAX_ARGUMENTS => count,
        _ => return None,
    };
    for _ in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            match tokens.next()? {
                Token::Null => ffi::lua_pushnil(state),
                Token::Boolean(value) => ffi::lua_pushboolean(state, value.into()),
                Token::Integer(value) => ffi::lua_pushinteger(state, value),
                Token::Number(value) if value.is_finite() => ffi::lua_pushnumber(state, value),
                _ => return None,
            }
        }
    }
    tokens.is_at_end().then(|| c_int::try_from(count).ok())?
}

/// The last value of the stack, if that is plain.
///
/// # Safety
///
/// The state has to be alive, and have a value on its stack.
unsafe fn plain(state: *mut ffi::lua_State) -> Option<Returned> {
    // SAFETY: the caller's promise.
    unsafe {
        match ffi::lua_type(state, -1) {
            ffi::LUA_TNIL => Some(Returned::Nil),
            ffi::LUA_TBOOLEAN => Some(Returned::Boolean(ffi::lua_toboolean(state, -1) != 0)),
            ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -1) != 0 => {
                Some(Returned::Integer(ffi::lua_tointeger(state, -1)))
            }
            ffi::LUA_TNUMBER => {
                let value = ffi::lua_tonumber(state, -1);
                value.is_finite().then_some(Returned::Number(value))
            }
            _ => None,
        }
    }
}
