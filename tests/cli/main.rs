//! The binary, run as a user runs it: a module for each command, and for what they have in common.

mod command;

mod actions;
#[cfg(target_os = "linux")]
mod address_space;
mod bad_input;
mod broken;
#[cfg(unix)]
mod cache;
#[cfg(unix)]
mod crash;
mod eval;
mod example;
mod examples;
mod input;
mod inspect;
#[cfg(unix)]
mod markdown;
#[cfg(unix)]
mod nats;
#[cfg(unix)]
mod page;
mod plugin;
mod precompile;
#[cfg(unix)]
mod readme;
mod repl;
mod replay;
mod results;
mod resume;
mod run;
mod secrets;
mod stream;
#[cfg(unix)]
mod streams;
mod trials;
mod usage;
mod validate;
mod workers;
