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

mod incoming;
mod outgoing;
mod unpack;

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::ptr;

use mlua::{Lua, Table, Value};
use serde::de;
use serde::ser::{SerializeSeq, Serializer};

use self::incoming::Incoming;
use self::outgoing::Outgoing;
use crate::failure::{Failure, FailureKind};
use crate::number;
use crate::path::{Path, Step};
use crate::raw::lazy::keep_origins;
use crate::raw::stack::{Gate, Held, Item, Stack, TABLE};
use crate::wire::{MAX_DEPTH, VALUE_COST};

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
    /// The book. Its keys are tables; its values say what these were made from: see [`Entry`].
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

/// Where the registry has what was kept, and how many values that are.
#[derive(Clone, Copy)]
struct Kept {
    lists: [Held; 3],
    count: u32,
}

/// One conversion under way. Each has its own: making Lua values may collect garbage, and a
/// finalizer of the script may convert values in the middle of it.
struct Run {
    stack: Stack,
    /// Where the stack has the book.
    book: c_int,
    fault: RefCell<Option<Fault>>,
    /// Tables being written at the moment, outermost first, to notice cycles.
    open: RefCell<Vec<*const c_void>>,
    /// How many levels there may be inside of where the conversion is.
    depth_left: Cell<usize>,
    max_depth: usize,
    /// What may still be written, by [`VALUE_COST`] and [`OBJECT_COST`](crate::wire::OBJECT_COST).
    budget: Cell<usize>,
    /// Whether strings may be written that aren't UTF-8.
    bytes_pass: bool,
    /// Whether a number was read as a float that may have been an integer.
    doubtful: Cell<bool>,
    /// Where the stack has what goes by numbers, if anything does.
    lists: Option<Lists>,
    /// How many originals are being read, one inside of the other.
    originals: Cell<usize>,
    /// How many levels were left in the deepest table of the innermost of them.
    deepest: Cell<usize>,
    /// The copy that was looked at last, and found to be what its original is.
    unchanged: Cell<*const c_void>,
}

/// Where the stack has what came in under numbers, for as long as a script may give it back.
#[derive(Clone, Copy)]
pub(crate) struct Lists {
    /// Texts and the originals of tables, by their numbers. Where there are no lazy copies: where each
    /// begins.
    values: c_int,
    /// The numbers, by these values.
    numbers: c_int,
    /// How deeply tables are nested in those that are tables, by their numbers.
    depths: c_int,
    /// How many values were kept: their numbers come first, and the lists of these lie behind the others in the
    /// same order.
    kept: u32,
}

impl Lists {
    /// How many lists there are of each kind.
    const KINDS: c_int = 3;

    /// Those that have this number, or would have it: none has zero.
    fn of(self, number: u32) -> Lists {
        match (1..=self.kept).contains(&number) {
            true => self.behind(),
            false => self,
        }
    }

    /// Those of what was kept.
    fn behind(self) -> Lists {
        Lists {
            values: self.values + Self::KINDS,
            numbers: self.numbers + Self::KINDS,
            depths: self.depths + Self::KINDS,
            kept: 0,
        }
    }
}

/// What went wrong inside a value, and where.
struct Fault {
    path: Path,
    cause: Cause,
}

enum Cause {
    /// The value breaks a rule of the conversion.
    Rule(String),
    /// Lua's stack has no room.
    Memory,
}

/// What the book has about a table.
enum Entry {
    /// It came from an array: an integer.
    Shape(Shape),
    /// It came from an object with nulls: a list of their keys, which lies on the stack.
    Nulls(c_int),
    /// It is a view of this table, which lies on the stack: see [`Stack::view`]; or a copy of it in which
    /// nothing is yet.
    View(*const c_void),
    None,
}

/// What an array looked like when it came in.
#[derive(Clone, Copy, Default)]
struct Shape {
    /// Its largest index with a value.
    last: u32,
    /// How many nulls followed that.
    nulls: u32,
}

impl Shape {
    fn of(len: u64, last: u64) -> Shape {
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        let nulls = u32::try_from(len.saturating_sub(u64::from(last))).unwrap_or(u32::MAX);
        Shape { last, nulls }
    }

    fn pack(self) -> i64 {
        i64::from(self.last) | i64::from(self.nulls) << 32
    }

