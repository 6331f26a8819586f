//! Values between Lua and the wire, by the rules of JSON; every error names the place.
//!
//! What goes out is written by one walk, in every format that serde knows: MessagePack for the
//! host, JSON for the scripts' own `json.encode`. What comes in is read by two: `json.decode` has
//! serde's, and what the host passes in a shorter one (`unpack`).
//!
//! A table that came from an array must go back as one, even when it is empty by then, and
//! with the nulls at its end that Lua can't hold. Metatables belong to the scripts, so that
//! is remembered beside the tables, in a table with weak keys.

mod unpack;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::str;

use mlua::{IntoLua, Lua, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Serialize, de};

use crate::failure::{Failure, FailureKind};
use crate::path::{Path, Step};
use crate::raw::stack::{Gate, Item, Stack, TABLE};
use crate::wire::{MAX_DEPTH, OBJECT_COST, VALUE_COST};

/// How many arguments a call may have between host and guest, either way. Each takes a place
/// on a stack for which no error can be raised.
pub(crate) const MAX_ARGUMENTS: u32 = 250;

/// What values may cost where the host has its defaults.
const DEFAULT_MAX_VALUE: usize = 64 << 20;

/// Tables are made with room for at most this many entries, whatever a length claims.
const MAX_RESERVED: usize = 4096;

/// A table counts as excessively sparse when its largest index is above this and above twice
/// the number of its values (lua-cjson's rule).
const SPARSE_FROM: u64 = 10;

/// Converts values, and remembers which tables are arrays.
pub struct Values {
    lua: Lua,
    /// A table with weak keys, the tables that came from an array; values: [`Shape`]s as integers.
    /// And views of tables; values: those tables.
    arrays: RefCell<Value>,
    /// Protected calls with that table.
    gate: Cell<Gate>,
    /// What values may cost on their way out.
    max_value: Cell<usize>,
    /// How deeply they may be nested.
    max_depth: Cell<usize>,
}

/// One conversion under way. Each has its own: making Lua values may collect garbage, and a
/// finalizer of the script may convert values in the middle of it.
struct Run {
    stack: Stack,
    fault: RefCell<Option<Fault>>,
    /// Tables being written at the moment, outermost first, to notice cycles.
    open: RefCell<Vec<*const c_void>>,
    /// How many levels there may be inside of where the conversion is.
    depth_left: Cell<usize>,
    max_depth: usize,
    /// What may still be written, by [`VALUE_COST`] and [`OBJECT_COST`].
    budget: Cell<usize>,
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
    /// When Lua can't allocate its book of arrays.
    pub fn new(lua: &Lua) -> mlua::Result<Values> {
        let weak = lua.create_table_from([("__mode", "k")])?;
        let (arrays, gate) = Self::book(lua, weak)?;
        Ok(Values {
            lua: lua.clone(),
            gate: Cell::new(gate),
            arrays: RefCell::new(arrays),
            max_value: Cell::new(DEFAULT_MAX_VALUE),
            max_depth: Cell::new(MAX_DEPTH),
        })
    }

    /// An empty book of arrays with this metatable, and a gate for it.
    fn book(lua: &Lua, weak: Table) -> mlua::Result<(Value, Gate)> {
        /// Arrays that there is room for: most scripts see fewer.
        const ROOM: usize = 4;

        let arrays = lua.create_table_with_capacity(0, ROOM)?;
        arrays.set_metatable(Some(weak))?;
        let arrays = Value::Table(arrays);
        let gate = Gate::new(lua, &arrays, None)?;
        Ok((arrays, gate))
    }

