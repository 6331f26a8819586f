//! Writing values: one walk for every format that serde knows.

use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::str;

use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Serialize, de};

use super::book::{Entry, Shape};
use super::kept::Lists;
use super::run::{Cause, Run};
use super::sink::Digits;
use crate::number::NOT_FINITE;
use crate::path::Step;
use crate::raw::stack::Item;
use crate::wire::{Numbered, OBJECT_COST, VALUE_COST};

/// A table counts as excessively sparse when its largest index is above this and above twice
/// the number of its values (lua-cjson's rule).
const SPARSE_FROM: u64 = 10;

/// Why a string is not written as text.
const NOT_UTF8: &str = "the string is not valid UTF-8";

/// Writes the value at a position of the stack. Nothing in this makes Lua values, so that Lua
/// raises no errors, and no table changes meanwhile.
pub(super) struct Outgoing<'a> {
    pub(super) run: &'a Run,
    pub(super) at: c_int,
}

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        match self.numbered() {
            None => self.in_full(sink),
            Some(number) => {
                self.run.spend(VALUE_COST)?;
                Numbered::Reference(number).serialize(sink)
            }
        }
    }
}

/// What is written for each level of a value takes room on the stack: whatever isn't under way while the next
/// level is written is a call of its own.
impl Outgoing<'_> {
    /// The number that the value came in under, if it did and is as it came.
    #[inline(never)]
    fn numbered(&self) -> Option<u32> {
        let lists = self.run.lists?;
        let stack = self.run.stack;
        match stack.item(self.at) {
            Item::Text(text) if text.len() >= Numbered::LONG => {
                stack.push_copy(self.at);
                self.last_number(lists)
            }
            Item::Table(table) => {
                // In an original that is written itself there are others.
                let original = match stack.is_original(table) {
                    true => table,
                    false => stack.origin(table)?,
                };
                stack.push_at(original);
                let number = self.last_number(lists)?;
                // Where it would be nested too deeply, writing it finds that out, and says where.
                let is_same = self.run.depth_of(lists, number) <= self.run.depth_left.get()
                    && (table == original
                        || table == self.run.unchanged.get()
                        || stack.is_unchanged(table, original));
                if is_same {
                    self.run.unchanged.set(table);
                }
                is_same.then_some(number)
            }
            _ => None,
        }
    }

    /// The number of the last value, which is taken away.
    fn last_number(&self, lists: Lists) -> Option<u32> {
        let stack = self.run.stack;
        if lists.kept > 0 {
            stack.push_copy(stack.top());
            let number = self.last_number(lists.behind());
            if number.is_some() {
                stack.pop();
                return number;
            }
        }
        stack.raw_get(lists.numbers);
        let number = match stack.item(stack.top()) {
            Item::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        stack.pop();
        number
    }

    fn in_full<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
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
                Err(_) if self.run.bytes_pass => {
                    self.run.spend(text.len())?;
                    sink.serialize_bytes(text)
                }
                Err(_) => Err(self.broken(NOT_UTF8)),
            },
            Item::Table(address) => self.table(address, sink),
            Item::Other(kind) => Err(self.foreign(kind)),
        }
    }

    #[cold]
    #[inline(never)]
    fn broken<E: serde::ser::Error>(&self, rule: impl Into<String>) -> E {
        self.fail(Cause::Rule(rule.into()))
    }

    fn fail<E: serde::ser::Error>(&self, cause: Cause) -> E {
        let _: de::value::Error = self.run.fail(cause);
        E::custom("see the fault")
    }

    fn table<S: Serializer>(&self, address: *const c_void, sink: S) -> Result<S::Ok, S::Error> {
        let entry = self.run.entry(self.at);
        if let Entry::View(viewed) = entry {
            let written = self.last().table(viewed, sink);
            self.run.stack.pop();
            return written;
        }
        self.run.enter().map_err(|cause| self.fail(cause))?;
        if self.run.open.borrow().contains(&address) {
            return Err(self.broken("the table contains itself"));
        }
        self.run.open.borrow_mut().push(address);
        let keys = self.keys::<S::Error>(&entry)?;
        let written = match keys.array_len() {
            Some(Ok(len)) => self.array(len, sink),
            Some(Err(rule)) => Err(self.broken(rule)),
            None => self.object(&keys, sink),
        };
        if keys.nulls.is_some() {
            self.run.stack.pop();
        }
        self.run.open.borrow_mut().pop();
        self.run.leave();
        written
    }

    /// What is said of two keys that would be written as `key`.
    #[cold]
    #[inline(never)]
    fn clash<E: serde::ser::Error>(&self, key: &str) -> E {
        self.broken(format!(
            "the integer key {key} and the text key \"{key}\" would be the same"
        ))
    }

    /// What is said of a value that has no counterpart.
    #[cold]
    #[inline(never)]
    fn foreign<E: serde::ser::Error>(&self, kind: &str) -> E {
        self.broken(format!("a {kind} has no JSON counterpart"))
    }

    /// Looks at all keys once, to tell arrays from objects and both from what is neither.
    #[inline(never)]
    fn keys<E: serde::ser::Error>(&self, entry: &Entry) -> Result<Keys, E> {
        let Run { stack, .. } = *self.run;
        let mut keys = Keys::default();
        match *entry {
            Entry::Shape(shape) => keys.shape = Some(shape),
            Entry::Nulls(list) => keys.nulls = Some(list),
            Entry::View(_) | Entry::None => {}
        }
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
        let mut nulls = 0;
        self.each_null(keys, |_| {
            nulls += 1;
            Ok::<_, S::Error>(())
        })?;
        let mut map = sink.serialize_map(Some(keys.count + nulls))?;
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
                return Err(self.clash(key));
            }
            self.run.spend(key.len())?;
            map.serialize_key(key)?;
            map.serialize_value(&self.last())
                .inspect_err(|_| self.run.within(|| Step::Key(key.to_owned())))?;
            stack.pop();
        }
        self.each_null(keys, |key| {
            self.run.spend(VALUE_COST + key.len())?;
            map.serialize_entry(key, &())
        })?;
        map.end()
    }

    /// Does `each` with the keys that were null when the table came in, and are nil still.
    #[inline(never)]
    fn each_null<E>(
        &self,
        keys: &Keys,
        mut each: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let Run { stack, .. } = *self.run;
        let Some(list) = keys.nulls else {
            return Ok(());
        };
        for index in 1..=stack.len(list) {
            stack.raw_get_index(list, index);
            let key = stack.top();
            stack.push_copy(key);
            stack.raw_get(self.at);
            // Those that came in are text. An integer key may be written the same way.
            if stack.last_is_nil()
                && let Item::Text(text) = stack.item(key)
                && let Ok(text) = str::from_utf8(text)
                && !(keys.integers > 0 && self.has_integer(text))
            {
                each(text)?;
            }
            stack.pop();
            stack.pop();
        }
        Ok(())
    }

    /// Whether the table has an integer key that is written as `text`.
    fn has_integer(&self, text: &str) -> bool {
        let Run { stack, .. } = *self.run;
        let Ok(index) = text.parse::<i64>() else {
            return false;
        };
        if Digits::default().of(index.into()) != text {
            return false;
        }
        stack.raw_get_index(self.at, index.cast_unsigned());
        let found = !stack.last_is_nil();
        stack.pop();
        found
    }
}

