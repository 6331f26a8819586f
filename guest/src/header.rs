//! Reading the headers of requests.

use crate::failure::{Failure, FailureKind};
use crate::wire::{Chunk, Name, Setup};

/// Reads what a fresh instance is granted.
///
/// # Errors
///
/// `Request` where it isn't that.
pub(crate) fn setup(bytes: &[u8]) -> Result<Setup<'_>, Failure> {
    let read = || {
        let (&[clock, modules, files], mut rest) = bytes.split_first_chunk()?;
        let mut functions = Vec::new();
        while !rest.is_empty() {
            let (number, behind) = rest.split_first_chunk()?;
            let (name, behind) = short_text(behind)?;
            functions.push((u32::from_le_bytes(*number), name.into()));
            rest = behind;
        }
        Some(Setup {
            clock: clock != 0,
            modules: modules != 0,
            files: files != 0,
            functions,
        })
    };
    read().ok_or_else(|| malformed("the setup's header is broken"))
}

/// Reads a chunk.
///
/// # Errors
///
/// `Request` where it isn't one.
pub(crate) fn chunk(bytes: &[u8]) -> Result<Chunk<'_>, Failure> {
    let read = || {
        let (&expression, rest) = bytes.split_first()?;
        let (line, rest) = rest.split_first_chunk()?;
        let (name, code) = short_text(rest)?;
        Some(Chunk {
            name: name.into(),
            line: u32::from_le_bytes(*line),
            code: code.into(),
            expression: expression != 0,
        })
    };
    read().ok_or_else(|| malformed("the chunk's header is broken"))
}

/// Splits off a text whose length comes before it.
fn short_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let (text, rest) = rest.split_at_checked(len)?;
    Some((str::from_utf8(text).ok()?, rest))
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