    /// Begins a new book of arrays, which lies where memory is allocated at the moment.
    ///
    /// # Errors
    ///
    /// When Lua can't allocate it.
    pub(crate) fn begin_book(&self) -> mlua::Result<()> {
        let weak = self.arrays.borrow().as_table().and_then(Table::metatable);
        let (arrays, gate) = Self::book(&self.lua, weak.expect("it was made with one"))?;
        self.arrays.replace(arrays);
        self.gate.set(gate);
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

    /// The book of arrays: what the gate has to be made with through which conversions on a
    /// stack come.
    pub(crate) fn arrays(&self) -> Value {
        self.arrays.borrow().clone()
    }

    /// Marks `table` as an array, so that it stays one when it is empty.
    ///
    /// # Errors
    ///
    /// When Lua has no memory left.
    pub fn mark_array(&self, table: &Table) -> mlua::Result<()> {
        self.remember(table, Shape::default())
    }

    /// Has `view`, which shows what is in `table` without holding it, written as that.
    ///
    /// # Errors
    ///
    /// When Lua has no memory left.
    pub fn mark_view(&self, view: &Table, table: &Table) -> mlua::Result<()> {
        self.note(view, table)
    }

    /// An array of `items`, which stays as long as it is whatever nils it ends with.
    ///
    /// # Errors
    ///
    /// When Lua has no memory left.
    pub fn array(&self, items: mlua::MultiValue) -> mlua::Result<Table> {
        let last = items.iter().rposition(|item| !item.is_nil());
        let last = last.map_or(0, |position| position as u64 + 1);
        let shape = Shape::of(items.len() as u64, last);
        let table = self.lua.create_sequence_from(items)?;
        self.remember(&table, shape)?;
        Ok(table)
    }

    fn remember(&self, table: &Table, shape: Shape) -> mlua::Result<()> {
        self.note(table, shape.pack())
    }

    fn note(&self, table: &Table, what: impl IntoLua) -> mlua::Result<()> {
        let arrays = self.arrays.borrow();
        let book = arrays.as_table().expect("it was made as one");
        book.raw_set(table, what)
    }

    /// Reads one value. `root` is what its path starts with in error messages.
    ///
    /// # Errors
    ///
    /// `Value` when it can't be a Lua value, `Memory` when Lua has no room for it.
    pub fn read<'de, D: Deserializer<'de>>(&self, source: D, root: &str) -> Result<Value, Failure> {
        let mut source = Some(source);
        self.made(|stack| match source.take() {
            Some(source) => {
                let run = self.run(stack, usize::MAX);
                let read = Incoming { run: &run }.deserialize(source);
                read.map_err(|error| run.failure(root, &error))
            }
            None => Ok(()),
        })
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
        value.map_err(|_| no_memory())
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
        self.on_stack(value, &mut |stack| {
            self.write_msgpack_from(stack, root, out, max)
        })
    }

    /// Writes the last value of the stack likewise.
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
        let mut sink = Sink::new(out);
        let mut serializer = rmp_serde::Serializer::new(&mut sink);
        let result = self.write_from(stack, root, max, &mut serializer);
        sink.check().and(result)
    }

    /// Writes `value` as JSON text.
    ///
    /// # Errors
    ///
    /// As [`write_msgpack`](Self::write_msgpack).
    pub fn write_json(&self, value: &Value, root: &str, max: usize) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        self.on_stack(value, &mut |stack| {
            let mut sink = Sink::new(&mut out);
            let mut serializer = serde_json::Serializer::new(&mut sink);
            let result = self.write_from(stack, root, max, &mut serializer);
            sink.check().and(result)
        })?;
        Ok(out)
    }

    /// Does `write` with `value` on the stack.
    fn on_stack(
        &self,
        value: &Value,
        write: &mut dyn FnMut(Stack) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        let done = self
            .gate
            .get()
            .run(&self.lua, &[value], &mut |stack| result = write(stack));
        result?;
        done.map_err(|_| no_memory())
    }

    fn write_from<S: Serializer>(
        &self,
        stack: Stack,
        root: &str,
        max: usize,
        sink: S,
    ) -> Result<(), Failure> {
        let run = self.run(stack, max);
        let value = Outgoing {
            run: &run,
            at: stack.top(),
        };
        match value.serialize(sink) {
            Ok(_) => Ok(()),
            Err(error) => Err(run.failure(root, &error)),
        }
    }

    fn run(&self, stack: Stack, budget: usize) -> Run {
        Run {
            stack,
            fault: RefCell::default(),
            open: RefCell::default(),
            depth_left: Cell::new(self.max_depth.get()),
            max_depth: self.max_depth.get(),
            budget: Cell::new(budget),
        }
    }
}

fn no_memory() -> Failure {
    Failure::new(FailureKind::Memory, "not enough memory")
}

impl Fault {
    /// What is told of it; `root` is what the path starts with.
    fn failure(&self, root: &str) -> Failure {
        match &self.cause {
            Cause::Rule(rule) => {
                let message = format!("{}: {rule}", self.path.display(root));
                Failure::new(FailureKind::Value, message)
            }
            Cause::Memory => no_memory(),
        }
    }
}