    fn unpack(packed: i64) -> Shape {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "two halves"
        )]
        Shape {
            last: packed as u32,
            nulls: (packed >> 32) as u32,
        }
    }

    fn len(self) -> u64 {
        u64::from(self.last) + u64::from(self.nulls)
    }
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

    /// Pushes lists for values that go by numbers, and behind them those of what was kept.
    pub(crate) fn push_lists(&self, stack: Stack) -> Lists {
        let mut lists = Self::push_empty_lists(stack);
        if let Some(kept) = self.kept.get() {
            lists.kept = kept.count;
            for held in kept.lists {
                stack.push_held(held);
            }
        }
        lists
    }

    fn push_empty_lists(stack: Stack) -> Lists {
        let list = || {
            stack.push_table(0, 0);
            stack.top()
        };
        Lists {
            values: list(),
            numbers: list(),
            depths: list(),
            kept: 0,
        }
    }

    /// Keeps the values that go by numbers in a state, in place of what was kept before. Only for a Lua that
    /// has lazy copies.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    pub(crate) fn keep(&self, stack: Stack, state: &[u8]) -> Result<(), Failure> {
        let lists = Self::push_empty_lists(stack);
        self.unpack_numbered(stack, lists, state, "state")?;
        stack.pop();
        let count = u32::try_from(stack.len(lists.values)).unwrap_or(u32::MAX);
        let before = self.kept.get().map(|kept| kept.lists);
        let hold = |list: usize| match before {
            Some(places) => {
                stack.hold(places[list]);
                places[list]
            }
            None => stack.held(),
        };
        // The last one lies on top.
        let [depths, numbers, values] = [2, 1, 0].map(hold);
        let lists = [values, numbers, depths];
        self.kept.set(Some(Kept { lists, count }));
        Ok(())
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

impl Fault {
    /// What is told of it; `root` is what the path starts with.
    fn failure(&self, root: &str) -> Failure {
        match &self.cause {
            Cause::Rule(rule) => {
                let message = format!("{}: {rule}", self.path.display(root));
                Failure::new(FailureKind::Value, message)
            }
            Cause::Memory => Failure::memory(),
        }
    }
}

impl Run {
    /// How deeply tables are nested in the value that goes by a number.
    fn depth_of(&self, lists: Lists, number: u32) -> usize {
        self.stack
            .raw_get_index(lists.of(number).depths, number.into());
        let depth = match self.stack.item(self.stack.top()) {
            Item::Integer(depth) => usize::try_from(depth).unwrap_or(usize::MAX),
            _ => 0,
        };
        self.stack.pop();
        depth
    }

    /// Writes the value at a position.
    fn write<S: Serializer>(&self, at: c_int, root: &str, sink: S) -> Result<(), Failure> {
        let written = serde::Serialize::serialize(&Outgoing { run: self, at }, sink);
        written.map_err(|error| self.failure(root, &error))?;
        Ok(())
    }

    /// Writes the first values of the stack as an array.
    fn write_each<S: Serializer>(&self, count: c_int, root: &str, sink: S) -> Result<(), Failure> {
        let write = || {
            self.spend(VALUE_COST)?;
            let mut seq = sink.serialize_seq(usize::try_from(count).ok())?;
            for at in 1..=count {
                seq.serialize_element(&Outgoing { run: self, at })
                    .inspect_err(|_| self.within(|| Step::Index(at.unsigned_abs().into())))?;
            }
            seq.end()
        };
        write().map_err(|error: S::Error| self.failure(root, &error))?;
        Ok(())
    }

    /// The failure behind a serde error: ours with its place, or the format's own words.
    fn failure(&self, root: &str, error: &dyn fmt::Display) -> Failure {
        match self.fault.take() {
            Some(fault) => fault.failure(root),
            None => Failure::new(FailureKind::Value, format!("{root}: {error}")),
        }
    }

    fn too_deep(&self) -> String {
        format!(
            "the value is nested too deeply ({} levels are allowed)",
            self.max_depth
        )
    }

    fn broken<E: de::Error>(&self, rule: impl Into<String>) -> E {
        self.fail(Cause::Rule(rule.into()))
    }

    fn fail<E: de::Error>(&self, cause: Cause) -> E {
        let path = Path::default();
        *self.fault.borrow_mut() = Some(Fault { path, cause });
        E::custom("see the fault")
    }

    fn within(&self, step: impl FnOnce() -> Step) {
        if let Some(fault) = self.fault.borrow_mut().as_mut() {
            fault.path.within(step());
        }
    }

    /// Takes the cost of something written out of the budget.
    fn spend<E: serde::ser::Error>(&self, cost: usize) -> Result<(), E> {
        match self.budget.get().checked_sub(cost) {
            Some(left) => {
                self.budget.set(left);
                Ok(())
            }
            None => {
                let _: de::value::Error = self.broken(TOO_LARGE);
                Err(E::custom("see the fault"))
            }
        }
    }

