//! Lua's stack, for the walks that convert values.
//!
//! mlua's own values take a protected call and a place in a table each, which is most of what a
//! conversion would cost. Here one protected call is around a whole walk. An error that Lua
//! raises in it, for want of memory, leaves the walk at once: nothing that it calls in between
//! may own what has to be dropped while Lua is called.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::slice;

use mlua::{Lua, Value, ffi};

/// The stack of a call into C that Lua has under way, for as long as that lasts.
#[derive(Clone, Copy)]
pub(crate) struct Stack(*mut ffi::lua_State);

/// What lies at a place of the stack.
pub(crate) enum Item<'a> {
    Nil,
    /// The `null` that scripts have.
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(&'a [u8]),
    /// With its address.
    Table(*const c_void),
    /// With the name of its type.
    Other(&'static str),
}

/// Why a text doesn't compile.
pub(crate) enum Uncompiled {
    /// With Lua's message.
    Syntax(String),
    /// Lua has no memory left.
    Memory,
}

impl Item<'_> {
    /// The name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Item::Nil => "nil",
            Item::Null => "lightuserdata",
            Item::Boolean(_) => "boolean",
            Item::Integer(_) => "integer",
            Item::Number(_) => "number",
            Item::Text(_) => "string",
            Item::Table(_) => "table",
            Item::Other(name) => name,
        }
    }
}

/// A value that Lua's registry holds for good: mlua's own values cost some calls each time they
/// are pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held(c_int);

impl Held {
    /// Has the registry hold `value`.
    ///
    /// # Errors
    ///
    /// When Lua's stack has no room.
    pub(crate) fn new(lua: &Lua, value: &Value) -> mlua::Result<Held> {
        lua.exec_raw_lua(|raw| {
            // SAFETY: the state is alive, and has memory: no limit is set before a script
            // runs. What is referred to is what was pushed last.
            unsafe {
                raw.push_value(value)?;
                Ok(Held::pop(raw.state()))
            }
        })
    }

    /// Has the registry hold the last value of the stack, which is taken away.
    ///
    /// # Safety
    ///
    /// The state has to be alive, have a value on its stack, and memory.
    pub(super) unsafe fn pop(state: *mut ffi::lua_State) -> Held {
        // SAFETY: the caller's promise.
        Held(unsafe { ffi::luaL_ref(state, ffi::LUA_REGISTRYINDEX) })
    }

    /// Where the registry has it.
    pub(super) fn place(self) -> c_int {
        self.0
    }

    /// Pushes it.
    ///
    /// # Safety
    ///
    /// The state has to be alive, and its stack to have room.
    pub(super) unsafe fn push(self, state: *mut ffi::lua_State) {
        // SAFETY: the caller's promise; the registry is always there.
        unsafe { ffi::lua_rawgeti(state, ffi::LUA_REGISTRYINDEX, self.0.into()) };
    }
}

#[cfg(all(target_family = "wasm", not(feature = "plain-lua")))]
unsafe extern "C-unwind" {
    /// Loads bytecode without a protected call of its own: see guest/lua/17-load-bytecode.patch.
    unsafe fn moonfork_undump(
        state: *mut ffi::lua_State,
        code: *const c_char,
        size: usize,
    ) -> c_int;

    /// Puts a function as loading it again would give it in place of the last value: see the same file.
    unsafe fn moonfork_again(state: *mut ffi::lua_State);
}

/// A text that Lua reads piece by piece: empty lines, and then the pieces.
struct Pieces<'p> {
    lines: u32,
    pieces: slice::Iter<'p, &'p [u8]>,
}

impl Pieces<'_> {
    fn next(&mut self) -> &[u8] {
        const LINES: &[u8] = &[b'\n'; 256];

        if self.lines > 0 {
            let now = self.lines.min(LINES.len() as u32);
            self.lines -= now;
            return &LINES[..now as usize];
        }
        // An empty piece would be the end.
        let next = self.pieces.find(|piece| !piece.is_empty());
        next.copied().unwrap_or_default()
    }
}

/// Lua's way to ask for more of a text.
unsafe extern "C-unwind" fn next_piece(
    _: *mut ffi::lua_State,
    data: *mut c_void,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: `Stack::compile` passes its text, and waits for Lua to have read it.
    unsafe {
        let piece = (*data.cast::<Pieces<'_>>()).next();
        *len = piece.len();
        piece.as_ptr().cast()
    }
}

/// What holds the table of a view: a function, for the book to tell it from lists. Nobody calls it.
unsafe extern "C-unwind" fn no_view(_: *mut ffi::lua_State) -> c_int {
    0
}

/// Places that each [`Stack::room`] makes sure of.
pub(super) const ROOM: c_int = 16;

// SAFETY, for all that follows: a `Stack` is made only above, of a state that is alive, and is
// used only while the call that it was made for is under way, which catches errors. Positions
// are those of values that are there: whoever asks has pushed them. No walk pushes more than
// a few values before it asks for `room` again.
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "said above, once for all"
)]
impl Stack {
    /// The stack of the function that `state` runs.
    ///
    /// # Safety
    ///
    /// As said above: the state has to be alive, in a call that catches errors or that of a C function.
    pub(super) unsafe fn of(state: *mut ffi::lua_State) -> Stack {
        Stack(state)
    }

