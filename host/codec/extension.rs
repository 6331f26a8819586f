//! Extensions of MessagePack's, by which values that are shared are defined and referred to.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use crate::wire::Numbered;

/// An extension of MessagePack's.
pub(crate) struct Extension {
    kind: i8,
    number: Option<u32>,
}

impl Extension {
    /// What it says of values that are shared, if it is of that kind.
    pub(crate) fn numbered(&self) -> Option<Numbered> {
        Numbered::of(self.kind, self.number?)
    }
}

impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Extension, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Extension;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an extension")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Extension, A::Error> {
                let kind = parts.next_element()?;
                let number: Option<Number> = parts.next_element()?;
                Ok(Extension {
                    kind: kind.ok_or_else(|| de::Error::custom("it has no kind"))?,
                    number: number.and_then(|number| number.0),
                })
            }
        }

        source.deserialize_any(Parts)
    }
}

/// Four bytes, big-endian; nothing if there are more or fewer.
struct Number(Option<u32>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Number, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Number, E> {
                Ok(Number(bytes.try_into().ok().map(u32::from_be_bytes)))
            }
        }

        source.deserialize_bytes(Bytes)
    }
}