impl Run {
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
        self.stack.raw_set(TABLE);
    }

    /// What the book has about a table; what a view shows lies on the stack afterwards.
    fn entry(&self, table: c_int) -> Entry {
        self.stack.push_copy(table);
        self.stack.raw_get(TABLE);
        let entry = match self.stack.item(self.stack.top()) {
            Item::Table(viewed) => return Entry::View(viewed),
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

/// What the book of arrays has about a table.
enum Entry {
    Shape(Shape),
    /// It is a view of this table.
    View(*const c_void),
    None,
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
        if self.full {
            return Err(Failure::new(FailureKind::Memory, "not enough memory"));
        }
        Ok(())
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

/// Reads one value and pushes it.
struct Incoming<'a> {
    run: &'a Run,
}

impl<'de> DeserializeSeed<'de> for Incoming<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Incoming<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.run.stack.push_nil();
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.run.stack.push_boolean(value);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.run.stack.push_integer(value);
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        let value = i64::try_from(value).map_err(|_| self.run.broken(too_large(value)))?;
        self.visit_i64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(self.run.broken(NOT_FINITE));
        }
        self.run.stack.push_number(value);
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.run.stack.push_text(value.as_bytes());
        Ok(())
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<(), E> {
        Err(self.run.broken(BYTES))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Run { stack, .. } = *self.run;
        self.run.enter().map_err(|cause| self.run.fail(cause))?;
        let capacity = items.size_hint().unwrap_or(0).min(MAX_RESERVED);
        stack.push_table(capacity, 0);
        let table = stack.top();
        let (mut len, mut last) = (0_u64, 0_u64);
        while items
            .next_element_seed(Incoming { run: self.run })
            .inspect_err(|_| self.run.within(|| Step::Index(len + 1)))?
            .is_some()
        {
            len += 1;
            if stack.last_is_nil() {
                stack.pop();
            } else {
                last = len;
                stack.raw_set_index(table, len);
            }
        }
        self.run.remember(Shape::of(len, last));
        self.run.leave();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Run { stack, .. } = *self.run;
        self.run.enter().map_err(|cause| self.run.fail(cause))?;
        let capacity = entries.size_hint().unwrap_or(0).min(MAX_RESERVED);
        stack.push_table(0, capacity);
        let table = stack.top();
        while entries.next_key_seed(Key { run: self.run })?.is_some() {
            entries
                .next_value_seed(Incoming { run: self.run })
                .inspect_err(|_| self.run.within(|| self.run.step(table + 1)))?;
            stack.raw_set(table);
        }
        self.run.leave();
        Ok(())
    }
}

/// Reads an object's key and pushes it, as text.
struct Key<'a> {
    run: &'a Run,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: text or an integer")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        self.run.stack.push_text(key.as_bytes());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<(), E> {
        let mut digits = Digits::default();
        self.visit_str(digits.of(key.into()))
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<(), E> {
        let mut digits = Digits::default();
        self.visit_str(digits.of(key.into()))
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

const BYTES: &str =
    "raw bytes, and integers of 128 bits, have no JSON counterpart; pass text or an array";

fn too_large(value: u64) -> String {
    format!(
        "{value} is too large for a Lua integer (the largest is {})",
        i64::MAX
    )
}

const NOT_FINITE: &str = "NaN and infinities have no JSON counterpart";

/// Writes the value at a position of the stack. Nothing in this makes Lua values, so that Lua
/// raises no errors, and no table changes meanwhile.
struct Outgoing<'a> {
    run: &'a Run,
    at: c_int,
}

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        self.run.spend(VALUE_COST)?;
        match self.run.stack.item(self.at) {
            Item::Nil | Item::Null => sink.serialize_unit(),
            Item::Boolean(value) => sink.serialize_bool(value),
            Item::Integer(value) => sink.serialize_i64(value),
            Item::Number(value) if value.is_finite() => sink.serialize_f64(value),
            Item::Number(_) => Err(self.broken(NOT_FINITE)),
            Item::Text(text) => match str::from_utf8(text) {
                Ok(text) => {
                    self.run.spend(text.len())?;
                    sink.serialize_str(text)
                }
                Err(_) => Err(self.broken("the string is not valid UTF-8")),
            },
            Item::Table(address) => self.table(address, sink),
            Item::Other(kind) => Err(self.broken(format!("a {kind} has no JSON counterpart"))),
        }
    }
}

