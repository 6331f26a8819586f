//! Messages on pipes: four bytes of length, and so many of MessagePack.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most that a message may take: no state is larger that could be written out.
const MAX_MESSAGE: usize = 512 << 20;

/// What a worker writes before its first message, so that what its program may have printed before isn't
/// taken for one.
pub(crate) const MARK: &[u8] = b"\0moonfork worker\n";

/// Bytes that a program may print before it.
const MAX_BEFORE: u64 = 64 << 10;

/// A message with its length.
///
/// # Errors
/// If it is too long.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    let mut out = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    message.serialize(&mut out).map_err(io::Error::other)?;
    let len = bytes.len() - 4;
    if len > MAX_MESSAGE {
        return Err(too_long(len));
    }
    let len = u32::try_from(len).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    Ok(bytes)
}

/// A message by itself.
///
/// # Errors
/// If it can't be written down.
#[cfg(feature = "nats")]
pub(crate) fn to_bytes(message: &impl Serialize) -> io::Result<Vec<u8>> {
    rmp_serde::to_vec_named(message).map_err(io::Error::other)
}

/// A message that came by itself.
///
/// # Errors
/// If it is none.
#[cfg(feature = "nats")]
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    rmp_serde::from_slice(bytes).map_err(io::Error::other)
}

/// Writes a message.
///
/// # Errors
/// If it is too long, or can't be written.
pub(crate) fn write(out: &mut (impl Write + ?Sized), message: &impl Serialize) -> io::Result<()> {
    out.write_all(&encode(message)?)?;
    out.flush()
}

/// Reads a message; `None` where there are no more.
///
/// # Errors
/// If what is there is no message, or can't be read.
pub(crate) fn read<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 4];
    let mut begun = 0;
    while begun < len.len() {
        match input.read(&mut len[begun..]) {
            Ok(0) if begun == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => begun += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let len = usize::try_from(u32::from_le_bytes(len)).map_err(io::Error::other)?;
    if len > MAX_MESSAGE {
        return Err(too_long(len));
    }
    // Memory is taken as bytes come, not as they are announced.
    let mut bytes = Vec::new();
    input.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message = rmp_serde::from_slice(&bytes).map_err(io::Error::other)?;
    Ok(Some(message))
}

/// Passes over what comes before the mark; false if it doesn't come.
///
/// # Errors
/// If it can't be read.
pub(crate) fn skip_to_mark(input: &mut impl BufRead) -> io::Result<bool> {
    let mut seen = Vec::new();
    for byte in input.take(MAX_BEFORE).bytes() {
        seen.push(byte?);
        if seen.ends_with(MARK) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn too_long(len: usize) -> io::Error {
    let message = format!("a message of {len} bytes; one may have {MAX_MESSAGE}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_one_after_the_other_and_end() {
        let mut bytes = Vec::new();
        write(&mut bytes, &"one").unwrap();
        write(&mut bytes, &vec![1, 2]).unwrap();
        let mut input = &bytes[..];
        assert_eq!(read(&mut input).unwrap(), Some("one".to_owned()));
        assert_eq!(read(&mut input).unwrap(), Some(vec![1, 2]));
        assert_eq!(read::<String>(&mut input).unwrap(), None);
    }

    #[test]
    fn one_that_is_cut_off_or_too_long_is_an_error() {
        let bytes = encode(&"some text").unwrap();
        for len in 1..bytes.len() {
            assert!(read::<String>(&mut &bytes[..len]).is_err(), "{len}");
        }
        let error = read::<String>(&mut &[0xff; 100][..]).unwrap_err();
        assert!(error.to_string().contains("one may have"), "{error}");
        assert!(read::<String>(&mut &[1, 0, 0, 0, 0xc1][..]).is_err());
    }

    #[test]
    fn what_is_printed_before_the_mark_is_passed_over() {
        let text = [b"hello\n\0moonfork".as_slice(), MARK, b"rest"].concat();
        let mut input = &text[..];
        assert!(skip_to_mark(&mut input).unwrap());
        assert_eq!(input, b"rest");
        assert!(!skip_to_mark(&mut &b"no mark at all"[..]).unwrap());
        assert!(!skip_to_mark(&mut &vec![0; 100_000][..]).unwrap());
    }
}
