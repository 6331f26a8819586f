//! Reading a value into a Rust type as JSON and Lua would have it, where that is no plain match.
//!
//! Lua has one kind of number and one of table: a float with an integer's value passes for an integer, and
//! an empty table for a sequence. A string is text where it is UTF-8, and bytes where these are
//! asked for. Keys are text, and are read as the numbers that a map may be keyed with.

use std::fmt;

use super::extension::Extension;
use serde::Deserialize;
use serde::de::value::{Error, MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

/// Any value, as it is on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Loose<'de> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// An integer beyond those, which no guest of ours sends.
    Large(u64),
    Number(f64),
    Text(&'de str),
    /// A string that isn't UTF-8.
    Bytes(&'de [u8]),
    Array(Vec<Loose<'de>>),
    Object(Vec<(&'de str, Loose<'de>)>),
}

/// The integer that a float is the value of, if it is that of one.
pub(crate) fn integer_of(number: f64) -> Option<i64> {
    /// The first float that is too large.
    const END: f64 = 9_223_372_036_854_775_808.0;

    let fits = number.fract() == 0.0 && (-END..END).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction, and fits"
    )]
    fits.then_some(number as i64)
}

/// Why a string is not read as text.
pub(crate) const NOT_UTF8: &str = "the string is not valid UTF-8";

impl<'de> Deserialize<'de> for Loose<'de> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Loose<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of Lua's")
            }

            fn visit_unit<E>(self) -> Result<Loose<'de>, E> {
                Ok(Loose::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Loose<'de>, E> {
                Ok(Loose::Boolean(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Loose<'de>, E> {
                Ok(Loose::Integer(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Loose<'de>, E> {
                Ok(i64::try_from(value).map_or(Loose::Large(value), Loose::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Loose<'de>, E> {
                Ok(Loose::Number(value))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Loose<'de>, E> {
                Ok(Loose::Text(value))
            }

            fn visit_borrowed_bytes<E>(self, value: &'de [u8]) -> Result<Loose<'de>, E> {
                Ok(Loose::Bytes(value))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                source: D,
            ) -> Result<Loose<'de>, D::Error> {
                // What it stands for is no matter of why the rest can't be read.
                Extension::deserialize(source).map(|_| Loose::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(Loose::Array(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Loose<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    all.push(entry);
                }
                Ok(Loose::Object(all))
            }
        }

        source.deserialize_any(Any)
    }
}

impl<'de> Loose<'de> {
    /// What is said of it where something else was asked for.
    fn unexpected(&self) -> Unexpected<'_> {
        match *self {
            Loose::Null => Unexpected::Unit,
            Loose::Boolean(value) => Unexpected::Bool(value),
            Loose::Integer(value) => Unexpected::Signed(value),
            Loose::Large(value) => Unexpected::Unsigned(value),
            Loose::Number(value) => Unexpected::Float(value),
            Loose::Text(text) => Unexpected::Str(text),
            Loose::Bytes(bytes) => Unexpected::Bytes(bytes),
            Loose::Array(_) => Unexpected::Seq,
            Loose::Object(_) => Unexpected::Map,
        }
    }

    /// Itself, or the integer that it is the value of.
    fn integral(self) -> Loose<'de> {
        match self {
            Loose::Number(value) => integer_of(value).map_or(self, Loose::Integer),
            other => other,
        }
    }
}

impl<'de> Deserializer<'de> for Loose<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Loose::Null => visitor.visit_unit(),
            Loose::Boolean(value) => visitor.visit_bool(value),
            Loose::Integer(value) => visitor.visit_i64(value),
            Loose::Large(value) => visitor.visit_u64(value),
            Loose::Number(value) => visitor.visit_f64(value),
            Loose::Text(text) => visitor.visit_borrowed_str(text),
            // Whatever takes no bytes takes no such string.
            Loose::Bytes(bytes) => visitor
                .visit_borrowed_bytes(bytes)
                .map_err(|_: Error| Error::custom(NOT_UTF8)),
            Loose::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter());
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Loose::Object(entries) => {
                let mut entries = map_of(entries);
                let value = visitor.visit_map(&mut entries)?;
                entries.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integral().deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Loose::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// An empty table is an empty sequence.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Loose::Object(entries) if entries.is_empty() => {
                Loose::Array(Vec::new()).deserialize_any(visitor)
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Loose::Text(variant) => visitor.visit_enum(variant.into_deserializer()),
            Loose::Object(entries) if entries.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(map_of(entries)))
            }
            other => Err(Error::invalid_type(
                other.unexpected(),
                &"an enum's variant",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct map struct identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Loose<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The entries of an object.
fn map_of<'de>(
    entries: Vec<(&'de str, Loose<'de>)>,
) -> MapDeserializer<'de, impl Iterator<Item = (Key<'de>, Loose<'de>)>, Error> {
    let entries = entries.into_iter();
    MapDeserializer::new(entries.map(|(key, value)| (Key(key), value)))
}

/// A key of an object.
#[derive(Clone, Copy)]
struct Key<'de>(&'de str);

impl<'de> IntoDeserializer<'de, Error> for Key<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Key<'de> {
    /// Reads it where a signed integer is asked for.
    fn signed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.parse() {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => visitor.visit_borrowed_str(self.0),
        }
    }

    /// Reads it where one without a sign is asked for.
    fn unsigned<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.parse() {
            Ok(number) => visitor.visit_u64(number),
            Err(_) => visitor.visit_borrowed_str(self.0),
        }
    }
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.parse() {
            Ok(value) => visitor.visit_bool(value),
            Err(_) => visitor.visit_borrowed_str(self.0),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.signed(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.signed(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.signed(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.signed(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unsigned(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unsigned(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unsigned(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.unsigned(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier ignored_any
    }
}
