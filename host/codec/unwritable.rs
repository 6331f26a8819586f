//! What writing values and their keys has in common: why one isn't written, and how text is.

use std::fmt::{self, Display};

use rmp::encode as write;
use serde::ser;

use super::path::{Path, Step};

/// What keeps a value from being written, and where it is.
#[derive(Debug)]
pub(crate) struct Unwritable {
    path: Path,
    message: String,
}

impl Unwritable {
    pub(super) fn within(mut self, step: Step) -> Unwritable {
        self.path.within(step);
        self
    }

    /// The message, with a path that starts from `root`.
    pub(super) fn message(&self, root: &str) -> String {
        format!("{}: {}", self.path.display(root), self.message)
    }
}

impl Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message("value"))
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Unwritable {
        Unwritable {
            path: Path::default(),
            message: message.to_string(),
        }
    }
}

pub(super) type Written<T = ()> = Result<T, Unwritable>;

/// Why writing to a buffer can't fail.
pub(super) const TAKES_ALL: &str = "a buffer takes everything";

/// Bytes, elements or entries as the format counts them.
pub(super) fn count(len: usize) -> Written<u32> {
    u32::try_from(len).map_err(|_| ser::Error::custom("it is longer than what may pass"))
}

/// Appends a text.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) -> Written {
    write::write_str_len(out, count(text.len())?).expect(TAKES_ALL);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}
