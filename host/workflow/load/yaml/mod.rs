//! A tree of YAML values that know their places.
//!
//! The tree is plain data: anchors, aliases and merge keys are resolved, keys are strings, and
//! numbers are ones that JSON and Lua can hold. A value that can't be had is reported, and its
//! place kept, so that the rest of the file can still be looked at.

mod parse;
mod scalar;
mod value;

pub(crate) use parse::{QUOTE_CODE, Unreadable, parse};
pub(crate) use value::{Data, Entry, Yaml, to_object};
