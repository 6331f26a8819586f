//! Where a run can go: every way through a workflow, settled before anything runs.
//!
//! A plan is made from names, edges and conditions alone. It can be printed, and it is all
//! that running needs to know about the shape of a workflow.

mod build;
mod check;
mod display;
mod fan_in;
mod graph;
pub(crate) mod outline;
mod ways;

pub(crate) use build::build;
pub(crate) use graph::{Graph, Walk};
pub use ways::Plan;
pub(crate) use ways::{Exits, FanOutId, Leads, Next, NodeId};
