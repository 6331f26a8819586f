//! The guest's global variables, which are state as its memory is.

use serde::{Deserialize, Serialize};
use wasmtime::{Global, Store, Val};

use crate::store::context::Context;

/// The value of a global variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Number {
    /// Of 32 bits.
    I32(i32),
    /// Of 64.
    I64(i64),
}

impl Number {
    /// What `global` has.
    ///
    /// # Errors
    ///
    /// When it is no such number.
    pub(crate) fn of(global: &Global, store: &mut Store<Context>) -> wasmtime::Result<Number> {
        match global.get(store) {
            Val::I32(value) => Ok(Number::I32(value)),
            Val::I64(value) => Ok(Number::I64(value)),
            _ => Err(wasmtime::format_err!("a global isn't an integer")),
        }
    }

    /// Makes it what `global` has.
    ///
    /// # Errors
    ///
    /// When that is no such number.
    pub(crate) fn put(self, global: &Global, store: &mut Store<Context>) -> wasmtime::Result<()> {
        if Number::of(global, store)? == self {
            return Ok(());
        }
        let value = match self {
            Number::I32(value) => Val::I32(value),
            Number::I64(value) => Val::I64(value),
        };
        global.set(store, value)
    }
}
