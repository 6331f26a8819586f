//! Writing the keys of objects: text, as JSON has them.

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};

use super::unwritable::{Unwritable, Written, write_text};

/// Appends the key of an object: its text.
pub(super) struct KeyEncoder<'a>(pub(super) &'a mut Vec<u8>);

const KEY: &str = "a key has to be text or an integer";

impl Serializer for KeyEncoder<'_> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Impossible<(), Unwritable>;
    type SerializeTuple = Impossible<(), Unwritable>;
    type SerializeTupleStruct = Impossible<(), Unwritable>;
    type SerializeTupleVariant = Impossible<(), Unwritable>;
    type SerializeMap = Impossible<(), Unwritable>;
    type SerializeStruct = Impossible<(), Unwritable>;
    type SerializeStructVariant = Impossible<(), Unwritable>;

    fn serialize_bool(self, _: bool) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_i8(self, key: i8) -> Written {
        self.collect_str(&key)
    }

    fn serialize_i16(self, key: i16) -> Written {
        self.collect_str(&key)
    }

    fn serialize_i32(self, key: i32) -> Written {
        self.collect_str(&key)
    }

    fn serialize_i64(self, key: i64) -> Written {
        self.collect_str(&key)
    }

    fn serialize_i128(self, key: i128) -> Written {
        self.collect_str(&key)
    }

    fn serialize_u8(self, key: u8) -> Written {
        self.collect_str(&key)
    }

    fn serialize_u16(self, key: u16) -> Written {
        self.collect_str(&key)
    }

    fn serialize_u32(self, key: u32) -> Written {
        self.collect_str(&key)
    }

    fn serialize_u64(self, key: u64) -> Written {
        self.collect_str(&key)
    }

    fn serialize_u128(self, key: u128) -> Written {
        self.collect_str(&key)
    }

    fn serialize_f32(self, _: f32) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_f64(self, _: f64) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_char(self, key: char) -> Written {
        self.serialize_str(key.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, key: &str) -> Written {
        write_text(self.0, key)
    }

    fn serialize_bytes(self, _: &[u8]) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_none(self) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Written {
        key.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, key: &T) -> Written {
        key.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_seq(self, _: Option<usize>) -> Written<Self::SerializeSeq> {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_tuple(self, _: usize) -> Written<Self::SerializeTuple> {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeTupleStruct> {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeTupleVariant> {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_map(self, _: Option<usize>) -> Written<Self::SerializeMap> {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Written<Self::SerializeStruct> {
        Err(ser::Error::custom(KEY))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeStructVariant> {
        Err(ser::Error::custom(KEY))
    }
}
