//! Rust values as the wire carries them: MessagePack, with the data model of JSON.
//!
//! Objects are maps with their fields' names, and types that have a form for people use it,
//! as they do in JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

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

/// Reads one value, which is nested no deeper than the guest lets any be.
///
/// # Errors
///
/// With the path to what is not as `T` has it, starting from `root`.
pub(crate) fn decode<T: DeserializeOwned>(root: &str, bytes: &[u8]) -> Result<T, Unreadable> {
    // In words about markers, which only a second look turns into words about values.
    decode_exactly(bytes).map_err(|error| {
        let value = match decode_exactly::<serde_json::Value>(bytes) {
            Ok(value) => value,
            Err(error) => return Unreadable::Malformed(format!("{root}: {error}")),
        };
        Unreadable::Mismatch(match serde_path_to_error::deserialize::<_, T>(value) {
            Ok(_) => format!("{root}: {error}"),
            Err(error) => format!("{root}{}: {}", lua_path(error.path()), error.inner()),
        })
    })
}

fn decode_exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    // The format counts twice where a value is optional.
    deserializer.set_max_depth(2 * MAX_DEPTH + 2);
    T::deserialize(&mut deserializer)
}

/// A path as Lua would write it: positions count from 1.
fn lua_path(path: &serde_path_to_error::Path) -> String {
    path.iter()
        .map(|step| match step {
            Segment::Seq { index } => format!("[{}]", index + 1),
            Segment::Map { key } => format!(".{key}"),
            Segment::Enum { variant } => format!(".{variant}"),
            Segment::Unknown => ".?".to_owned(),
        })
        .collect()
}
