//! Requests to the guest: a header, and a value behind it.

use serde::Serialize;

use crate::codec;
use crate::error::ErrorKind;
use crate::wire::Header;
use crate::{Error, Result};

/// What a request or an answer may have beyond the value in it: names, code, a traceback.
pub(super) const HEADROOM: usize = 1 << 20;

/// Fills `request` with the length of the header, the header, and the value.
pub(super) fn frame(
    request: &mut Vec<u8>,
    header: &impl Header,
    value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    /// Bytes of capacity that are kept from one request to the next.
    const KEPT: usize = 64 << 10;

    /// Bytes of capacity to begin with: most requests fit, and growing costs more than these.
    const ENOUGH: usize = 1 << 10;

    request.clear();
    request.shrink_to(KEPT);
    request.reserve(ENOUGH);
    request.extend([0; 4]);
    header.write(request);
    let len = u32::try_from(request.len() - 4).map_err(Error::internal)?;
    request[..4].copy_from_slice(&len.to_le_bytes());
    value(request)
}

/// Appends `value`, named `what` in the error that it can't be passed.
pub(crate) fn encode<T: Serialize + ?Sized>(
    what: &str,
    value: &T,
    request: &mut Vec<u8>,
) -> Result<()> {
    codec::encode(what, value, request)
        .map_err(|message| Error::from(ErrorKind::Argument { message }))
}
