//! The Lua virtual machine that moonfork runs inside WebAssembly.
//!
//! Built for `wasm32-wasip1` this crate is the guest module: `raw::abi` holds its exports and
//! imports. Built for the machine at hand it is an ordinary library around [`vm::Vm`], so
//! that everything but the calling convention is tested with plain `cargo test`.

mod callee;
mod failure;
mod header;
mod host;
mod msgpack;
#[path = "../../host/codec/number.rs"]
mod number;
#[path = "../../host/codec/path.rs"]
mod path;
mod raw;
mod sandbox;
mod source;
pub mod value;
pub mod vm;
#[path = "../../host/wire.rs"]
pub mod wire;

pub use host::{Host, Refused};
