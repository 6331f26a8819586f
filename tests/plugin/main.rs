//! Plugins by way of the library: loading them, refusing them, calling them.

#[path = "../common/mod.rs"]
mod common;
mod plugins;

mod call;
mod check;
mod compile;
mod example;
mod kept;
mod limits;
mod manifest;
mod pages;
mod refusal;
mod reload;
mod start;
mod tenants;