impl Outgoing<'_> {
    fn broken<E: serde::ser::Error>(&self, rule: impl Into<String>) -> E {
        self.fail(Cause::Rule(rule.into()))
    }

    fn fail<E: serde::ser::Error>(&self, cause: Cause) -> E {
        let _: de::value::Error = self.run.fail(cause);
        E::custom("see the fault")
    }

    fn table<S: Serializer>(&self, address: *const c_void, sink: S) -> Result<S::Ok, S::Error> {
        let shape = match self.run.entry(self.at) {
            Entry::Shape(shape) => Some(shape),
            Entry::None => None,
            Entry::View(viewed) => {
                let written = self.last().table(viewed, sink);
                self.run.stack.pop();
                return written;
            }
        };
        self.run.enter().map_err(|cause| self.fail(cause))?;
        if self.run.open.borrow().contains(&address) {
            return Err(self.broken("the table contains itself"));
        }
        self.run.open.borrow_mut().push(address);
        let keys = self.keys::<S::Error>(shape)?;
        let written = match keys.array_len() {
            Some(Ok(len)) => self.array(len, sink),
            Some(Err(rule)) => Err(self.broken(rule)),
            None => self.object(&keys, sink),
        };
        self.run.open.borrow_mut().pop();
        self.run.leave();
        written
    }

    /// Looks at all keys once, to tell arrays from objects and both from what is neither.
    fn keys<E: serde::ser::Error>(&self, shape: Option<Shape>) -> Result<Keys, E> {
        let Run { stack, .. } = *self.run;
        let mut keys = Keys {
            shape,
            ..Keys::default()
        };
        stack.push_nil();
        let key = stack.top();
        while stack.next(self.at) {
            stack.pop();
            keys.count += 1;
            match stack.item(key) {
                Item::Integer(index) => {
                    keys.integers += 1;
                    keys.largest = keys.largest.max(index);
                    keys.unpositive |= index < 1;
                }
                Item::Text(_) => {}
                other => {
                    return Err(self.broken(format!(
                        "a key is a {}; keys must be text or integers",
                        other.type_name()
                    )));
                }
            }
        }
        Ok(keys)
    }

    /// Writes the last value of the stack and takes it away.
    fn last<'a>(&'a self) -> Outgoing<'a> {
        Outgoing {
            run: self.run,
            at: self.run.stack.top(),
        }
    }

    fn array<S: Serializer>(&self, len: u64, sink: S) -> Result<S::Ok, S::Error> {
        let mut seq = sink.serialize_seq(usize::try_from(len).ok())?;
        for index in 1..=len {
            self.run.stack.raw_get_index(self.at, index);
            seq.serialize_element(&self.last())
                .inspect_err(|_| self.run.within(|| Step::Index(index)))?;
            self.run.stack.pop();
        }
        seq.end()
    }

    fn object<S: Serializer>(&self, keys: &Keys, sink: S) -> Result<S::Ok, S::Error> {
        // Only where both kinds of key occur can two of them be written the same way.
        let mixed = keys.integers > 0 && keys.integers < keys.count;
        // A hash set would ask WASI for entropy, which isn't there.
        let mut written = BTreeSet::new();
        let Run { stack, .. } = *self.run;
        self.run.spend(OBJECT_COST)?;
        let mut map = sink.serialize_map(Some(keys.count))?;
        stack.push_nil();
        let at = stack.top();
        while stack.next(self.at) {
            let mut digits = Digits::default();
            let key = match stack.item(at) {
                Item::Integer(index) => digits.of(index.into()),
                Item::Text(text) => match str::from_utf8(text) {
                    Ok(text) => text,
                    Err(_) => return Err(self.broken("a key is not valid UTF-8")),
                },
                _ => return Err(S::Error::custom("keys changed while they were read")),
            };
            if mixed && !written.insert(key.to_owned()) {
                return Err(self.broken(format!(
                    "the integer key {key} and the text key \"{key}\" would be the same"
                )));
            }
            self.run.spend(key.len())?;
            map.serialize_key(key)?;
            map.serialize_value(&self.last())
                .inspect_err(|_| self.run.within(|| Step::Key(key.to_owned())))?;
            stack.pop();
        }
        map.end()
    }
}

/// What the keys of a table are.
#[derive(Default)]
struct Keys {
    /// What it looked like as an array, if it came in as one or was marked.
    shape: Option<Shape>,
    count: usize,
    integers: usize,
    largest: i64,
    unpositive: bool,
}

impl Keys {
    /// The length of the array, if the table is one, or why it can't be written.
    fn array_len(&self) -> Option<Result<u64, String>> {
        if self.unpositive
            || self.integers < self.count
            || (self.count == 0 && self.shape.is_none())
        {
            return None;
        }
        let largest = self.largest.unsigned_abs();
        let count = self.count as u64;
        let shape = self.shape.unwrap_or_default();
        if largest > SPARSE_FROM && largest > count.saturating_mul(2) && largest > shape.len() {
            return Some(Err(format!(
                "the table is excessively sparse ({count} values, largest index {largest}); \
                 make its keys text, or fill it"
            )));
        }
        // As long as it came, unless the script moved its end: by taking away what stood last,
        // or by adding behind all that it had.
        let kept = (u64::from(shape.last)..=shape.len()).contains(&largest);
        Some(Ok(if kept { shape.len() } else { largest }))
    }
}
