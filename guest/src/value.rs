//! Values between Lua and the wire, by the rules of JSON; every error names the place.
//!
//! What goes out is written by one walk, in every format that serde knows: MessagePack for the
//! host, JSON for the scripts' own `json.encode`. What comes in is read by two: `json.decode` has
//! serde's, and what the host passes in a shorter one (`unpack`).
//!
//! A table that came from an array must go back as one, even when it is empty by then, and
//! with the nulls at its end that Lua can't hold; one that came from an object, with the nulls that
//! it had. Metatables belong to the scripts, so that is remembered beside the tables, in a table with
//! weak keys: the book.

mod book;
mod incoming;
mod kept;
mod object;
mod outgoing;
mod run;
mod sink;
mod unpack;

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::ptr;

use mlua::{Lua, Table, Value};
use serde::de;

use self::book::Shape;
use self::incoming::Incoming;
use self::kept::{Kept, Lists};
use self::run::Run;
use self::sink::Sink;
use crate::failure::{Failure, FailureKind};
use crate::number;
use crate::raw::gate::{Gate, TABLE};
use crate::raw::lazy::keep_origins;
use crate::raw::stack::{Held, Stack};
use crate::wire::MAX_DEPTH;

/// How many arguments a call may have between host and guest, either way. Each takes a place
/// on a stack for which no error can be raised.
pub(crate) const MAX_ARGUMENTS: u32 = 250;

/// What values may cost where the host has its defaults.
const DEFAULT_MAX_VALUE: usize = 64 << 20;

/// Tables are made with room for at most this many entries, whatever a length claims.
const MAX_RESERVED: usize = 4096;

/// Converts values, and remembers what tables were made from.
pub struct Values {
    lua: Lua,
    /// The book. Its keys are tables; its values say what these were made from: see [`Entry`](book::Entry).
    book: RefCell<Value>,
    /// Where the registry has it.
    held: Cell<Held>,
    /// Protected calls with it.
    gate: Cell<Gate>,
    /// What values may cost on their way out.
    max_value: Cell<usize>,
    /// How deeply they may be nested.
    max_depth: Cell<usize>,
    /// What is held from state to state under numbers.
    kept: Cell<Option<Kept>>,
}

impl Values {
    /// A converter for the values of `lua`.
    ///
    /// # Errors
    ///
    /// When Lua can't allocate its book.
    pub fn new(lua: &Lua) -> mlua::Result<Values> {
        let weak = lua.create_table_from([("__mode", "k")])?;
        let book = Self::empty_book(lua, weak)?;
        Ok(Values {
            lua: lua.clone(),
            gate: Cell::new(Gate::new(lua, &book, None)?),
            held: Cell::new(Held::new(lua, &book)?),
            book: RefCell::new(book),
            max_value: Cell::new(DEFAULT_MAX_VALUE),
            max_depth: Cell::new(MAX_DEPTH),
            kept: Cell::default(),
        })
    }

    /// An empty book with this metatable.
    fn empty_book(lua: &Lua, weak: Table) -> mlua::Result<Value> {
        /// Tables that there is room for: most scripts see fewer.
        const ROOM: usize = 4;

        let book = lua.create_table_with_capacity(0, ROOM)?;
        book.set_metatable(Some(weak))?;
        Ok(Value::Table(book))
    }

    /// Begins a new book, which lies where memory is allocated at the moment.
    ///
    /// # Errors
    ///
    /// When Lua can't allocate it.
    pub(crate) fn begin_book(&self) -> mlua::Result<()> {
        let weak = self.book.borrow().as_table().and_then(Table::metatable);
        let book = Self::empty_book(&self.lua, weak.expect("it was made with one"))?;
        self.gate.set(Gate::new(&self.lua, &book, None)?);
        self.held.set(Held::new(&self.lua, &book)?);
        keep_origins(&self.lua, self.held.get())?;
        self.book.replace(book);
        Ok(())
    }

    /// Sets what values may cost on their way out from now on, and how deeply they may be nested
    /// either way, [`MAX_DEPTH`] at the most.
    pub fn allow(&self, max_value: usize, max_depth: usize) {
        let max_depth = max_depth.min(MAX_DEPTH);
        // A page that isn't written to needn't be restored, and most instances have the defaults.
        if (self.max_value.get(), self.max_depth.get()) != (max_value, max_depth) {
            self.max_value.set(max_value);
            self.max_depth.set(max_depth);
        }
    }

    /// What values may cost on their way out.
    pub(crate) fn max_value(&self) -> usize {
        self.max_value.get()
    }

    /// The book: what the gate has to be made with through which conversions on a stack come.
    pub(crate) fn book(&self) -> Value {
        self.book.borrow().clone()
    }

    /// Pushes the book; says where it is.
    pub(crate) fn push_book(&self, stack: Stack) -> c_int {
        stack.push_held(self.held.get());
        stack.top()
    }

    /// Marks the table at a position as an array, so that it stays one when it is empty. May raise a
    /// memory error, as all that follow may that are given a stack.
    pub(crate) fn mark_array(&self, stack: Stack, table: c_int) {
        let book = self.push_book(stack);
        stack.push_copy(table);
        stack.push_integer(Shape::default().pack());
        stack.raw_set(book);
        stack.pop();
    }

