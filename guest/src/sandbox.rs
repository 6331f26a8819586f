//! The globals that scripts start with, and nothing else.

use std::rc::Rc;

use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value, ffi};

use crate::Host;
use crate::raw::gate::Gate;
use crate::raw::library::{self, Library};
use crate::raw::memory::Account;
use crate::raw::raised;
use crate::raw::random::{self, Random};
use crate::raw::reserve;
use crate::value::Values;
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

/// Adds to an error's message what `Failure::of_script` reads: a list of the message, the
/// traceback, what was raised if that wasn't text, what was denied, a chunk's name, a line, and the
/// frames of coroutines.
fn trace(lua: &Lua, (message, raised): (mlua::LuaString, Value)) -> mlua::Result<Table> {
    let traced = lua.create_table_with_capacity(7, 0)?;
    traced.raw_set(2, lua.traceback(None, RAISED_AT)?)?;
    let known = raised::known(lua, &raised);
    traced.raw_set(4, known.denied)?;
    traced.raw_set(7, known.frames)?;
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
    /// What its functions need that aren't Lua's own.
    pub(crate) library: &'static Library,
    /// `(clock, modules, files) -> nothing`: adds the libraries that are granted.
    pub(crate) grant: Function,
    /// `table -> nothing`: makes it the read-only global `variables`.
    pub(crate) freeze: Function,
    /// Protected calls for all that runs: errors come out of them as [`trace`] makes them.
    /// Running out of memory doesn't.
    pub(crate) gate: Gate,
}

/// What `prelude.lua` gives.
struct Prelude {
    /// Lua's own `math.random`, and `math.randomseed`.
    random: [Value; 2],
    grant: Function,
    freeze: Function,
    describe: Value,
}

impl Prelude {
    /// Runs it, in a state that has the libraries.
    fn run(lua: &Lua, library: &'static Library) -> mlua::Result<Prelude> {
        let prelude = lua
            .load(include_str!("prelude.lua"))
            .set_name(format!("={PRELUDE}"))
            .call::<Table>(native(lua, library)?)?;
        Ok(Prelude {
            random: [prelude.get("random")?, prelude.get("randomseed")?],
            grant: prelude.get("grant")?,
            freeze: prelude.get("freeze")?,
            describe: prelude.get("describe")?,
        })
    }
}

/// What the prelude is given: functions, and functions that make such.
fn native(lua: &Lua, library: &'static Library) -> mlua::Result<Table> {
    let native = lua.create_table()?;
    native.set("null", Value::NULL)?;
    native.set("max_message", MAX_MESSAGE)?;
    native.set("libraries", lua.named_registry_value::<Table>("_LOADED")?)?;
    native.set("trace", lua.create_function(trace)?)?;
    let functions: [(&str, ffi::lua_CFunction); 7] = [
        ("encode", library::encode),
        ("decode", library::decode),
        ("array", library::array),
        ("view", library::view),
        ("print", library::print),
        ("clock", library::clock),
        ("module", library::modules::module),
    ];
    for (name, function) in functions {
        native.set(name, library.function(lua, function, &[])?)?;
    }
    let around: [(&str, ffi::lua_CFunction); 4] = [
        ("text_only", library::load),
        ("counting", library::collectgarbage),
        ("telling", library::telling),
        ("requiring", library::modules::require),
    ];
    for (name, function) in around {
        let make = move |lua: &Lua, own: Value| library.function(lua, function, &[own]);
        native.set(name, lua.create_function(make)?)?;
    }
    native.set("reseeding", lua.create_function(random::reseeding)?)?;
    let files = lua.create_table()?;
    for (name, service) in [
        ("read", Service::Read),
        ("write", Service::Write),
        ("append", Service::Append),
        ("list", Service::List),
        ("stat", Service::Stat),
        ("remove", Service::Remove),
        ("mkdir", Service::MakeFolder),
    ] {
        let number = Value::Integer((service as u32).into());
        files.set(name, library.function(lua, library::file, &[number])?)?;
    }
    native.set("files", files)?;
    Ok(native)
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
        let library = Library::new(host, &values);
        let prelude = Prelude::run(&lua, library)?;
        // The snapshot made of this state should not hold its garbage.
        lua.gc_collect()?;
        reserve::fill();
        values.begin_book()?;
        Ok(Sandbox {
            random: Random::of(&lua, &prelude.random)?,
            library,
            grant: prelude.grant,
            freeze: prelude.freeze,
            gate: Gate::new(&lua, &values.book(), Some(&prelude.describe))?,
            memory: Account::open(&lua)?,
            lua,
            values,
        })
    }
}
