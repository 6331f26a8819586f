//! Calls that pass only numbers, booleans and nil: these are what a program makes by the million.
//!
//! Such values can be passed and read without memory and without errors. So the script's
//! function is what is called in a protected call, and not a function of ours around it that
//! converts values.

use std::ffi::c_int;
use std::mem::{MaybeUninit, offset_of};

use mlua::{Lua, Value, ffi};

use super::gate::Gate;
use super::stack::Held;
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

/// A value as Lua keeps it, in 32 bits of address space: `TValue`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Plain {
    bits: u64,
    /// Its type and, above that, which kind of that type.
    tag: u8,
}

impl Plain {
    const NIL: u8 = 0;
    const FALSE: u8 = 0x01;
    const TRUE: u8 = 0x11;
    const INTEGER: u8 = 0x03;
    const NUMBER: u8 = 0x13;

    /// The value that a token is, if that is plain.
    #[inline(always)]
    fn of(token: &Token<'_>) -> Option<Plain> {
        let (tag, bits) = match *token {
            Token::Null => (Plain::NIL, 0),
            Token::Boolean(false) => (Plain::FALSE, 0),
            Token::Boolean(true) => (Plain::TRUE, 0),
            Token::Integer(value) => (Plain::INTEGER, value.cast_unsigned()),
            Token::Number(value) if value.is_finite() => (Plain::NUMBER, value.to_bits()),
            _ => return None,
        };
        Some(Plain { bits, tag })
    }

    /// What it is as the one result of a function.
    #[inline(always)]
    fn returned(self) -> Returned {
        match self.tag {
            Plain::INTEGER => Returned::Integer(self.bits.cast_signed()),
            Plain::NUMBER => match f64::from_bits(self.bits) {
                value if value.is_finite() => Returned::Number(value),
                value => Returned::Value(Value::Number(value)),
            },
            Plain::FALSE => Returned::Boolean(false),
            Plain::TRUE => Returned::Boolean(true),
            _ => Returned::Nil,
        }
    }
}

impl Gate {
    /// Calls the global function `name` with the array that `args` holds; nothing where there is
    /// no such function, or the arguments are of another kind: then nothing has happened.
    ///
    /// # Errors
    ///
    /// With what an error was raised with, as the handler described it if there is one.
    #[inline(always)]
    pub(crate) fn call_quickly(
        &self,
        lua: &Lua,
        name: Held,
        args: &[u8],
    ) -> Option<Result<Returned, Value>> {
        let mut call = Call {
            name: name.place(),
            handler: self.handler?.place(),
            count: 0,
            values: [const { MaybeUninit::uninit() }; MAX_ARGUMENTS],
        };
        call.push(args)?;
        lua.exec_raw_lua(|raw| {
            // SAFETY: the state is alive, and idle but for C functions. Both places are taken. There
            // are so many plain arguments, and a result if there is said to be one.
            unsafe {
                match call_plain(raw.state(), &raw mut call) {
                    NOT_CALLED => None,
                    PLAIN => Some(Ok(call.values[0].assume_init_ref().returned())),
                    FAILED => Some(Err(raw.pop_value())),
                    0 => Some(Ok(Returned::Nil)),
                    1 => Some(Ok(Returned::Value(raw.pop_value()))),
                    several => {
                        ffi::lua_settop(raw.state(), -1 - several);
                        Some(Ok(Returned::Several(several)))
                    }
                }
            }
        })
    }
}

/// A call, as the C code has it that makes it.
#[repr(C)]
struct Call {
    /// Where the registry has the function's name.
    name: c_int,
    /// Where it has the handler of its errors.
    handler: c_int,
    /// How many arguments there are.
    count: c_int,
    /// The arguments; afterwards the first is the result.
    values: [MaybeUninit<Plain>; MAX_ARGUMENTS],
}

// What guest/lua/plain_call.h asserts of Lua's own types.
const _: () = {
    assert!(size_of::<c_int>() == 4);
    assert!(size_of::<Plain>() == 16);
    assert!(offset_of!(Plain, bits) == 0);
    assert!(offset_of!(Plain, tag) == 8);
    assert!(Plain::NIL == 0x00 && Plain::FALSE == 0x01 && Plain::TRUE == 0x11);
    assert!(Plain::INTEGER == 0x03 && Plain::NUMBER == 0x13);
    assert!(size_of::<Call>() == 144);
    assert!(offset_of!(Call, name) == 0);
    assert!(offset_of!(Call, handler) == 4);
    assert!(offset_of!(Call, count) == 8);
    assert!(offset_of!(Call, values) == 16);
};

