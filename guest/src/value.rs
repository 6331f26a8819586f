//! Values between Lua and the wire, by the rules of JSON; every error names the place.
//!
//! One walk in each direction serves every format that serde knows: MessagePack for what
//! passes between host and guest, JSON for the scripts' own `json.encode` and `json.decode`.
//!
//! A table that came from an array must go back as one, even when it is empty by then, and
//! with the nulls at its end that Lua can't hold. Metatables belong to the scripts, so that
//! is remembered beside the tables, in a table with weak keys.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::fmt;
use std::io;

use mlua::{Lua, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Serialize, de};

use crate::failure::{Failure, FailureKind};
use crate::path::{Path, Step};
use crate::wire::{MAX_DEPTH, OBJECT_COST, VALUE_COST};

/// How many arguments a call may have between host and guest, either way. Each takes a place
/// on a stack for which no error can be raised.
pub(crate) const MAX_ARGUMENTS: usize = 250;

/// Tables are made with room for at most this many entries, whatever a length claims.
const MAX_RESERVED: usize = 4096;

/// A table counts as excessively sparse when its largest index is above this and above twice
/// the number of its values (lua-cjson's rule).
const SPARSE_FROM: u64 = 10;

/// Converts values, and remembers which tables are arrays.
pub struct Values {
    lua: Lua,
    /// Weak keys: tables that came from an array; values: [`Shape`]s as integers.
    arrays: Table,
    /// How deeply values may be nested.
    max_depth: Cell<usize>,
}

/// One conversion under way. Each has its own: making Lua values may collect garbage, and a
/// finalizer of the script may convert values in the middle of it.
struct Run<'a> {
    lua: &'a Lua,
    arrays: &'a Table,
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
    /// Lua itself failed, for want of memory as a rule.
    Lua(mlua::Error),
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
        let arrays = lua.create_table()?;
        let weak = lua.create_table_from([("__mode", "k")])?;
        arrays.set_metatable(Some(weak))?;
        Ok(Values {
            lua: lua.clone(),
            arrays,
            max_depth: Cell::new(MAX_DEPTH),
        })
    }

    /// Sets how deeply values may be nested from now on: [`MAX_DEPTH`] at the most.
    pub fn set_max_depth(&self, depth: usize) {
        self.max_depth.set(depth.min(MAX_DEPTH));
    }

    /// Marks `table` as an array, so that it stays one when it is empty.
    ///
    /// # Errors
    ///
    /// When Lua has no memory left.
    pub fn mark_array(&self, table: &Table) -> mlua::Result<()> {
        self.remember(table, Shape::default())
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

    /// Reads one value. `root` is what its path starts with in error messages.
    ///
    /// # Errors
    ///
    /// `Value` when it can't be a Lua value, `Memory` when Lua has no room for it.
    pub fn read<'de, D: Deserializer<'de>>(&self, source: D, root: &str) -> Result<Value, Failure> {
        let run = self.run(usize::MAX);
        Incoming { run: &run }
            .deserialize(source)
            .map_err(|error| run.failure(root, &error))
    }

    /// Reads an array as one Lua value an element; null is an empty one.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and when there are more than a call may have.
    pub fn read_each<'de, D: Deserializer<'de>>(
        &self,
        source: D,
        root: &str,
    ) -> Result<Vec<Value>, Failure> {
        let run = self.run(usize::MAX);
        source
            .deserialize_any(EachElement { run: &run })
            .map_err(|error| run.failure(root, &error))
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
        let mut sink = Sink::new(out);
        let mut serializer = rmp_serde::Serializer::new(&mut sink);
        let result = self.write(value, root, max, &mut serializer);
        sink.check().and(result)
    }

    /// Writes `value` as JSON text.
    ///
    /// # Errors
    ///
    /// As [`write_msgpack`](Self::write_msgpack).
    pub fn write_json(&self, value: &Value, root: &str, max: usize) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let mut sink = Sink::new(&mut out);
        let mut serializer = serde_json::Serializer::new(&mut sink);
        let result = self.write(value, root, max, &mut serializer);
        sink.check().and(result)?;
        Ok(out)
    }

    fn write<S: Serializer>(
        &self,
        value: &Value,
        root: &str,
        max: usize,
        sink: S,
    ) -> Result<(), Failure> {
        let run = self.run(max);
        let outgoing = Outgoing { run: &run, value };
        match outgoing.serialize(sink) {
            Ok(_) => Ok(()),
            Err(error) => Err(run.failure(root, &error)),
        }
    }

    fn run(&self, budget: usize) -> Run<'_> {
        Run {
            lua: &self.lua,
            arrays: &self.arrays,
            fault: RefCell::default(),
            open: RefCell::default(),
            depth_left: Cell::new(self.max_depth.get()),
            max_depth: self.max_depth.get(),
            budget: Cell::new(budget),
        }
    }

    fn remember(&self, table: &Table, shape: Shape) -> mlua::Result<()> {
        self.arrays.raw_set(table, shape.pack())
    }
}

