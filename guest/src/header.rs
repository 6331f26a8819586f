//! Reading the headers of requests.

use crate::failure::{Failure, FailureKind};
use crate::wire::{Chunk, Name};

/// Reads a chunk.
///
/// # Errors
///
/// `Request` where it isn't one.
pub(crate) fn chunk(bytes: &[u8]) -> Result<Chunk<'_>, Failure> {
    let read = || {
        let (&expression, rest) = bytes.split_first()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (name, code) = rest.split_at_checked(len)?;
        Some(Chunk {
            name: str::from_utf8(name).ok()?.into(),
            code: str::from_utf8(code).ok()?.into(),
            expression: expression != 0,
        })
    };
    read().ok_or_else(|| malformed("the chunk's header is broken"))
}

/// Reads a name.
///
/// # Errors
///
/// `Request` where it isn't text.
pub(crate) fn name(bytes: &[u8]) -> Result<Name<'_>, Failure> {
    let name = str::from_utf8(bytes);
    name.map(Name).map_err(|error| malformed(error.to_string()))
}

/// What a request is refused with that is none.
pub(crate) fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Request, message)
}
