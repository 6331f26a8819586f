//! What texts are written to.

use std::io;

use crate::failure::Failure;

/// A buffer that never aborts for want of memory.
pub(super) struct Sink<'a> {
    out: &'a mut Vec<u8>,
    full: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Sink { out, full: false }
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.full {
            true => Err(Failure::memory()),
            false => Ok(()),
        }
    }
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.try_reserve(bytes.len()).is_err() {
            self.full = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An integer as text, in a place that needn't be freed.
#[derive(Default)]
pub(super) struct Digits {
    bytes: [u8; 24],
}

impl Digits {
    pub(super) fn of(&mut self, number: i128) -> &str {
        let mut rest = io::Cursor::new(&mut self.bytes[..]);
        io::Write::write_fmt(&mut rest, format_args!("{number}")).expect("64 bits fit");
        let len = usize::try_from(rest.position()).expect("it is short");
        str::from_utf8(&self.bytes[..len]).expect("digits are ASCII")
    }
}
