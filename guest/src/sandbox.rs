//! The globals that scripts start with, and nothing else.

use std::rc::Rc;
use std::time::Instant;

use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use crate::Host;
use crate::failure::Failure;
use crate::json::{Json, outcome};
use crate::raw::memory::Account;
use crate::raw::raised;
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

/// Where the prelude's own functions come from, as Lua has it.
pub(crate) const PRELUDE: &str = "[moonfork]";

/// Above [`trace`] there are the handler that calls it and what raised the error.
const RAISED_AT: usize = 2;

/// Adds to an error's message what [`Failure::of_script`] reads: a list of the message, the
/// traceback, what was raised if that wasn't text, what is known of it, a chunk's name, a line.
fn trace(lua: &Lua, (message, raised): (mlua::LuaString, Value)) -> mlua::Result<Table> {
    let traced = lua.create_table_with_capacity(6, 0)?;
    traced.raw_set(2, lua.traceback(None, RAISED_AT)?)?;
    traced.raw_set(4, raised::known(lua, &raised))?;
    if !raised.is_string() {
        traced.raw_set(3, raised)?;
    }
    if let Some((chunk, line)) = position(lua, &message.as_bytes()) {
        traced.raw_set(5, chunk)?;
        traced.raw_set(6, line)?;
    }
    traced.raw_set(1, message)?;
    Ok(traced)
}

/// The position that an error's message begins with, where it is that of a function under way;
/// otherwise where the script was at.
fn position(lua: &Lua, message: &[u8]) -> Option<(String, usize)> {
    /// Functions that are looked at.
    const MAX: usize = 50;

    let mut innermost = None;
    for level in RAISED_AT..MAX {
        let position = lua.inspect_stack(level, |function| {
            let chunk = function.source().short_src?.into_owned();
            (chunk != PRELUDE).then_some((chunk, function.current_line()?))
        });
        match position {
            Some(Some((chunk, line))) => {
                if message.starts_with(format!("{chunk}:{line}: ").as_bytes()) {
                    return Some((chunk, line));
                }
                innermost.get_or_insert((chunk, line));
            }
            Some(None) => {}
            None => break,
        }
    }
    innermost
}

/// `(service, subject, content) -> outcome`: asks the host; nil where it has nothing to give.
fn ask(lua: &Lua, host: &Rc<dyn Host>) -> mlua::Result<Function> {
    let host = Rc::clone(host);
    lua.create_function(
        move |lua, (service, subject, content): (u32, mlua::LuaString, mlua::LuaString)| {
            let service = Service::ALL[service as usize];
            let answer = host.ask(service, &subject.as_bytes(), &content.as_bytes());
            let answer = answer.map_err(Failure::from).and_then(|answer| {
                Ok(match answer {
                    Some(bytes) => Value::String(lua.create_string(bytes)?),
                    None => Value::Nil,
                })
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
        native.set("refuse", raised::function(lua, raised::refuse)?)?;
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
            .set_name(format!("={PRELUDE}"))
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
        raised::begin(&lua)?;
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