impl Call {
    /// Takes the elements of an array for arguments, if all are plain and there aren't too many.
    #[inline(always)]
    fn push(&mut self, args: &[u8]) -> Option<()> {
        let mut tokens = Tokens::of(args);
        let Token::Array(count) = tokens.next()? else {
            return None;
        };
        for place in self.values.get_mut(..count)? {
            place.write(Plain::of(&tokens.next()?)?);
        }
        self.count = c_int::try_from(count).ok()?;
        tokens.is_at_end().then_some(())
    }
}

/// There is no such function, or no room on the stack. Nothing has happened.
const NOT_CALLED: c_int = -1;
/// An error was raised: what the handler made of it is on the stack.
const FAILED: c_int = -2;
/// There is one result, and it is plain.
const PLAIN: c_int = -3;

#[cfg(all(target_family = "wasm", not(feature = "plain-lua")))]
unsafe extern "C" {
    /// Makes `call`, of a global function in a protected call: see
    /// guest/lua/16-plain-calls.patch. Raises nothing.
    ///
    /// It gives one of the constants above, or how many results it has left on the stack.
    #[link_name = "moonfork_call_plain"]
    unsafe fn call_plain(state: *mut ffi::lua_State, call: *mut Call) -> c_int;
}

/// The same, of what any Lua has.
///
/// # Safety
///
/// As there: the state has to be alive, and idle but for C functions; both places in the registry
/// have to be taken, and as many arguments to be there as it is said.
#[cfg(not(all(target_family = "wasm", not(feature = "plain-lua"))))]
unsafe fn call_plain(state: *mut ffi::lua_State, call: *mut Call) -> c_int {
    // SAFETY: the caller's promise. There is room for all that is pushed. Looking a key up in a
    // table as it is raises nothing, and nothing else that is done outside of the protected call
    // makes or enlarges anything.
    unsafe {
        let Call {
            name,
            handler,
            count,
            ref mut values,
        } = *call;
        let top = ffi::lua_gettop(state);
        if ffi::lua_checkstack(state, super::stack::ROOM) == 0 {
            return NOT_CALLED;
        }
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, handler.into());
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, name.into());
        if ffi::lua_rawget(state, -2) != ffi::LUA_TFUNCTION {
            ffi::lua_settop(state, top);
            return NOT_CALLED;
        }
        ffi::lua_replace(state, -2);
        for value in &values[..count.unsigned_abs() as usize] {
            let Plain { bits, tag } = value.assume_init();
            match tag {
                Plain::INTEGER => ffi::lua_pushinteger(state, bits.cast_signed()),
                Plain::NUMBER => ffi::lua_pushnumber(state, f64::from_bits(bits)),
                Plain::FALSE | Plain::TRUE => {
                    ffi::lua_pushboolean(state, (tag == Plain::TRUE).into());
                }
                _ => ffi::lua_pushnil(state),
            }
        }
        let status = ffi::lua_pcall(state, count, ffi::LUA_MULTRET, top + 1);
        ffi::lua_remove(state, top + 1);
        if status != ffi::LUA_OK {
            return FAILED;
        }
        let results = ffi::lua_gettop(state) - top;
        if results != 1 {
            return results;
        }
        let (tag, bits) = match ffi::lua_type(state, -1) {
            ffi::LUA_TNIL => (Plain::NIL, 0),
            ffi::LUA_TBOOLEAN if ffi::lua_toboolean(state, -1) == 0 => (Plain::FALSE, 0),
            ffi::LUA_TBOOLEAN => (Plain::TRUE, 0),
            ffi::LUA_TNUMBER if ffi::lua_isinteger(state, -1) != 0 => {
                let value = ffi::lua_tointeger(state, -1);
                (Plain::INTEGER, value.cast_unsigned())
            }
            ffi::LUA_TNUMBER => (Plain::NUMBER, ffi::lua_tonumber(state, -1).to_bits()),
            _ => return results,
        };
        ffi::lua_settop(state, top);
        values[0].write(Plain { bits, tag });
        PLAIN
    }
}
