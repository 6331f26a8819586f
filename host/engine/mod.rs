//! The guest, compiled and linked once, and the clock that its instances are stopped by.

pub(crate) mod compiled;
pub(crate) mod image;
pub(crate) mod ticker;