impl Run<'_> {
    /// The failure behind a serde error: ours with its place, or the format's own words.
    fn failure(&self, root: &str, error: &dyn fmt::Display) -> Failure {
        match self.fault.take() {
            Some(Fault { path, cause }) => match cause {
                Cause::Rule(rule) => {
                    let message = format!("{}: {rule}", path.display(root));
                    Failure::new(FailureKind::Value, message)
                }
                Cause::Lua(error) => Failure::from(error),
            },
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

    fn remember(&self, table: &Table, shape: Shape) -> mlua::Result<()> {
        self.arrays.raw_set(table, shape.pack())
    }

    fn shape(&self, table: &Table) -> mlua::Result<Option<Shape>> {
        Ok(self
            .arrays
            .raw_get::<Option<i64>>(table)?
            .map(Shape::unpack))
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

/// Reads one value into Lua.
struct Incoming<'a> {
    run: &'a Run<'a>,
}

impl<'a> Incoming<'a> {
    fn lua<E: de::Error, T>(&self, result: mlua::Result<T>) -> Result<T, E> {
        result.map_err(|error| self.run.fail(Cause::Lua(error)))
    }

    fn enter<E: de::Error>(&self) -> Result<Level<'a>, E> {
        Level::enter(&self.run.depth_left).ok_or_else(|| self.run.broken(self.run.too_deep()))
    }
}

/// One level of nesting, left when dropped.
struct Level<'a>(&'a Cell<usize>);

impl<'a> Level<'a> {
    fn enter(left: &'a Cell<usize>) -> Option<Self> {
        left.set(left.get().checked_sub(1)?);
        Some(Level(left))
    }
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl<'de> DeserializeSeed<'de> for Incoming<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Incoming<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Integer).map_err(|_| {
            self.run.broken(format!(
                "{value} is too large for a Lua integer (the largest is {})",
                i64::MAX
            ))
        })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if value.is_finite() {
            Ok(Value::Number(value))
        } else {
            Err(self.run.broken(NOT_FINITE))
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.lua(self.run.lua.create_string(value))
            .map(Value::String)
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Value, E> {
        Err(self
            .run
            .broken("raw bytes have no JSON counterpart; pass text or an array"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let _level = self.enter()?;
        let capacity = items.size_hint().unwrap_or(0).min(MAX_RESERVED);
        let table = self.lua(self.run.lua.create_table_with_capacity(capacity, 0))?;
        let (mut len, mut last) = (0_u64, 0_u64);
        loop {
            let item = items
                .next_element_seed(Incoming { run: self.run })
                .inspect_err(|_| self.run.within(|| Step::Index(len + 1)))?;
            let Some(item) = item else { break };
            len += 1;
            if !item.is_nil() {
                last = len;
                self.lua(table.raw_set(len, item))?;
            }
        }
        self.lua(self.run.remember(&table, Shape::of(len, last)))?;
        Ok(Value::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let _level = self.enter()?;
        let capacity = entries.size_hint().unwrap_or(0).min(MAX_RESERVED);
        let table = self.lua(self.run.lua.create_table_with_capacity(0, capacity))?;
        while let Some(key) = entries.next_key_seed(Key { run: self.run })? {
            let value = entries
                .next_value_seed(Incoming { run: self.run })
                .inspect_err(|_| self.run.within(|| Step::Key(key.to_string_lossy())))?;
            self.lua(table.raw_set(key, value))?;
        }
        Ok(Value::Table(table))
    }
}

/// Reads an object's key, as text.
struct Key<'a> {
    run: &'a Run<'a>,
}

impl Key<'_> {
    fn text<E: de::Error>(&self, text: &str) -> Result<mlua::LuaString, E> {
        let made = self.run.lua.create_string(text);
        made.map_err(|error| self.run.fail(Cause::Lua(error)))
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = mlua::LuaString;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = mlua::LuaString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key: text or an integer")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        self.text(key)
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<Self::Value, E> {
        self.text(&key.to_string())
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<Self::Value, E> {
        self.text(&key.to_string())
    }
}

/// Reads an array's elements as separate values.
struct EachElement<'a> {
    run: &'a Run<'a>,
}

impl<'de> Visitor<'de> for EachElement<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut each = Vec::with_capacity(items.size_hint().unwrap_or(0).min(MAX_RESERVED));
        let position = |each: &Vec<Value>| Step::Index(each.len() as u64 + 1);
        loop {
            let item = items
                .next_element_seed(Incoming { run: self.run })
                .inspect_err(|_| self.run.within(|| position(&each)))?;
            match item {
                Some(_) if each.len() == MAX_ARGUMENTS => {
                    return Err(self.run.broken(format!(
                        "a function takes at most {MAX_ARGUMENTS} arguments; pass one table"
                    )));
                }
                Some(item) => each.push(item),
                None => return Ok(each),
            }
        }
    }
}

