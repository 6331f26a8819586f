//! Rust values as the wire carries them: MessagePack, with the data model of JSON.
//!
//! Objects are maps with their fields' names, and types that have a form for people use it,
//! as they do in JSON. What a Rust type asks for is read as Lua would have it: see `loose`.

mod arguments;
mod bytes;
mod encode;
mod extension;
mod key;
#[cfg(feature = "workflow")]
mod large;
mod loose;
#[cfg_attr(
    not(feature = "workflow"),
    expect(dead_code, reason = "workflows alone read JSON text")
)]
mod number;
mod path;
mod token;
mod unwritable;

use std::cell::Cell;
use std::fmt;

use rmp_serde::config::{DefaultConfig, HumanReadableConfig};
use rmp_serde::decode::ReadRefReader;
use serde::Serialize;
use serde::de::{
    self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde_path_to_error::Segment;

use self::arguments::Arguments;
pub(crate) use self::bytes::Bytes;
use self::encode::Encoder;
pub(crate) use self::extension::Extension;
#[cfg(feature = "workflow")]
pub(crate) use self::large::{large_integers, large_integers_of};
use self::loose::Loose;
#[cfg(feature = "workflow")]
pub(crate) use self::loose::{NOT_UTF8, integer_of};
#[cfg(feature = "workflow")]
pub(crate) use self::number::Large;
#[cfg(feature = "workflow")]
use self::number::large_numbers;
pub(crate) use self::path::{Path, Step};
pub(crate) use self::token::{Token, Tokens};
use crate::wire::{MAX_DEPTH, Numbered, OBJECT_COST, VALUE_COST};

/// Appends `value` to `out`.
///
/// # Errors
///
/// With the path to what Lua can't hold, starting from `root`, and why.
pub(crate) fn encode<T: Serialize + ?Sized>(
    root: &str,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    // A value may be nested as deeply as its type lets it: the guest refuses what is nested too
    // deeply, but it has to be written first, and this thread's stack ends somewhere.
    let written = value.serialize(serde_stacker::Serializer::new(Encoder(out)));
    written.map_err(|error| error.message(root))
}

/// Reads JSON text. `root` is what the path begins with to a number that Lua can't hold.
///
/// # Errors
///
/// When it is no JSON, or holds such a number.
#[cfg(feature = "workflow")]
pub(crate) fn from_json(root: &str, text: &str) -> Result<serde_json::Value, String> {
    let read = serde_json::from_str(text);
    // A parser gives the nearest float, or stops at those that have none.
    if let Some(large) = large_numbers(text.as_bytes()).next() {
        return Err(large.message(root));
    }
    read.map_err(|error| format!("not JSON: {error}"))
}

/// Why bytes from the guest were not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// They hold a value, but not one of the type that was asked for.
    #[error("{0}")]
    Mismatch(String),
    /// They hold no value, which the guest we built never lets happen.
    #[error("{0}")]
    Malformed(String),
}

/// Reads one value, which is nested no deeper than the guest lets any be, and costs no more
/// than `max`.
///
/// # Errors
///
/// With the path to what is not as `T` has it, starting from `root`.
pub(crate) fn decode<T: DeserializeOwned>(
    root: &str,
    bytes: &[u8],
    max: usize,
) -> Result<T, Unreadable> {
    let malformed = |error| Unreadable::Malformed(format!("{root}: {error}"));
    if !is_number(bytes) {
        weigh(bytes, max).map_err(malformed)?;
    }
    if let Ok(value) = read(bytes) {
        return Ok(value);
    }
    // The format is stricter than Lua, and its errors are about markers: a second look reads it,
    // or says why not.
    let value: Loose<'_> = read(bytes).map_err(malformed)?;
    serde_path_to_error::deserialize(value)
        .map_err(|error| mismatch(&lua_path(error.path()), root, error.inner()))
}

