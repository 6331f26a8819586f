//! The globals that scripts start with, and nothing else.

use std::rc::Rc;
use std::time::Instant;

use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use crate::Host;
use crate::failure::{Failure, FailureKind};
use crate::json::{Json, outcome};
use crate::raw::memory::Account;
use crate::raw::random::Random;
use crate::raw::reserve;
use crate::raw::stack::Gate;
use crate::value::{MAX_ARGUMENTS, Values};
use crate::wire::Service;

/// The libraries that are opened at all; `prelude.lua` takes away what is left to take away.
fn libraries() -> StdLib {
    StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::COROUTINE | StdLib::OS
}

/// Bytes of an error's message that are passed on; the rest is cut off, and said so.
const MAX_MESSAGE: usize = 64 << 10;

/// Adds the traceback to an error's message, and what it was raised with if that wasn't text: a
/// table of the three.
fn trace(lua: &Lua, (message, raised): (mlua::LuaString, Value)) -> mlua::Result<Table> {
    // Above this function there are the handler that calls it and what raised the error.
    let traceback = lua.traceback(None, 2)?;
    let traced = lua.create_table_with_capacity(3, 0)?;
    traced.raw_set(1, message)?;
    traced.raw_set(2, traceback)?;
    traced.raw_set(3, raised)?;
    Ok(traced)
}

/// `(service, subject, content) -> outcome`: asks the host; nil where it has nothing to give.
fn ask(lua: &Lua, host: &Rc<dyn Host>) -> mlua::Result<Function> {
    let host = Rc::clone(host);
    lua.create_function(
        move |lua, (service, subject, content): (u32, mlua::LuaString, mlua::LuaString)| {
            let service = Service::ALL[service as usize];
            let answer = host.ask(service, &subject.as_bytes(), &content.as_bytes());
            let answer = answer
                .map_err(|message| Failure::new(FailureKind::Runtime, message))
                .and_then(|answer| match answer {
                    Some(bytes) => Ok(Value::String(lua.create_string(bytes)?)),
                    None => Ok(Value::Nil),
                });
            outcome(lua, answer)
        },
    )
}

/// A Lua state in which no script has run, and the handles that only the virtual machine has.
pub(crate) struct Sandbox {
    /// The state.
    pub(crate) lua: Lua,
    /// Converts its values.
    pub(crate) values: Rc<Values>,
    /// What it has allocated, and may.
    pub(crate) memory: &'static Account,
    /// What `math.random` draws from.
    pub(crate) random: Random,
    /// `(clock, modules, files) -> nothing`: adds the libraries that are granted.
    pub(crate) grant: Function,
    /// `table -> nothing`: makes it the read-only global `variables`.
    pub(crate) freeze: Function,
    /// `raw -> function`: turns an outcome's message into a Lua error.
    pub(crate) bounded: Function,
    /// Protected calls for all that runs: errors come out of them as [`trace`] makes them.
    /// Running out of memory doesn't.
    pub(crate) gate: Gate,
}

/// What `prelude.lua` gives.
struct Prelude {
    /// Lua's own `math.random` and `math.randomseed`.
    random: [Value; 2],
    grant: Function,
    freeze: Function,
    bounded: Function,
    describe: Value,
}

impl Prelude {
    /// Runs it, in a state that has the libraries.
    fn run(lua: &Lua, values: &Rc<Values>, host: &Rc<dyn Host>) -> mlua::Result<Prelude> {
        let json = Json::new(lua, values)?;
        let native = lua.create_table()?;
        native.set("null", Value::NULL)?;
        native.set("encode", json.encode)?;
        native.set("decode", json.decode)?;
        native.set("array", json.array)?;
        native.set("view", json.view)?;
        native.set("max_arguments", MAX_ARGUMENTS)?;
        native.set("max_message", MAX_MESSAGE)?;
        native.set("trace", lua.create_function(trace)?)?;
        native.set("ask", ask(lua, host)?)?;
        native.set(
            "stopwatch",
            lua.create_function(|lua, ()| {
                let start = Instant::now();
                lua.create_function(move |_, ()| Ok(start.elapsed().as_secs_f64()))
            })?,
        )?;
        let services = lua.create_table()?;
        for service in Service::ALL {
            services.set(format!("{service:?}"), service as u32)?;
        }
        native.set("services", services)?;
        let output = Rc::clone(host);
        native.set(
            "print",
            lua.create_function(move |_, text: mlua::LuaString| {
                output.print(&text.as_bytes());
                Ok(())
            })?,
        )?;

        let prelude = lua
            .load(include_str!("prelude.lua"))
            .set_name("=[moonfork]")
            .call::<Table>(native)?;
        Ok(Prelude {
            random: [prelude.get("random")?, prelude.get("randomseed")?],
            grant: prelude.get("grant")?,
            freeze: prelude.get("freeze")?,
            bounded: prelude.get("bounded")?,
            describe: prelude.get("describe")?,
        })
    }
}

impl Sandbox {
    /// Makes the state, and shuts it before any script runs.
    ///
    /// # Errors
    ///
    /// When Lua has no memory left, or the prelude fails, which would be a fault of ours.
    pub(crate) fn new(host: &Rc<dyn Host>) -> mlua::Result<Sandbox> {
        let lua = Lua::new_with(libraries(), LuaOptions::new())?;
        let values = Rc::new(Values::new(&lua)?);
        let prelude = Prelude::run(&lua, &values, host)?;
        // The snapshot made of this state should not hold its garbage.
        lua.gc_collect()?;
        reserve::fill();
        values.begin_book()?;
        Ok(Sandbox {
            random: Random::of(&lua, &prelude.random)?,
            grant: prelude.grant,
            freeze: prelude.freeze,
            bounded: prelude.bounded,
            gate: Gate::new(&lua, &values.arrays(), Some(&prelude.describe))?,
            memory: Account::open(&lua)?,
            lua,
            values,
        })
    }
}
