//! Workflows by way of the library: loading them, their plans, running them.

#[path = "../common/mod.rs"]
mod common;

mod branches;
mod call_keys;
mod cancel;
mod check;
mod compile;
mod conformance;
mod fork_states;
mod isolation;
mod journal;
mod lua_files;
mod mangled;
mod modes;
mod parallel;
mod plan;
mod prelude;
mod problems;
mod queue;
mod reduce;
mod run;
mod shared_states;
mod strict;
mod tea;
mod workers;
