//! `json.encode`, `json.decode` and `json.array`, as the prelude finds them.
//!
//! A Rust callback that fails hands Lua an error object; scripts expect text. So each of
//! these returns whether it succeeded and then the result or the message, and the prelude
//! raises the message as an error at the caller's line.

use std::rc::Rc;

use mlua::{Function, Lua, Table, Value};

use crate::failure::{Failure, FailureKind};
use crate::value::Values;
use crate::wire::Denied;

/// What a value may cost that `json.encode` writes. Lua's own memory limit comes first as a
/// rule; this keeps a text that is built outside of Lua's accounts within reason.
const MAX_COST: usize = 64 << 20;

/// What a fallible function gives to Lua: `true, value` or `false, message`, and then the number of
/// the host's refusal, if it was one.
pub(crate) type Outcome = (bool, Value, Option<u32>);

/// The outcome of `result`.
///
/// # Errors
///
/// When Lua has no memory for the message.
pub(crate) fn outcome(lua: &Lua, result: Result<Value, Failure>) -> mlua::Result<Outcome> {
    Ok(match result {
        Ok(value) => (true, value, None),
        Err(failure) => {
            let refusal = match failure.denied {
                Some(Denied::Refusal(number)) => Some(number),
                _ => None,
            };
            let message = lua.create_string(failure.message)?;
            (false, Value::String(message), refusal)
        }
    })
}

/// The functions.
pub(crate) struct Json {
    /// `value -> outcome`
    pub(crate) encode: Function,
    /// `text -> outcome`
    pub(crate) decode: Function,
    /// `table -> the same table`, marked
    pub(crate) array: Function,
    /// `(view, table) -> nothing`: the view is written as the table
    pub(crate) view: Function,
}

impl Json {
    /// Makes them for `lua`.
    ///
    /// # Errors
    ///
    /// When Lua has no memory left.
    pub(crate) fn new(lua: &Lua, values: &Rc<Values>) -> mlua::Result<Json> {
        let encoder = Rc::clone(values);
        let encode = lua.create_function(move |lua, value: Value| {
            let text = encoder.write_json(&value, "value", MAX_COST);
            let text = text.and_then(|text| Ok(Value::String(lua.create_string(text)?)));
            outcome(lua, text)
        })?;
        let decoder = Rc::clone(values);
        let decode = lua.create_function(move |lua, text: mlua::LuaString| {
            let text = text.as_bytes();
            let mut source = serde_json::Deserializer::from_slice(&text);
            let value = decoder.read(&mut source, "value");
            let value = value.and_then(|value| match source.end() {
                Ok(()) => Ok(value),
                Err(error) => Err(Failure::new(FailureKind::Value, error.to_string())),
            });
            outcome(lua, value)
        })?;
        let marker = Rc::clone(values);
        let array = lua.create_function(move |_, table: Table| {
            marker.mark_array(&table)?;
            Ok(table)
        })?;
        let marker = Rc::clone(values);
        let view = lua.create_function(move |_, (view, table): (Table, Table)| {
            marker.mark_view(&view, &table)
        })?;
        Ok(Json {
            encode,
            decode,
            array,
            view,
        })
    }
}
