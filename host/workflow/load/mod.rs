//! From files to a [`Model`](crate::workflow::model::Model): what they say, and what is wrong with that.

pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod lua;
pub(crate) mod names;
pub(crate) mod overlay;
pub(crate) mod read;
pub(crate) mod source;
pub(crate) mod validate;
pub(crate) mod words;
pub(crate) mod yaml;
