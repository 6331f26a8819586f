//! Bytes, which a format writes as such rather than as a list of numbers.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// Some bytes, on their own or shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes<B = Vec<u8>>(pub(crate) B);

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.to_vec())
    }
}

impl<B: AsRef<[u8]>> Serialize for Bytes<B> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0.as_ref())
    }
}

impl<'de, B: From<Vec<u8>>> Deserialize<'de> for Bytes<B> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bytes<B>, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }

            // What has no bytes of its own, as JSON, makes a list of them.
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }

        from.deserialize_byte_buf(Read)
            .map(|bytes| Bytes(bytes.into()))
    }
}
