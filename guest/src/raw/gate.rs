//! Protected calls of Lua's around work that Rust does on its stack.

use std::ffi::c_int;

use mlua::{Lua, Value, ffi};

use super::stack::{Held, ROOM, Stack};

/// Work to be done on the stack.
type Work<'a> = dyn FnMut(Stack) + 'a;

/// The way into protected calls whose work finds a certain table at [`TABLE`].
///
/// It is made once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// The function that does the work.
    function: Held,
    /// What describes the errors that are raised in it.
    pub(super) handler: Option<Held>,
}

/// Where the work in a protected call has the table that its gate was made with.
pub(crate) const TABLE: c_int = ffi::lua_upvalueindex(1);

impl Gate {
    /// A gate for `table`; `handler` makes what errors are raised with into what is told of them.
    ///
    /// # Errors
    ///
    /// When Lua's stack has no room.
    pub(crate) fn new(lua: &Lua, table: &Value, handler: Option<&Value>) -> mlua::Result<Gate> {
        let function = lua.exec_raw_lua(|raw| {
            // SAFETY: as for any value that is held; the table is the closure's one upvalue.
            unsafe {
                raw.push_value(table)?;
                ffi::lua_pushcclosure(raw.state(), trampoline, 1);
                Ok::<_, mlua::Error>(Held::pop(raw.state()))
            }
        })?;
        let handler = handler.map(|handler| Held::new(lua, handler)).transpose()?;
        Ok(Gate { function, handler })
    }

    /// Does `work` in a protected call, with `args` on its stack.
    ///
    /// # Errors
    ///
    /// With what an error was raised with, as the handler described it if there is one.
    pub(crate) fn run(&self, lua: &Lua, args: &[&Value], work: &mut Work<'_>) -> Result<(), Value> {
        self.call(lua, args, 0, work).map(drop)
    }

    /// As [`run`](Self::run), and returns the value that `work` leaves at the top of the stack.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub(crate) fn make(&self, lua: &Lua, work: &mut Work<'_>) -> Result<Value, Value> {
        self.call(lua, &[], 1, work)
    }

    fn call(
        &self,
        lua: &Lua,
        args: &[&Value],
        results: c_int,
        work: &mut Work<'_>,
    ) -> Result<Value, Value> {
        let mut job = Job { work, results };
        lua.exec_raw_lua(|raw| {
            let state = raw.state();
            // SAFETY: the state is alive, and idle but for C functions. There is room for all that
            // is pushed. `trampoline` gets what it expects, and `job` lives until the call ends.
            unsafe {
                let top = ffi::lua_gettop(state);
                if ffi::lua_checkstack(state, ROOM) == 0 {
                    return Err(Value::Nil);
                }
                let handler = match self.handler {
                    Some(handler) => {
                        handler.push(state);
                        top + 1
                    }
                    None => 0,
                };
                self.function.push(state);
                for arg in args {
                    raw.push_value(arg).map_err(|_| Value::Nil)?;
                }
                ffi::lua_pushlightuserdata(state, (&raw mut job).cast());
                let count = c_int::try_from(args.len() + 1).unwrap_or(c_int::MAX);
                let result = match ffi::lua_pcall(state, count, results, handler) {
                    ffi::LUA_OK if results == 0 => Ok(Value::Nil),
                    ffi::LUA_OK => Ok(raw.pop_value()),
                    _ => Err(raw.pop_value()),
                };
                ffi::lua_settop(state, top);
                result
            }
        })
    }
}

/// What a protected call is for.
struct Job<'a, 'w> {
    work: &'a mut Work<'w>,
    /// How many values it leaves.
    results: c_int,
}

unsafe extern "C-unwind" fn trampoline(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: `Gate::call` pushed it last, and waits for this call to end.
    unsafe {
        let job: *mut Job<'_, '_> = ffi::lua_touserdata(state, -1).cast();
        ffi::lua_pop(state, 1);
        ((*job).work)(Stack::of(state));
        (*job).results
    }
}