    /// Has the view at a position, which shows what is in the table at another without holding it,
    /// written as that.
    pub(crate) fn mark_view(&self, stack: Stack, view: c_int, table: c_int) {
        let book = self.push_book(stack);
        stack.push_copy(view);
        stack.push_copy(table);
        stack.view();
        stack.raw_set(book);
        stack.pop();
    }

    /// Reads JSON text and pushes the value. `root` is what its path starts with in error messages.
    ///
    /// # Errors
    ///
    /// `Value` when it is no JSON, or can't be a Lua value; `Memory` when Lua has no room for it.
    pub(crate) fn read_json(
        &self,
        stack: Stack,
        book: c_int,
        text: &[u8],
        root: &str,
    ) -> Result<(), Failure> {
        let run = self.run(stack, book);
        let mut source = serde_json::Deserializer::from_slice(text);
        let read = de::DeserializeSeed::deserialize(Incoming { run: &run }, &mut source);
        let read = read.and_then(|()| source.end());
        if (read.is_err() || run.doubtful.get())
            && run.fault.borrow().is_none()
            && let Some(large) = number::large_numbers(text).next()
        {
            return Err(Failure::new(FailureKind::Value, large.message(root)));
        }
        read.map_err(|error| run.failure(root, &error))
    }

    /// The value that `push` leaves on the stack.
    fn made(&self, mut push: impl FnMut(Stack) -> Result<(), Failure>) -> Result<Value, Failure> {
        let mut result = Ok(());
        let value = self.gate.get().make(&self.lua, &mut |stack| {
            result = push(stack);
            if result.is_err() {
                stack.push_nil();
            }
        });
        result?;
        value.map_err(|_| Failure::memory())
    }

    /// Writes `value` as MessagePack behind what `out` holds already.
    ///
    /// # Errors
    ///
    /// `Value` when it has no JSON counterpart or costs more than `max`, `Memory` when there
    /// is no room for the text.
    pub fn write_msgpack(
        &self,
        value: &Value,
        root: &str,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        let done = self.gate.get().run(&self.lua, &[value], &mut |stack| {
            result = self.write_msgpack_from(stack, root, out, max);
        });
        result?;
        done.map_err(|_| Failure::memory())
    }

    /// Writes the last value of a stack that has come through a gate likewise.
    ///
    /// # Errors
    ///
    /// As [`write_msgpack`](Self::write_msgpack).
    pub(crate) fn write_msgpack_from(
        &self,
        stack: Stack,
        root: &str,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Failure> {
        let run = Run {
            budget: Cell::new(max),
            bytes_pass: true,
            ..self.run(stack, TABLE)
        };
        let mut sink = Sink::new(out);
        let mut serializer = rmp_serde::Serializer::new(&mut sink);
        let result = run.write(stack.top(), root, &mut serializer);
        sink.check().and(result)
    }

    /// Writes the last value of the stack likewise, but what came in under a number and is as it came goes out
    /// under that.
    ///
    /// # Errors
    ///
    /// As [`write_msgpack`](Self::write_msgpack).
    pub(crate) fn write_numbered_from(
        &self,
        stack: Stack,
        lists: Lists,
        root: &str,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), Failure> {
        let run = Run {
            budget: Cell::new(max),
            bytes_pass: true,
            lists: Some(lists),
            ..self.run(stack, TABLE)
        };
        let mut sink = Sink::new(out);
        let mut serializer = rmp_serde::Serializer::new(&mut sink);
        let result = run.write(stack.top(), root, &mut serializer);
        sink.check().and(result)
    }

    /// The first values on the stack, as a MessagePack array.
    ///
    /// # Errors
    ///
    /// As [`write_msgpack`](Self::write_msgpack).
    pub(crate) fn write_arguments(
        &self,
        stack: Stack,
        book: c_int,
        count: c_int,
    ) -> Result<Vec<u8>, Failure> {
        let run = Run {
            budget: Cell::new(self.max_value()),
            bytes_pass: true,
            ..self.run(stack, book)
        };
        let mut out = Vec::new();
        let mut sink = Sink::new(&mut out);
        let result = run.write_each(count, "args", &mut rmp_serde::Serializer::new(&mut sink));
        sink.check().and(result)?;
        Ok(out)
    }

    /// The value at a position as JSON text.
    ///
    /// # Errors
    ///
    /// As [`write_msgpack`](Self::write_msgpack).
    pub(crate) fn write_json(
        &self,
        stack: Stack,
        book: c_int,
        value: c_int,
        root: &str,
        max: usize,
    ) -> Result<Vec<u8>, Failure> {
        let run = Run {
            budget: Cell::new(max),
            ..self.run(stack, book)
        };
        let mut out = Vec::new();
        let mut sink = Sink::new(&mut out);
        let result = run.write(value, root, &mut serde_json::Serializer::new(&mut sink));
        sink.check().and(result)?;
        Ok(out)
    }

    fn run(&self, stack: Stack, book: c_int) -> Run {
        Run {
            stack,
            book,
            fault: RefCell::default(),
            open: RefCell::default(),
            depth_left: Cell::new(self.max_depth.get()),
            max_depth: self.max_depth.get(),
            budget: Cell::new(usize::MAX),
            bytes_pass: false,
            doubtful: Cell::new(false),
            lists: None,
            originals: Cell::default(),
            deepest: Cell::default(),
            unchanged: Cell::new(ptr::null()),
        }
    }
}