    /// Enters a container: makes room for what lies in it.
    ///
    /// [`leave`](Self::leave) takes it back, rather than a guard: an error that Lua raises drops
    /// nothing on its way.
    fn enter(&self) -> Result<(), Cause> {
        let left = self.depth_left.get().checked_sub(1);
        let left = left.ok_or_else(|| Cause::Rule(self.too_deep()))?;
        if !self.stack.room() {
            return Err(Cause::Memory);
        }
        self.depth_left.set(left);
        Ok(())
    }

    fn leave(&self) {
        self.depth_left.set(self.depth_left.get() + 1);
    }

    /// Remembers that the last value is a table that came from an array.
    fn remember(&self, shape: Shape) {
        self.stack.push_copy(self.stack.top());
        self.stack.push_integer(shape.pack());
        self.stack.raw_set(self.book);
    }

    /// What the book has about a table.
    #[inline(never)]
    fn entry(&self, table: c_int) -> Entry {
        self.stack.push_copy(table);
        self.stack.raw_get(self.book);
        let top = self.stack.top();
        if let Item::Table(original) = self.stack.item(top)
            && self.stack.is_original(original)
        {
            // What is filled by now remembers what its original came from.
            self.stack.raw_get(self.book);
        } else if self.stack.last_is_nil()
            && let Item::Table(address) = self.stack.item(table)
            && let Some(original) = self.stack.pending(address)
        {
            self.stack.push_at(original);
            self.stack.put(top);
            return Entry::View(original);
        }
        let entry = match self.stack.item(top) {
            Item::Table(_) => return Entry::Nulls(top),
            Item::Other(_) => {
                self.stack.viewed();
                match self.stack.item(top) {
                    Item::Table(viewed) => return Entry::View(viewed),
                    _ => Entry::None,
                }
            }
            Item::Integer(packed) => Entry::Shape(Shape::unpack(packed)),
            _ => Entry::None,
        };
        self.stack.pop();
        entry
    }

    /// The text at a position, for a path.
    fn step(&self, at: c_int) -> Step {
        match self.stack.item(at) {
            Item::Text(text) => Step::Key(String::from_utf8_lossy(text).into_owned()),
            _ => Step::Key("?".to_owned()),
        }
    }
}

/// An object that is being read: what it has been found to hold.
struct Object {
    /// Where its table is.
    table: c_int,
    /// How many of its keys are null. Their list lies behind the table, once there is one.
    nulls: u64,
}

impl Object {
    /// Pushes a table for so many entries.
    fn new(run: &Run, entries: usize) -> Object {
        run.stack.push_table(0, entries.min(MAX_RESERVED));
        Object {
            table: run.stack.top(),
            nulls: 0,
        }
    }

    /// Takes the last two values for a key and its value.
    fn set(&mut self, run: &Run) {
        let stack = run.stack;
        if !stack.last_is_nil() {
            return stack.raw_set(self.table);
        }
        // For a key that came before, with another value.
        stack.push_copy(stack.top() - 1);
        stack.insert(stack.top() - 1);
        stack.raw_set(self.table);
        let list = self.table + 1;
        if self.nulls == 0 {
            stack.push_table(1, 0);
            stack.insert(list);
        }
        self.nulls += 1;
        stack.raw_set_index(list, self.nulls);
    }

    /// Leaves the table as the last value.
    fn end(self, run: &Run) {
        if self.nulls == 0 {
            return;
        }
        run.stack.push_copy(self.table);
        run.stack.insert(self.table + 1);
        // The table, and the table and the list of its nulls.
        run.stack.raw_set(run.book);
    }
}

/// A buffer that never aborts for want of memory.
struct Sink<'a> {
    out: &'a mut Vec<u8>,
    full: bool,
}

impl<'a> Sink<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Sink { out, full: false }
    }

    fn check(&self) -> Result<(), Failure> {
        match self.full {
            true => Err(Failure::memory()),
            false => Ok(()),
        }
    }
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.try_reserve(bytes.len()).is_err() {
            self.full = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An integer as text, in a place that needn't be freed.
#[derive(Default)]
struct Digits {
    bytes: [u8; 24],
}

impl Digits {
    fn of(&mut self, number: i128) -> &str {
        let mut rest = io::Cursor::new(&mut self.bytes[..]);
        io::Write::write_fmt(&mut rest, format_args!("{number}")).expect("64 bits fit");
        let len = usize::try_from(rest.position()).expect("it is short");
        str::from_utf8(&self.bytes[..len]).expect("digits are ASCII")
    }
}

const TOO_LARGE: &str = "from here on the value is larger than what may pass in one piece";
