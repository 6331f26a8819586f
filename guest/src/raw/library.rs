//! What scripts have of ours beside Lua's own libraries, as C functions of Lua's.
//!
//! Each of them is what the script calls, with no function of ours around it. So its errors say the
//! script's line, and Lua finds the name that the script has it by, as for its own functions. Where
//! one is a function of Lua's with something before it, that is called in the same frame.
//!
//! An error that Lua raises leaves at once, and drops nothing on its way. So nothing is owned where
//! Lua may raise one: bytes that are needed meanwhile lie in the [`Library`], which is there for good.

pub(crate) mod modules;

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::rc::Rc;
use std::slice;
use std::time::Instant;

use mlua::{Function, Lua, Value, ffi};

use super::stack::Stack;
use super::{memory, raised};
use crate::Host;
use crate::failure::{Failure, FailureKind};
use crate::value::{MAX_ARGUMENTS, Values};
use crate::wire::{Denied, Service};

type State = *mut ffi::lua_State;

/// What the functions need. It lives as long as the process, as the allocator's account does: the
/// state may call them until it is closed.
pub(crate) struct Library {
    host: Rc<dyn Host>,
    values: Rc<Values>,
    /// Bytes that are owned while Lua may raise errors. A finalizer may call one of the functions in
    /// the middle of another: each gives up its own, and what lies behind.
    kept: RefCell<Vec<Vec<u8>>>,
    /// When the clock was granted.
    start: Cell<Option<Instant>>,
}

/// Where the functions have the library.
const LIBRARY: c_int = ffi::lua_upvalueindex(1);
/// Where they have what else they were made with.
const SECOND: c_int = ffi::lua_upvalueindex(2);

/// What a value may cost that `json.encode` writes. Lua's own memory limit comes first as a
/// rule; this keeps a text that is built outside of Lua's accounts within reason.
const MAX_JSON: usize = 64 << 20;

/// Why something was not done, in place of results.
type Results = Result<c_int, Failure>;

impl Library {
    /// A library that is there for good.
    pub(crate) fn new(host: &Rc<dyn Host>, values: &Rc<Values>) -> &'static Library {
        Box::leak(Box::new(Library {
            host: Rc::clone(host),
            values: Rc::clone(values),
            kept: RefCell::default(),
            start: Cell::default(),
        }))
    }

    /// Gives up what errors have left behind, at a time when none of the functions runs.
    pub(crate) fn tidy(&self) {
        if !self.kept.borrow().is_empty() {
            self.kept.borrow_mut().clear();
        }
    }

    /// One of the functions below, with these values beside the library.
    ///
    /// # Errors
    ///
    /// When Lua can't allocate it.
    pub(crate) fn function(
        &'static self,
        lua: &Lua,
        function: ffi::lua_CFunction,
        with: &[Value],
    ) -> mlua::Result<Function> {
        let library: *const Library = self;
        let value = lua.exec_raw_lua(|raw| {
            // SAFETY: the state is alive, and has memory: no limit is set before a script runs.
            unsafe {
                ffi::lua_pushlightuserdata(raw.state(), library.cast_mut().cast());
                for value in with {
                    raw.push_value(value)?;
                }
                let count = c_int::try_from(1 + with.len()).unwrap_or(c_int::MAX);
                ffi::lua_pushcclosure(raw.state(), function, count);
                Ok::<_, mlua::Error>(raw.pop_value())
            }
        })?;
        Ok(value.as_function().expect("it was pushed").clone())
    }

    /// The library of the function that runs.
    ///
    /// # Safety
    ///
    /// `state` must run one that [`function`](Self::function) made.
    unsafe fn of(state: State) -> &'static Library {
        // SAFETY: the caller's promise: it has a leaked library there.
        unsafe { &*ffi::lua_touserdata(state, LIBRARY).cast_const().cast() }
    }

    /// Keeps bytes while Lua may raise an error; says where.
    fn keep(&self, bytes: Vec<u8>) -> usize {
        let mut kept = self.kept.borrow_mut();
        kept.push(bytes);
        kept.len() - 1
    }

    /// Those bytes, until they are given up.
    fn kept(&self, place: usize) -> &'static [u8] {
        let kept = self.kept.borrow();
        // SAFETY: a vector's content stays where it is when the vector itself is moved, and this one
        // is changed no more.
        unsafe { slice::from_raw_parts(kept[place].as_ptr(), kept[place].len()) }
    }

    fn give_up(&self, place: usize) {
        self.kept.borrow_mut().truncate(place);
    }

    /// Pushes bytes as a string, and gives them up.
    fn push(&self, stack: Stack, bytes: Vec<u8>) {
        let place = self.keep(bytes);
        stack.push_text(self.kept(place));
        self.give_up(place);
    }

    /// What a function ends with: its results, or the error, at the line of whoever called it.
    ///
    /// # Safety
    ///
    /// `state` must run the function, and nothing be owned by it.
    unsafe fn end(&self, state: State, results: Results) -> c_int {
        let failure = match results {
            Ok(count) => return count,
            Err(failure) => failure,
        };
        let Failure {
            kind,
            message,
            denied,
            ..
        } = failure;
        let place = self.keep(message.into_bytes());
        // SAFETY: the caller's promise; there is room for a few values.
        unsafe {
            let stack = Stack::of(state);
            if kind == FailureKind::Memory {
                // Lua knows it by this text.
                memory::run_out();
                self.give_up(place);
                stack.push_text(b"not enough memory");
                ffi::lua_error(state);
            }
            ffi::luaL_where(state, 1);
            stack.push_text(self.kept(place));
            self.give_up(place);
            ffi::lua_concat(state, 2);
            if let Some(Denied::Refusal(number)) = denied {
                ffi::lua_pushinteger(state, number.into());
                raised::note(state);
            }
            ffi::lua_error(state)
        }
    }

    /// The value of JSON text, which is pushed.
    fn decode(&self, stack: Stack, text: &[u8]) -> Result<(), Failure> {
        let book = self.values.push_book(stack);
        self.values.read_json(stack, book, text, "value")
    }
}

