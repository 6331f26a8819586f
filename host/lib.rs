//! A pool of Lua runtimes hosted in WebAssembly.
//!
//! The thread that builds a [`Pool`] has one long-lived [`Main`] instance; every parallel
//! branch runs in a fresh [`Branch`], a wasmtime instance of its own with a Lua 5.4 virtual
//! machine in it. No branch can reach main or another branch. Scripts see no files, no
//! network, no clock and nothing of the process, and are held to [`Limits`].
//!
//! ```
//! use moonfork::{Handle, Pool};
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

mod bytecode;
mod calls;
mod cancel;
mod chunk;
mod clock;
mod codec;
mod compiled;
mod context;
mod direct;
mod driver;
mod entropy;
mod error;
mod exception;
mod files;
mod function;
mod grants;
mod handle;
mod host_call;
mod image;
mod imports;
mod instance;
mod interrupt;
mod limits;
mod live;
mod module;
mod options;
mod output;
pub mod plugin;
mod pool;
mod report;
mod run_async;
mod shard;
mod shared;
mod slots;
mod stack;
mod store_id;
mod terms;
#[cfg(feature = "testing")]
pub mod testing;
mod ticker;
mod wire;
pub mod workflow;

pub use cancel::{Cancel, CancelWatch};
pub use chunk::Chunk;
pub use clock::Clock;
pub use compiled::{CodeOrigin, CompiledCode, Processors};
pub use error::{Error, ErrorKind, Result, Site};
pub use files::{Access, Folder};
pub use grants::Grants;
pub use handle::{Branch, Handle, Main, Role, RunMain, Runtime, With};
pub use host_call::HostCall;
pub use limits::Limits;
pub use options::RunOptions;
pub use output::Output;
pub use pool::{Pool, PoolBuilder};
pub use report::{Outcome, Report};
pub use store_id::StoreId;
