//! What host functions expect of `with`.

use std::collections::BTreeMap;

/// The arguments of a host function that workflows call with `uses`, and `with` as a mapping:
/// the keys of that mapping. A workflow that gives other keys, or lacks some, doesn't begin.
///
/// ```
/// use moonfork::workflow::{Argument, RunSettings, Signature};
///
/// let write_file = Signature::new()
///     .required("path", Argument::Writes)
///     .required("content", Argument::Value)
///     .optional("append", Argument::Value);
/// let options = RunSettings::new().describe("write_file", write_file);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Signature {
    pub(crate) keys: BTreeMap<String, Key>,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Argument {
    /// Any value.
    Value,
    /// Lua source, which is parsed before a run.
    Lua,
    /// A path that is read: the name of a granted folder, a slash, and a path in there.
    Reads,
    /// A path that is written, likewise.
    Writes,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) argument: Argument,
    pub(crate) required: bool,
}

impl Signature {
    /// One without arguments.
    pub fn new() -> Signature {
        Signature::default()
    }

    /// Adds a key that has to be there.
    #[must_use]
    pub fn required(mut self, key: impl Into<String>, argument: Argument) -> Signature {
        let required = true;
        self.keys.insert(key.into(), Key { argument, required });
        self
    }

    /// Adds a key that may be there.
    #[must_use]
    pub fn optional(mut self, key: impl Into<String>, argument: Argument) -> Signature {
        let required = false;
        self.keys.insert(key.into(), Key { argument, required });
        self
    }
}