/// `(value) -> text`
pub(crate) unsafe extern "C-unwind" fn encode(state: State) -> c_int {
    // SAFETY: Lua calls this, as `Library::function` made it; so do all below.
    unsafe {
        ffi::luaL_checkany(state, 1);
        let library = Library::of(state);
        let stack = Stack::of(state);
        let book = library.values.push_book(stack);
        let text = (library.values).write_json(stack, book, 1, "value", MAX_JSON);
        let results = text.map(|text| {
            library.push(stack, text);
            1
        });
        library.end(state, results)
    }
}

/// `(text) -> value`
pub(crate) unsafe extern "C-unwind" fn decode(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TSTRING);
        let library = Library::of(state);
        let stack = Stack::of(state);
        let results = library.decode(stack, stack.text(1)).map(|()| 1);
        library.end(state, results)
    }
}

/// `(table) -> the same table`, marked as an array
pub(crate) unsafe extern "C-unwind" fn array(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        ffi::lua_settop(state, 1);
        let library = Library::of(state);
        library.values.mark_array(Stack::of(state), 1);
        1
    }
}

/// `(view, table) -> nothing`: the view is written as the table.
pub(crate) unsafe extern "C-unwind" fn view(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        Library::of(state).values.mark_view(Stack::of(state), 1, 2);
        0
    }
}

/// `(any number of values) -> nothing`: prints them on a line.
pub(crate) unsafe extern "C-unwind" fn print(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        let count = ffi::lua_gettop(state);
        for at in 1..=count {
            ffi::luaL_tolstring(state, at, std::ptr::null_mut());
            ffi::lua_replace(state, at);
        }
        let library = Library::of(state);
        let results = line(Stack::of(state), count).map(|line| {
            library.host.print(&line);
            0
        });
        library.end(state, results)
    }
}

/// The texts on the stack, as a line of output.
fn line(stack: Stack, count: c_int) -> Result<Vec<u8>, Failure> {
    let texts = || (1..=count).map(|at| stack.text(at));
    let len = texts().map(|text| text.len() + 1).sum::<usize>().max(1);
    let mut line = Vec::new();
    line.try_reserve_exact(len).map_err(|_| Failure::memory())?;
    for (place, text) in texts().enumerate() {
        if place > 0 {
            line.push(b'\t');
        }
        line.extend_from_slice(text);
    }
    line.push(b'\n');
    Ok(line)
}

/// `load` of Lua's own, which the library has second, for source text alone: bytecode isn't
/// verified when it is loaded.
pub(crate) unsafe extern "C-unwind" fn load(state: State) -> c_int {
    /// Where its arguments have the mode.
    const MODE: c_int = 3;

    // SAFETY: as for `encode`.
    unsafe {
        let mode = ffi::luaL_optlstring(state, MODE, c"bt".as_ptr(), std::ptr::null_mut());
        let mode = std::ffi::CStr::from_ptr(mode);
        if !mode.to_bytes().contains(&b't') {
            ffi::lua_pushnil(state);
            let refused = c"attempt to load a text chunk (mode is '%s'); bytecode is not allowed";
            ffi::lua_pushfstring(state, refused.as_ptr(), mode.as_ptr());
            return 2;
        }
        if ffi::lua_gettop(state) < MODE {
            ffi::lua_settop(state, MODE);
        }
        Stack::of(state).push_text(b"t");
        ffi::lua_replace(state, MODE);
        own(state, SECOND)(state)
    }
}