/// What the keys of a table are.
#[derive(Default)]
struct Keys {
    /// What it looked like as an array, if it came in as one or was marked.
    shape: Option<Shape>,
    /// Where the list of its keys lies that were null, if it came in as an object with such.
    nulls: Option<c_int>,
    count: usize,
    integers: usize,
    largest: i64,
    unpositive: bool,
}

impl Keys {
    /// The length of the array, if the table is one, or why it can't be written.
    #[inline(never)]
    fn array_len(&self) -> Option<Result<u64, String>> {
        if self.unpositive
            || self.integers < self.count
            || self.nulls.is_some()
            || (self.count == 0 && self.shape.is_none())
        {
            return None;
        }
        let largest = self.largest.unsigned_abs();
        let count = self.count as u64;
        let shape = self.shape.unwrap_or_default();
        if largest > SPARSE_FROM && largest > count.saturating_mul(2) && largest > shape.len() {
            return Some(Err(format!(
                "as a list the table is excessively sparse ({count} values, largest index \
                 {largest}); keys that are text, such as `t[tostring(id)]`, make it a mapping"
            )));
        }
        // As long as it came, unless the script moved its end: by taking away what stood last,
        // or by adding behind all that it had.
        let kept = (u64::from(shape.last)..=shape.len()).contains(&largest);
        Some(Ok(if kept { shape.len() } else { largest }))
    }
}
