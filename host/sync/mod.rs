//! What threads tell each other: to stop, to go on, that there is work, and which call is under way.

pub(crate) mod awake;
pub(crate) mod cancel;
pub(crate) mod deadline;
pub(crate) mod monitor;
pub(crate) mod nesting;
pub(crate) mod slots;
