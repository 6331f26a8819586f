//! Rust values as the wire carries them: MessagePack, with the data model of JSON.
//!
//! Objects are maps with their fields' names, and types that have a form for people use it,
//! as they do in JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::MAX_DEPTH;

/// Appends `value` to `out`.
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), rmp_serde::encode::Error> {
    let mut serializer = rmp_serde::Serializer::new(out)
        .with_struct_map()
        .with_human_readable();
    value.serialize(&mut serializer)
}

/// Reads one value, which is nested no deeper than the guest lets any be.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    // The format counts twice where a value is optional.
    deserializer.set_max_depth(2 * MAX_DEPTH + 2);
    T::deserialize(&mut deserializer)
}
