//! The arguments of a host function, as its Rust type asks for them.

use serde::de::value::Error;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::loose::Loose;

/// A list of arguments: what Lua leaves out at the end of a tuple is null, as it is nil in Lua.
pub(super) struct Arguments<'de>(pub(super) Vec<Loose<'de>>);

impl<'de> Arguments<'de> {
    fn at_least(mut self, len: usize) -> Loose<'de> {
        let len = len.max(self.0.len());
        self.0.resize(len, Loose::Null);
        Loose::Array(self.0)
    }
}

impl<'de> Deserializer<'de> for Arguments<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Loose::Array(self.0).deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.at_least(len).deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.at_least(len).deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq map struct enum identifier ignored_any
    }
}
