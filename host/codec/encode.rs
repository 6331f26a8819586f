//! Writing Rust values as MessagePack, with the data model of JSON.
//!
//! Objects are maps with their fields' names, enums are as JSON has them, and types that have a form
//! for people use it. What Lua can't hold is an error that names its path, and nothing is passed.

use rmp::Marker;
use rmp::encode as write;
use serde::Serialize;
use serde::ser::{
    self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::key::KeyEncoder;
use super::number::{NOT_FINITE, too_large};
use super::path::Step;
use super::unwritable::{TAKES_ALL, Unwritable, Written, count, write_text};

/// Appends what it is given to a buffer.
pub(super) struct Encoder<'a>(pub(super) &'a mut Vec<u8>);

impl Encoder<'_> {
    fn again(&mut self) -> Encoder<'_> {
        Encoder(self.0)
    }
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Variant<Elements<'a>>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Entries<'a>;
    type SerializeStructVariant = Variant<Entries<'a>>;

    fn serialize_bool(self, value: bool) -> Written {
        write::write_bool(self.0, value).expect(TAKES_ALL);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Written {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Written {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Written {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Written {
        write::write_sint(self.0, value).expect(TAKES_ALL);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Written {
        match value.try_into() {
            Ok(value) => self.serialize_i64(value),
            Err(_) => Err(ser::Error::custom(too_large(value))),
        }
    }

    fn serialize_u8(self, value: u8) -> Written {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Written {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Written {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Written {
        match value.try_into() {
            Ok(value) => self.serialize_i64(value),
            Err(_) => Err(ser::Error::custom(too_large(value))),
        }
    }

    fn serialize_u128(self, value: u128) -> Written {
        match value.try_into() {
            Ok(value) => self.serialize_i64(value),
            Err(_) => Err(ser::Error::custom(too_large(value))),
        }
    }

    fn serialize_f32(self, value: f32) -> Written {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Written {
        if !value.is_finite() {
            return Err(ser::Error::custom(NOT_FINITE));
        }
        write::write_f64(self.0, value).expect(TAKES_ALL);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written {
        write_text(self.0, value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        write::write_bin_len(self.0, count(value.len())?).expect(TAKES_ALL);
        self.0.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Written {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        write::write_nil(self.0).expect(TAKES_ALL);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Written {
        if name == rmp_serde::MSGPACK_EXT_STRUCT_NAME {
            let written = rmp_serde::Serializer::new(self.0).serialize_newtype_struct(name, value);
            return written.map_err(ser::Error::custom);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Written {
        self.variant(variant)?;
        let written = value.serialize(self);
        written.map_err(|error| error.within(Step::Key(variant.to_owned())))
    }

    fn serialize_seq(self, len: Option<usize>) -> Written<Elements<'a>> {
        Ok(Elements {
            head: Head::new(self.0, Kind::Array, len)?,
            out: self.0,
            written: 0,
        })
    }

    fn serialize_tuple(self, len: usize) -> Written<Elements<'a>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Written<Elements<'a>> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Written<Variant<Elements<'a>>> {
        self.variant(variant)?;
        let inner = self.serialize_seq(Some(len))?;
        Ok(Variant { variant, inner })
    }

    fn serialize_map(self, len: Option<usize>) -> Written<Entries<'a>> {
        Ok(Entries {
            head: Head::new(self.0, Kind::Map, len)?,
            out: self.0,
            written: 0,
            key: 0,
        })
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Written<Entries<'a>> {
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Written<Variant<Entries<'a>>> {
        self.variant(variant)?;
        let inner = self.serialize_map(Some(len))?;
        Ok(Variant { variant, inner })
    }
}

impl Encoder<'_> {
    /// Begins an enum's variant that has content: an object with that name for its only key.
    fn variant(&mut self, variant: &'static str) -> Written {
        write::write_map_len(self.0, 1).expect(TAKES_ALL);
        self.again().serialize_str(variant)
    }
}

/// What an array or an object begins with.
enum Head {
    /// So many elements or entries were announced.
    Said(usize),
    /// There is room for their number here.
    Open(usize),
}

#[derive(Clone, Copy)]
enum Kind {
    Array,
    Map,
}

impl Head {
    fn new(out: &mut Vec<u8>, kind: Kind, len: Option<usize>) -> Written<Head> {
        let Some(len) = len else {
            let marker = match kind {
                Kind::Array => Marker::Array32,
                Kind::Map => Marker::Map32,
            };
            out.push(marker.to_u8());
            out.extend([0; 4]);
            return Ok(Head::Open(out.len() - 4));
        };
        match kind {
            Kind::Array => write::write_array_len(out, count(len)?),
            Kind::Map => write::write_map_len(out, count(len)?),
        }
        .expect(TAKES_ALL);
        Ok(Head::Said(len))
    }

    fn end(self, out: &mut [u8], written: usize) -> Written {
        match self {
            Head::Open(place) => {
                out[place..place + 4].copy_from_slice(&count(written)?.to_be_bytes());
                Ok(())
            }
            Head::Said(len) if len == written => Ok(()),
            Head::Said(len) => Err(ser::Error::custom(format_args!(
                "its `Serialize` announces {len} elements and gives {written}"
            ))),
        }
    }
}

/// The elements of an array.
pub(super) struct Elements<'a> {
    out: &'a mut Vec<u8>,
    head: Head,
    written: usize,
}

impl SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.written += 1;
        let written = value.serialize(Encoder(self.out));
        written.map_err(|error| error.within(Step::Index(self.written as u64)))
    }

    fn end(self) -> Written {
        self.head.end(self.out, self.written)
    }
}

impl SerializeTuple for Elements<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        SerializeSeq::end(self)
    }
}

impl SerializeTupleStruct for Elements<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written {
        SerializeSeq::end(self)
    }
}

/// The entries of an object.
pub(super) struct Entries<'a> {
    out: &'a mut Vec<u8>,
    head: Head,
    written: usize,
    /// Where the last key begins.
    key: usize,
}

impl Entries<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T, key: impl Fn(&[u8]) -> Step) -> Written {
        self.written += 1;
        let end = self.out.len();
        let written = value.serialize(Encoder(self.out));
        written.map_err(|error| error.within(key(&self.out[self.key..end])))
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.key = self.out.len();
        key.serialize(KeyEncoder(self.out))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        self.value(value, |encoded| {
            let key = rmp_serde::from_slice(encoded);
            Step::Key(key.unwrap_or_else(|_| "?".to_owned()))
        })
    }

    fn end(self) -> Written {
        self.head.end(self.out, self.written)
    }
}

impl SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        Encoder(self.out).serialize_str(key)?;
        self.value(value, |_| Step::Key(key.to_owned()))
    }

    fn end(self) -> Written {
        SerializeMap::end(self)
    }
}

/// An enum's variant, and what is in it.
pub(super) struct Variant<I> {
    variant: &'static str,
    inner: I,
}

impl<I> Variant<I> {
    fn within(&self, written: Written) -> Written {
        written.map_err(|error| error.within(Step::Key(self.variant.to_owned())))
    }
}

impl SerializeTupleVariant for Variant<Elements<'_>> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        let written = SerializeSeq::serialize_element(&mut self.inner, value);
        self.within(written)
    }

    fn end(self) -> Written {
        SerializeSeq::end(self.inner)
    }
}

impl SerializeStructVariant for Variant<Entries<'_>> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Written {
        let written = SerializeStruct::serialize_field(&mut self.inner, key, value);
        self.within(written)
    }

    fn end(self) -> Written {
        SerializeMap::end(self.inner)
    }
}
