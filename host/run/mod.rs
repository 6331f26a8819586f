//! What a run may use: limits and options, and the one place that narrows them.

pub(crate) mod amount;
pub(crate) mod limits;
pub(crate) mod options;
pub mod quantity;
pub(crate) mod terms;