/// Reads the arguments of a call, an array, as [`decode`] reads a value.
///
/// A tuple takes them one by one; those that are left out at its end are null. A type that isn't
/// made from a list takes the only argument, and `()` none.
///
/// # Errors
///
/// As [`decode`], with the path to the argument.
pub(crate) fn decode_arguments<T: DeserializeOwned>(
    root: &str,
    bytes: &[u8],
    max: usize,
) -> Result<T, Unreadable> {
    let malformed = |error| Unreadable::Malformed(format!("{root}: {error}"));
    weigh(bytes, max).map_err(malformed)?;
    let only = match bytes {
        [NO_ITEMS] => Some(NULL),
        [ONE_ITEM, only @ ..] => Some(only),
        _ => None,
    };
    if let Some(value) = read(bytes).ok().or_else(|| read(only?).ok()) {
        return Ok(value);
    }
    let Loose::Array(items) = read(bytes).map_err(malformed)? else {
        return Err(Unreadable::Malformed(format!(
            "{root}: no list of arguments"
        )));
    };
    let only = match items.len() {
        0 => Some(Loose::Null),
        1 => items.first().cloned(),
        _ => None,
    };
    let as_list = match serde_path_to_error::deserialize(Arguments(items)) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let path = lua_path(as_list.path());
    match only.map(serde_path_to_error::deserialize) {
        Some(Ok(value)) => Ok(value),
        // No list is asked for.
        Some(Err(error)) if as_list.path().iter().next().is_none() => {
            let mut path = lua_path(error.path());
            path.within(Step::Index(1));
            Err(mismatch(&path, root, error.inner()))
        }
        _ => Err(mismatch(&path, root, as_list.inner())),
    }
}

/// MessagePack's empty array, the start of one with one item, and null.
const NO_ITEMS: u8 = 0x90;
const ONE_ITEM: u8 = 0x91;
const NULL: &[u8] = &[0xc0];

fn mismatch(path: &Path, root: &str, error: &impl fmt::Display) -> Unreadable {
    Unreadable::Mismatch(format!("{}: {error}", path.display(root)))
}

/// Whether what is encoded is a number: the lowest limit is more than what one costs.
fn is_number(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0..0x80 | 0xca..0xd4 | 0xe0..))
}

fn read<'de, T: de::Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, rmp_serde::decode::Error> {
    T::deserialize(&mut reader(bytes))
}

fn reader(
    bytes: &[u8],
) -> rmp_serde::Deserializer<ReadRefReader<'_, [u8]>, HumanReadableConfig<DefaultConfig>> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    // The format counts twice where a value is optional.
    reader.set_max_depth(2 * MAX_DEPTH + 2);
    reader
}

/// Refuses what no guest of ours would send: bytes that are no value, and values that cost
/// more than `max`. It allocates nothing, whatever the bytes claim.
fn weigh(bytes: &[u8], max: usize) -> Result<(), rmp_serde::decode::Error> {
    let left = Cell::new(max);
    Weigh(&left).deserialize(&mut reader(bytes))
}

/// Takes what it reads out of a budget.
struct Weigh<'a>(&'a Cell<usize>);

impl Weigh<'_> {
    fn spend<E: de::Error>(&self, cost: usize) -> Result<(), E> {
        match self.0.get().checked_sub(cost) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(E::custom(
                "the value is larger than what may pass in one piece",
            )),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Weigh<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        self.spend(VALUE_COST)?;
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weigh<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.spend(text.len())
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.spend(bytes.len())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        // Whether it stands for a value is seen by those who have given out numbers.
        match Extension::deserialize(source)?.numbered() {
            Some(Numbered::Reference(_)) => Ok(()),
            _ => Err(de::Error::custom("an extension that there is not")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Weigh(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.spend(OBJECT_COST)?;
        while entries.next_key_seed(WeighKey(self.0))?.is_some() {
            entries.next_value_seed(Weigh(self.0))?;
        }
        Ok(())
    }
}

/// The same for a key, which costs its text alone: what the guest lets out has to get in.
struct WeighKey<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for WeighKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_str(Weigh(self.0))
    }
}

/// A path as Lua would write it: positions count from 1.
fn lua_path(found: &serde_path_to_error::Path) -> Path {
    let mut path = Path::default();
    let steps: Vec<_> = found.iter().collect();
    for step in steps.into_iter().rev() {
        path.within(match step {
            Segment::Seq { index } => Step::Index(*index as u64 + 1),
            Segment::Map { key } => Step::Key(key.clone()),
            Segment::Enum { variant } => Step::Key(variant.clone()),
            Segment::Unknown => Step::Key("?".to_owned()),
        });
    }
    path
}