const TOO_LARGE: &str = "from here on the value is larger than what may pass in one piece";

const NOT_FINITE: &str = "NaN and infinities have no JSON counterpart";

/// Writes one Lua value.
struct Outgoing<'a> {
    run: &'a Run<'a>,
    value: &'a Value,
}

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        self.run.spend(VALUE_COST)?;
        match self.value {
            Value::Nil => sink.serialize_unit(),
            value if value.is_null() => sink.serialize_unit(),
            Value::Boolean(value) => sink.serialize_bool(*value),
            Value::Integer(value) => sink.serialize_i64(*value),
            Value::Number(value) if value.is_finite() => sink.serialize_f64(*value),
            Value::Number(_) => Err(self.broken(NOT_FINITE)),
            Value::String(text) => match text.to_str() {
                Ok(text) => {
                    self.run.spend(text.len())?;
                    sink.serialize_str(&text)
                }
                Err(_) => Err(self.broken("the string is not valid UTF-8")),
            },
            Value::Table(table) => self.table(table, sink),
            other => Err(self.broken(format!("a {} has no JSON counterpart", other.type_name()))),
        }
    }
}

impl Outgoing<'_> {
    fn broken<E: serde::ser::Error>(&self, rule: impl Into<String>) -> E {
        let _: de::value::Error = self.run.broken(rule);
        E::custom("see the fault")
    }

    fn lua<E: serde::ser::Error, T>(&self, result: mlua::Result<T>) -> Result<T, E> {
        result.map_err(|error| {
            let _: de::value::Error = self.run.fail(Cause::Lua(error));
            E::custom("see the fault")
        })
    }

    fn table<S: Serializer>(&self, table: &Table, sink: S) -> Result<S::Ok, S::Error> {
        let Some(_level) = Level::enter(&self.run.depth_left) else {
            return Err(self.broken(self.run.too_deep()));
        };
        let address = table.to_pointer();
        if self.run.open.borrow().contains(&address) {
            return Err(self.broken("the table contains itself"));
        }
        self.run.open.borrow_mut().push(address);
        let keys = self.keys::<S::Error>(table)?;
        let written = match keys.array_len() {
            Some(Ok(len)) => self.array(table, len, sink),
            Some(Err(rule)) => Err(self.broken(rule)),
            None => self.object(table, &keys, sink),
        };
        self.run.open.borrow_mut().pop();
        written
    }

    /// Looks at all keys once, to tell arrays from objects and both from what is neither.
    fn keys<E: serde::ser::Error>(&self, table: &Table) -> Result<Keys, E> {
        let mut keys = Keys {
            shape: self.lua(self.run.shape(table))?,
            ..Keys::default()
        };
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = self.lua(pair)?;
            keys.count += 1;
            match key {
                Value::Integer(index) => {
                    keys.integers += 1;
                    keys.largest = keys.largest.max(index);
                    keys.unpositive |= index < 1;
                }
                Value::String(_) => {}
                other => {
                    drop(value);
                    return Err(self.broken(format!(
                        "a key is a {}; keys must be text or integers",
                        other.type_name()
                    )));
                }
            }
        }
        Ok(keys)
    }

    fn array<S: Serializer>(&self, table: &Table, len: u64, sink: S) -> Result<S::Ok, S::Error> {
        let mut seq = sink.serialize_seq(usize::try_from(len).ok())?;
        for index in 1..=len {
            let value: Value = self.lua(table.raw_get(index))?;
            let item = Outgoing {
                run: self.run,
                value: &value,
            };
            seq.serialize_element(&item)
                .inspect_err(|_| self.run.within(|| Step::Index(index)))?;
        }
        seq.end()
    }

    fn object<S: Serializer>(
        &self,
        table: &Table,
        keys: &Keys,
        sink: S,
    ) -> Result<S::Ok, S::Error> {
        // Only where both kinds of key occur can two of them be written the same way.
        let mixed = keys.integers > 0 && keys.integers < keys.count;
        // A hash set would ask WASI for entropy, which isn't there.
        let mut written = BTreeSet::new();
        self.run.spend(OBJECT_COST)?;
        let mut map = sink.serialize_map(Some(keys.count))?;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = self.lua(pair)?;
            let key = match &key {
                Value::Integer(index) => index.to_string(),
                Value::String(text) => match text.to_str() {
                    Ok(text) => text.to_owned(),
                    Err(_) => return Err(self.broken("a key is not valid UTF-8")),
                },
                _ => return Err(S::Error::custom("keys changed while they were read")),
            };
            if mixed && !written.insert(key.clone()) {
                return Err(self.broken(format!(
                    "the integer key {key} and the text key \"{key}\" would be the same"
                )));
            }
            self.run.spend(key.len())?;
            map.serialize_key(&key)?;
            let item = Outgoing {
                run: self.run,
                value: &value,
            };
            map.serialize_value(&item)
                .inspect_err(|_| self.run.within(|| Step::Key(key)))?;
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
