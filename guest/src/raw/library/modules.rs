//! `require`, and what its loader asks for.

use std::ffi::c_int;

use mlua::ffi;

use super::{Library, SECOND, State};
use crate::failure::{Failure, FailureKind};
use crate::header;
use crate::raw::raised;
use crate::raw::stack::Stack;
use crate::source::Source;
use crate::wire::{self, Denied, Service};

/// `(name) -> module`, by way of the loader, which the library has second: it gives the module, or nil
/// and what to raise in its place.
pub(crate) unsafe extern "C-unwind" fn require(state: State) -> c_int {
    // SAFETY: as for `encode`. The loader may yield, as a module may.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TSTRING);
        ffi::lua_settop(state, 1);
        ffi::lua_pushvalue(state, SECOND);
        ffi::lua_insert(state, 1);
        ffi::lua_callk(state, 1, 3, 0, Some(required));
        required(state, ffi::LUA_OK, 0)
    }
}

/// What is left of [`require`] when the loader has ended.
unsafe extern "C-unwind" fn required(state: State, _: c_int, _: ffi::lua_KContext) -> c_int {
    /// Where the loader's results are.
    const MODULE: c_int = -3;
    const MESSAGE: c_int = -2;
    const HOW: c_int = -1;

    // SAFETY: as for `encode`.
    unsafe {
        if ffi::lua_type(state, MODULE) != ffi::LUA_TNIL {
            ffi::lua_pushvalue(state, MODULE);
            return 1;
        }
        match ffi::lua_type(state, HOW) {
            // It says where it is from.
            ffi::LUA_TBOOLEAN => ffi::lua_pop(state, 1),
            refusal => {
                ffi::luaL_where(state, 1);
                ffi::lua_pushvalue(state, MESSAGE - 1);
                ffi::lua_concat(state, 2);
                if refusal == ffi::LUA_TNUMBER {
                    ffi::lua_pushvalue(state, HOW - 1);
                    raised::note(state);
                }
            }
        }
        ffi::lua_error(state)
    }
}

/// `(name) -> chunk`, for the loader: the module's code; nil, a message and how to raise it, where
/// there is none: as the refusal of this number, as it is (false), or at the line of whoever wants it.
pub(crate) unsafe extern "C-unwind" fn module(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        let library = Library::of(state);
        library.module(Stack::of(state))
    }
}

impl Library {
    fn module(&self, stack: Stack) -> c_int {
        let name = stack.text(1);
        let compiled = self.host.ask(Service::Module, name, b"");
        let compiled = compiled.map_err(Failure::from).and_then(|answer| {
            let Some(answer) = answer else {
                let name = String::from_utf8_lossy(name);
                let message = format!("there is no module '{name}'");
                return Err(Failure::new(FailureKind::Runtime, message));
            };
            match answer.split_first() {
                Some((&wire::TEXT, chunk)) => {
                    Source::of(&header::chunk(chunk)?, false)?.push(stack)
                }
                Some((&wire::BYTECODE, bytecode)) if stack.push_compiled(bytecode) => Ok(()),
                _ => Err(header::malformed("the module is broken")),
            }
        });
        let Err(failure) = compiled else {
            return 1;
        };
        let Failure {
            kind,
            message,
            denied,
            ..
        } = failure;
        stack.push_nil();
        self.push(stack, message.into_bytes());
        match (kind, denied) {
            (FailureKind::Syntax | FailureKind::Unfinished, _) => stack.push_boolean(false),
            (_, Some(Denied::Refusal(number))) => stack.push_integer(number.into()),
            _ => stack.push_nil(),
        }
        3
    }
}
