//! The guest's memory, read and written where the guest says, after checking that it lies inside.

use std::ops::Range;

use wasmtime::{Caller, Extern};

use crate::error::{Position, Site};
use crate::store::context::{Context, Stop};

/// The memory of the guest that calls the host, and the data of its store.
///
/// # Errors
///
/// `Stop::Guest` when the guest has none, or goes on after its end.
pub(crate) fn guest_memory<'a>(
    caller: &'a mut Caller<'_, Context>,
) -> wasmtime::Result<(&'a mut [u8], &'a mut Context)> {
    if caller.data().call.post_mortem {
        return Err(Stop::Guest("it went on after it was stopped".into()).into());
    }
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory.data_and_store_mut(caller)),
        _ => Err(Stop::Guest("it has no memory".into()).into()),
    }
}

/// The `len` bytes at `ptr`, which the guest says it means.
///
/// # Errors
///
/// `Stop::Guest` when they don't lie in its memory.
pub(crate) fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Stop> {
    memory.get(range(ptr, len)).ok_or_else(outside)
}

pub(crate) fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Stop> {
    memory.get_mut(range(ptr, len)).ok_or_else(outside)
}

/// Where a 32-bit guest means; past the end of any memory where a host can't count so far.
fn range(ptr: u32, len: u32) -> Range<usize> {
    let start = usize::try_from(ptr).unwrap_or(usize::MAX);
    start..start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
}

fn outside() -> Stop {
    Stop::Guest("a buffer lies outside of its memory".into())
}

/// Reads a site as the guest writes it: the number of the line and the length of the chunk's name
/// on a line, the name on the next, and then the traceback.
pub(crate) fn read_site(text: &[u8]) -> Option<Site> {
    /// Bytes that are read: more than the guest we built ever writes.
    const MAX: usize = 16 << 10;

    let text = String::from_utf8_lossy(&text[..text.len().min(MAX)]);
    let (numbers, text) = text.split_once('\n')?;
    let (line, len) = numbers.split_once(' ')?;
    let (chunk, traceback) = text.split_at_checked(len.parse().ok()?)?;
    Some(Site {
        position: Position {
            chunk: chunk.to_owned(),
            line: line.parse().ok()?,
        },
        traceback: traceback.trim().to_owned(),
    })
}