/// The function of Lua's own at a position.
///
/// # Safety
///
/// There has to be one.
unsafe fn own(state: State, position: c_int) -> ffi::lua_CFunction {
    // SAFETY: the caller's promise.
    unsafe { ffi::lua_tocfunction(state, position) }.expect("it was made with one")
}

/// `collectgarbage` for those who only look: scripts may not tune the collector that the limits rely
/// on.
pub(crate) unsafe extern "C-unwind" fn collectgarbage(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        let stack = Stack::of(state);
        if ffi::lua_type(state, 1) == ffi::LUA_TSTRING && stack.text(1) == b"count" {
            ffi::lua_settop(state, 1);
            return own(state, SECOND)(state);
        }
        let message = "collectgarbage: only the option 'count' is allowed here";
        let failure = Failure::new(FailureKind::Runtime, message);
        Library::of(state).end(state, Err(failure))
    }
}

/// A function of Lua's own that tells the time, for calls that may.
pub(crate) unsafe extern "C-unwind" fn telling(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        let library = Library::of(state);
        match library.may_tell() {
            Ok(()) => own(state, SECOND)(state),
            Err(failure) => library.end(state, Err(failure)),
        }
    }
}

/// `() -> seconds` since the clock was granted
pub(crate) unsafe extern "C-unwind" fn clock(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        let library = Library::of(state);
        let results = library.may_tell().map(|()| {
            let start = library.start.get();
            let told = start.map_or(0.0, |start| start.elapsed().as_secs_f64());
            Stack::of(state).push_number(told);
            1
        });
        library.end(state, results)
    }
}

impl Library {
    /// Starts the clock.
    pub(crate) fn start_clock(&self) {
        self.start.set(Some(Instant::now()));
    }

    /// Starts it again, if it was: a copy of an instance counts from when it was made.
    pub(crate) fn restart_clock(&self) {
        if self.start.get().is_some() {
            self.start_clock();
        }
    }

    /// Whether the call at hand may tell the time, which may be less than the instance may.
    fn may_tell(&self) -> Result<(), Failure> {
        self.host.ask(Service::Time, b"", b"")?;
        Ok(())
    }
}

/// A function of `fs`, whose service's number the library has second: `(path) -> what it gives`, or
/// `(path, content) -> nothing`.
pub(crate) unsafe extern "C-unwind" fn file(state: State) -> c_int {
    // SAFETY: as for `encode`. What is asked for has been checked to be text.
    unsafe {
        let library = Library::of(state);
        let stack = Stack::of(state);
        let number = usize::try_from(ffi::lua_tointeger(state, SECOND)).unwrap_or(usize::MAX);
        let service = Service::ALL[number];
        ffi::luaL_checktype(state, 1, ffi::LUA_TSTRING);
        let content = match service {
            Service::Write | Service::Append => {
                ffi::luaL_checktype(state, 2, ffi::LUA_TSTRING);
                stack.text(2)
            }
            _ => b"",
        };
        let answer = library.host.ask(service, stack.text(1), content);
        let results = match answer {
            Ok(answer) => library.give(stack, service, answer),
            Err(refused) => Err(refused.into()),
        };
        library.end(state, results)
    }
}

impl Library {
    /// Pushes what a service has given.
    fn give(&self, stack: Stack, service: Service, answer: Option<Vec<u8>>) -> Results {
        match (service, answer) {
            (Service::Read, Some(content)) => self.push(stack, content),
            (Service::List | Service::Stat, Some(json)) => {
                let place = self.keep(json);
                self.decode(stack, self.kept(place))?;
                self.give_up(place);
            }
            (Service::Read | Service::List | Service::Stat, None) => stack.push_nil(),
            _ => return Ok(0),
        }
        Ok(1)
    }
}

/// A host function, whose number the library has second.
pub(crate) unsafe extern "C-unwind" fn host_function(state: State) -> c_int {
    // SAFETY: as for `encode`.
    unsafe {
        let library = Library::of(state);
        let number = u32::try_from(ffi::lua_tointeger(state, SECOND)).unwrap_or(u32::MAX);
        let results = library.call(Stack::of(state), number);
        library.end(state, results)
    }
}

impl Library {
    /// Calls a host function with all that lies on the stack, and pushes its result.
    fn call(&self, stack: Stack, number: u32) -> Results {
        let count = stack.top();
        if count.unsigned_abs() > MAX_ARGUMENTS {
            let message = format!("too many arguments (at most {MAX_ARGUMENTS}); pass one table");
            return Err(Failure::new(FailureKind::Runtime, message));
        }
        if !stack.room() {
            return Err(Failure::memory());
        }
        let book = self.values.push_book(stack);
        let request = self.values.write_arguments(stack, book, count)?;
        let answer = self.host.call(number, &request)?;
        drop(request);
        let place = self.keep(answer);
        self.values
            .unpack(stack, book, self.kept(place), "result")?;
        self.give_up(place);
        Ok(1)
    }
}
