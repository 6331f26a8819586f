//! A pool of Lua runtimes hosted in WebAssembly.
//!
//! The thread that builds a [`Pool`] has one long-lived [`Main`] instance; every parallel
//! branch runs in a fresh [`Branch`], a wasmtime instance of its own with a Lua 5.4 virtual
//! machine in it. No branch can reach main or another branch. Scripts see no files, no
//! network, no clock and nothing of the process, and are held to [`Limits`].
//!
//! ```
//! use moonfork::Pool;
//!
//! # fn main() -> moonfork::Result<()> {
//! let pool = Pool::builder().build()?;
//! let mut branch = pool.branch()?;
//! branch.eval::<()>("function area(w, h) return w * h end")?;
//! assert_eq!(branch.call::<_, i64>("area", &(6, 7))?, 42);
//!
//! let state = serde_json::json!({"items": [3, 1, 2]});
//! let sorted: Vec<i64> = branch.eval_with("table.sort(state.items) return state.items", &state)?;
//! assert_eq!(sorted, [1, 2, 3]);
//! # Ok(())
//! # }
//! ```
//!
//! Cargo features, all on unless `default-features = false`: `workflow` and `plugin` for the
//! modules of these names, `cli` for the program. Without them the crate needs no YAML or TOML
//! parser, no templates and no command line.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod capability;
mod chunk;
mod codec;
#[cfg(feature = "diagnostics")]
pub mod diagnostics;
mod engine;
mod error;
mod grants;
mod identity;
mod instance;
mod journal;
#[cfg(feature = "plugin")]
pub mod plugin;
mod pool;
mod private_file;
mod report;
mod run;
mod sparse;
mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
#[expect(
    unreachable_pub,
    reason = "the guest is compiled from the same file, and its tests read it from outside"
)]
#[allow(
    dead_code,
    reason = "workflows alone share values, and who compiles Lua alone gives bytecode of modules"
)]
mod wire;
#[cfg(feature = "workflow")]
pub mod workflow;

pub use capability::{Access, Capability};
pub use chunk::{Chunk, LuaSource};
pub use engine::compiled::{CodeOrigin, CompiledCode, Processors};
pub use error::{Error, ErrorKind, Position, Result, Site};
pub use grants::Grants;
pub use grants::clock::Clock;
pub use grants::files::Folder;
pub use grants::host_call::HostCall;
pub use grants::host_error::HostError;
pub use identity::{Role, StoreId};
pub use instance::handle::snapshot::Snapshot;
pub use instance::handle::{Branch, Main, RunMain, Runtime, With};
pub use journal::Journal;
pub use journal::replay::{Replay, ReplayEnd, ReplayOptions};
pub use pool::Pool;
pub use pool::builder::PoolBuilder;
#[cfg(feature = "compile")]
pub use pool::compiled_lua::CompiledLua;
pub use report::output::Output;
pub use report::{Origin, Outcome, Report};
pub use run::amount::{Amount, Unit};
pub use run::limits::{Limit, Limits, PartialLimits};
pub use run::options::{RunOptions, Wait};
pub use run::quantity;
pub use sync::cancel::{Cancel, CancelWatch};
pub use sync::deadline::Deadline;