    /// The state that it is a stack of.
    pub(super) fn state(self) -> *mut ffi::lua_State {
        self.0
    }

    /// Makes room for the next few values; false when there is no memory for that.
    pub(crate) fn room(self) -> bool {
        unsafe { ffi::lua_checkstack(self.0, ROOM) != 0 }
    }

    /// How many values there are, which is the position of the last one.
    pub(crate) fn top(self) -> c_int {
        unsafe { ffi::lua_gettop(self.0) }
    }

    pub(crate) fn push_nil(self) {
        unsafe { ffi::lua_pushnil(self.0) }
    }

    pub(crate) fn push_boolean(self, value: bool) {
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    pub(crate) fn push_integer(self, value: i64) {
        unsafe { ffi::lua_pushinteger(self.0, value) }
    }

    pub(crate) fn push_number(self, value: f64) {
        unsafe { ffi::lua_pushnumber(self.0, value) }
    }

    /// May raise a memory error, as all of the following may that make or enlarge something.
    pub(crate) fn push_text(self, text: &[u8]) {
        unsafe {
            ffi::lua_pushlstring(self.0, text.as_ptr().cast(), text.len());
        }
    }

    /// A table with room for so many elements and fields.
    pub(crate) fn push_table(self, elements: usize, fields: usize) {
        let count = |count| c_int::try_from(count).unwrap_or(c_int::MAX);
        unsafe { ffi::lua_createtable(self.0, count(elements), count(fields)) }
    }

    /// Another copy of the value at a position.
    pub(crate) fn push_copy(self, position: c_int) {
        unsafe { ffi::lua_pushvalue(self.0, position) }
    }

    /// Whether the last value is nil.
    pub(crate) fn last_is_nil(self) -> bool {
        unsafe { ffi::lua_type(self.0, -1) == ffi::LUA_TNIL }
    }

    pub(crate) fn pop(self) {
        unsafe { ffi::lua_pop(self.0, 1) }
    }

    /// The text at a position, as long as that holds it; nothing where there is another value.
    pub(super) fn text<'a>(self, position: c_int) -> &'a [u8] {
        match self.item(position) {
            Item::Text(text) => text,
            _ => b"",
        }
    }

    /// Moves the last value to a position, and all that is there one up.
    pub(crate) fn insert(self, position: c_int) {
        unsafe { ffi::lua_insert(self.0, position) }
    }

    /// Puts the table that a view shows in place of the last value, which the book has about it.
    pub(crate) fn viewed(self) {
        unsafe {
            ffi::lua_getupvalue(self.0, -1, 1);
            ffi::lua_remove(self.0, -2);
        }
    }

    /// Puts what the book is to have about a view in place of the last value, the table.
    pub(crate) fn view(self) {
        unsafe { ffi::lua_pushcclosure(self.0, no_view, 1) }
    }

    /// Pushes what the registry holds.
    pub(crate) fn push_held(self, held: Held) {
        unsafe { held.push(self.0) }
    }

    /// How many elements the list at a position has.
    pub(crate) fn len(self, position: c_int) -> u64 {
        unsafe { ffi::lua_rawlen(self.0, position) as u64 }
    }

    /// Has the registry hold the last value, which is taken away.
    pub(crate) fn held(self) -> Held {
        unsafe { Held::pop(self.0) }
    }

    /// Has the registry hold the last value, which is taken away, in place of `held`.
    pub(crate) fn hold(self, held: Held) {
        unsafe { ffi::lua_rawseti(self.0, ffi::LUA_REGISTRYINDEX, held.0.into()) }
    }

    /// Pushes the function that `pieces`, together Lua source, compile to; so many lines of its file come
    /// before it. Raises nothing.
    ///
    /// # Errors
    ///
    /// When it doesn't compile; then nothing is pushed.
    pub(crate) fn compile(
        self,
        lines_before: u32,
        pieces: &[&[u8]],
        name: &CStr,
    ) -> Result<(), Uncompiled> {
        let mut text = Pieces {
            lines: lines_before,
            pieces: pieces.iter(),
        };
        unsafe {
            let data = (&raw mut text).cast();
            match ffi::lua_load(self.0, next_piece, data, name.as_ptr(), c"t".as_ptr()) {
                ffi::LUA_OK => Ok(()),
                ffi::LUA_ERRMEM => {
                    self.pop();
                    Err(Uncompiled::Memory)
                }
                _ => {
                    let message = match self.item(self.top()) {
                        Item::Text(message) => String::from_utf8_lossy(message).into_owned(),
                        other => format!("an error that is a {} value", other.type_name()),
                    };
                    self.pop();
                    Err(Uncompiled::Syntax(message))
                }
            }
        }
    }

    /// Pushes the function that compiled Lua code is; false where that is none. May raise a memory
    /// error, and in the guest one about code that is none.
    pub(crate) fn push_compiled(self, bytecode: &[u8]) -> bool {
        let (start, len) = (bytecode.as_ptr().cast(), bytecode.len());
        #[cfg(all(target_family = "wasm", not(feature = "plain-lua")))]
        unsafe {
            moonfork_undump(self.0, start, len) != 0
        }
        #[cfg(not(all(target_family = "wasm", not(feature = "plain-lua"))))]
        unsafe {
            let (name, mode) = (c"=bytecode".as_ptr(), c"b".as_ptr());
            match ffi::luaL_loadbufferx(self.0, start, len, name, mode) {
                ffi::LUA_OK => true,
                ffi::LUA_ERRMEM => ffi::lua_error(self.0),
                _ => false,
            }
        }
    }

    /// Has the registry hold what compiled Lua code is, for [`push_again`](Self::push_again); nothing where that
    /// is none. Raises as [`push_compiled`](Self::push_compiled).
    pub(crate) fn hold_compiled(self, bytecode: &[u8]) -> Option<Held> {
        if !self.push_compiled(bytecode) {
            return None;
        }
        #[cfg(not(all(target_family = "wasm", not(feature = "plain-lua"))))]
        {
            self.pop();
            self.push_text(bytecode);
        }
        Some(self.held())
    }

    /// Pushes the function that [`hold_compiled`](Self::hold_compiled) holds, as if it was loaded now. May raise a
    /// memory error.
    pub(crate) fn push_again(self, held: Held) {
        self.push_held(held);
        #[cfg(all(target_family = "wasm", not(feature = "plain-lua")))]
        unsafe {
            moonfork_again(self.0);
        }
        #[cfg(not(all(target_family = "wasm", not(feature = "plain-lua"))))]
        {
            let text = self.top();
            let was_pushed = self.push_compiled(self.text(text));
            debug_assert!(was_pushed, "it was when it was held");
            self.put(text);
        }
    }

    /// Moves the last value to a position, in place of what is there.
    pub(crate) fn put(self, position: c_int) {
        unsafe { ffi::lua_replace(self.0, position) }
    }

    /// `table[index] = last value`, which is taken away.
    pub(crate) fn raw_set_index(self, table: c_int, index: u64) {
        unsafe { ffi::lua_rawseti(self.0, table, index.cast_signed()) }
    }

    /// `table[last but one] = last value`; both are taken away.
    pub(crate) fn raw_set(self, table: c_int) {
        unsafe { ffi::lua_rawset(self.0, table) }
    }

    /// Pushes `table[index]`.
    pub(crate) fn raw_get_index(self, table: c_int, index: u64) {
        unsafe {
            ffi::lua_rawgeti(self.0, table, index.cast_signed());
        }
    }

    /// Puts `table[last value]` in place of that value.
    pub(crate) fn raw_get(self, table: c_int) {
        unsafe {
            ffi::lua_rawget(self.0, table);
        }
    }

    /// Puts the key after the last value, and its value, in place of that; nothing after the
    /// last key. What is there has to be nil, or a key of the table.
    pub(crate) fn next(self, table: c_int) -> bool {
        unsafe { ffi::lua_next(self.0, table) != 0 }
    }

    /// `table[last value]`, in place of that value, by the rules of scripts: may raise any
    /// error.
    pub(crate) fn get(self, table: c_int) {
        unsafe {
            ffi::lua_gettable(self.0, table);
        }
    }

    /// `table[last but one] = last value` by the rules of scripts; both are taken away.
    pub(crate) fn set(self, table: c_int) {
        unsafe { ffi::lua_settable(self.0, table) }
    }

    /// The table of globals.
    pub(crate) fn push_globals(self) {
        unsafe {
            ffi::lua_rawgeti(self.0, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        }
    }

    /// Calls the function that has so many arguments above it; all its results take their
    /// place. May raise any error.
    pub(crate) fn call(self, args: c_int) {
        unsafe { ffi::lua_call(self.0, args, ffi::LUA_MULTRET) }
    }

    /// What lies at a position. Its text lives as long as that.
    pub(crate) fn item<'a>(self, position: c_int) -> Item<'a> {
        unsafe {
            match ffi::lua_type(self.0, position) {
                ffi::LUA_TNIL | ffi::LUA_TNONE => Item::Nil,
                ffi::LUA_TBOOLEAN => Item::Boolean(ffi::lua_toboolean(self.0, position) != 0),
                ffi::LUA_TNUMBER if ffi::lua_isinteger(self.0, position) != 0 => {
                    Item::Integer(ffi::lua_tointeger(self.0, position))
                }
                ffi::LUA_TNUMBER => Item::Number(ffi::lua_tonumber(self.0, position)),
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let start = ffi::lua_tolstring(self.0, position, &raw mut len);
                    Item::Text(slice::from_raw_parts(start.cast(), len))
                }
                ffi::LUA_TTABLE => Item::Table(ffi::lua_topointer(self.0, position)),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(self.0, position).is_null() => {
                    Item::Null
                }
                ffi::LUA_TLIGHTUSERDATA => Item::Other("lightuserdata"),
                ffi::LUA_TFUNCTION => Item::Other("function"),
                ffi::LUA_TTHREAD => Item::Other("thread"),
                _ => Item::Other("userdata"),
            }
        }
    }
}
