//! What a node gave back, with numbers in it for values that it was passed: see
//! [`sharing`](super::sharing).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::codec::{Extension, NOT_UTF8};
use crate::wire::{MAX_DEPTH, Numbered};
use crate::workflow::json::Json;

/// What came back, with numbers for what the node was passed.
#[derive(Debug)]
pub(crate) struct Answer(Item);

impl Answer {
    /// The value, if there is no number in it.
    pub(super) fn into_plain(self) -> Result<Value, Answer> {
        match self.0 {
            Item::Plain(value) => Ok(value),
            item => Err(Answer(item)),
        }
    }

    /// The value, with what numbers stand for in their place: first `held`, what the instance had before, then
    /// `numbered`.
    ///
    /// # Errors
    /// If a number stands for nothing, or something would be nested too deeply.
    pub(super) fn resolve(self, held: &[Json], numbered: &[Json]) -> Result<Json, String> {
        let known = Known {
            held,
            numbered,
            depths: RefCell::default(),
        };
        known.resolve(self.0, MAX_DEPTH)
    }
}

impl From<Value> for Answer {
    /// In which there is no number.
    fn from(value: Value) -> Answer {
        Answer(Item::Plain(value))
    }
}

/// Something that was read.
#[derive(Debug)]
enum Item {
    /// There is no number in it.
    Plain(Value),
    Number(u32),
    List(Vec<Item>),
    Object(Vec<(String, Item)>),
}

/// What numbers stand for.
struct Known<'p> {
    /// What the instance held before, whose numbers come first.
    held: &'p [Json],
    numbered: &'p [Json],
    /// How deeply each is nested, by where it lies, once that was asked for.
    depths: RefCell<HashMap<*const (), usize>>,
}

impl Known<'_> {
    /// The value, which may be nested so deeply.
    fn resolve(&self, item: Item, depth_left: usize) -> Result<Json, String> {
        let inside = || depth_left.checked_sub(1).ok_or_else(too_deep);
        match item {
            Item::Plain(value) => Ok(value.into()),
            Item::Number(number) => {
                let (json, depth) = self.get(number)?;
                (depth <= depth_left)
                    .then(|| json.clone())
                    .ok_or_else(too_deep)
            }
            Item::List(items) => {
                let inside = inside()?;
                let items = items.into_iter();
                let items: Result<Vec<_>, _> =
                    items.map(|item| self.resolve(item, inside)).collect();
                Ok(Json::List(items?.into()))
            }
            Item::Object(members) => {
                let inside = inside()?;
                let members = members.into_iter();
                let members: Result<Vec<_>, String> = members
                    .map(|(key, item)| Ok((Arc::from(key), self.resolve(item, inside)?)))
                    .collect();
                Ok(Json::object(members?))
            }
        }
    }

    fn get(&self, number: u32) -> Result<(&Json, usize), String> {
        let lost = || format!("result: the number {number} stands for no value");
        let index = usize::try_from(number)
            .ok()
            .and_then(|it| it.checked_sub(1));
        let index = index.ok_or_else(lost)?;
        let json = match index.checked_sub(self.held.len()) {
            None => &self.held[index],
            Some(index) => self.numbered.get(index).ok_or_else(lost)?,
        };
        Ok((json, json.depth(&mut self.depths.borrow_mut())))
    }
}

fn too_deep() -> String {
    format!("result: it is nested more deeply than {MAX_DEPTH} levels")
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Answer, D::Error> {
        let read = Read {
            has_numbers: &Cell::new(false),
        };
        read.deserialize(source).map(Answer)
    }
}

/// Reads a value in which there may be numbers.
#[derive(Clone, Copy)]
struct Read<'r> {
    /// Whether one has been met.
    has_numbers: &'r Cell<bool>,
}

impl Read<'_> {
    /// Reads what is inside of the value, and says whether there are numbers in that.
    fn inside<T>(self, read: impl FnOnce(Read<'_>) -> T) -> (T, bool) {
        let has_numbers = Cell::new(false);
        let result = read(Read {
            has_numbers: &has_numbers,
        });
        self.has_numbers
            .set(self.has_numbers.get() | has_numbers.get());
        (result, has_numbers.get())
    }
}

impl Item {
    /// The value, where there are no numbers in it.
    fn into_plain(self) -> Value {
        match self {
            Item::Plain(value) => value,
            Item::Number(_) => Value::Null,
            Item::List(items) => items.into_iter().map(Item::into_plain).collect(),
            Item::Object(members) => {
                let members = members.into_iter();
                Value::Object(
                    members
                        .map(|(key, item)| (key, item.into_plain()))
                        .collect(),
                )
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Item, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Item, E> {
        Ok(Item::Plain(Value::Null))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Item, E> {
        let number = Number::from_f64(value);
        Ok(Item::Plain(number.map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Item, E> {
        Ok(Item::Plain(value.into()))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Item, E> {
        Err(E::custom(NOT_UTF8))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, source: D) -> Result<Item, D::Error> {
        match Extension::deserialize(source)?.numbered() {
            Some(Numbered::Reference(number)) => {
                self.has_numbers.set(true);
                Ok(Item::Number(number))
            }
            _ => Err(de::Error::custom("an extension that there is not")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
        let (read, has_numbers) = self.inside(|inside| {
            let mut read = Vec::new();
            while let Some(item) = items.next_element_seed(inside)? {
                read.push(item);
            }
            Ok(Item::List(read))
        });
        let read: Item = read?;
        Ok(match has_numbers {
            true => read,
            false => Item::Plain(read.into_plain()),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Item, A::Error> {
        let (read, has_numbers) = self.inside(|inside| {
            let mut read = Vec::new();
            while let Some(key) = entries.next_key()? {
                read.push((key, entries.next_value_seed(inside)?));
            }
            Ok(Item::Object(read))
        });
        let read: Item = read?;
        Ok(match has_numbers {
            true => read,
            false => Item::Plain(read.into_plain()),
        })
    }
}
