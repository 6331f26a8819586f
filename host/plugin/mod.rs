//! Plugins: Lua that says by itself what it is, what it offers and what it wants.
//!
//! A plugin is a folder with a manifest, `plugin.toml`, or one Lua file that begins with its
//! manifest. A [`PluginHost`] loads them, refuses those that want more than it grants, and
//! calls the functions they export for any number of tenants, from any thread. A call runs in
//! a fresh instance, unless the plugin asks for a kept one and the host allows it: that
//! one belongs to a single tenant.
//!
//! ```
//! use moonfork::Pool;
//! use moonfork::plugin::PluginHost;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! std::fs::write(
//!     folder.path().join("greeter.lua"),
//!     r#"--[[ plugin
//! name = "greeter"
//! version = "1.0.0"
//! [exports]
//! greet = "Greets somebody."
//! ]]
//! function greet(name) return "Hello, " .. name .. "!" end
//! "#,
//! )?;
//!
//! let pool = Pool::builder().build()?;
//! let host = PluginHost::builder(&pool).path(folder.path()).load()?;
//! let tenant = host.tenant("acme");
//! let reply = tenant.call::<_, String>("greeter", "greet", &["Ada"])?;
//! assert_eq!(reply.value, "Hello, Ada!");
//! assert_eq!(reply.report.tenant, "acme");
//! # Ok(())
//! # }
//! ```
//!
//! All of this is made of the crate's public parts: [`Pool`](crate::Pool),
//! [`RunOptions`](crate::RunOptions), [`Grants`](crate::Grants).

mod admit;
mod budget;
mod call;
mod check;
#[cfg(feature = "compile")]
mod compile;
mod error;
mod host;
mod kept;
mod load;
mod manifest;
mod read;
mod report;
mod source;
mod start;
mod tenant;

pub use call::CallOptions;
#[cfg(feature = "compile")]
pub use compile::precompile;
pub use error::{CallError, CallErrorKind};
pub use host::{PluginHost, PluginHostBuilder, Reload};
pub use manifest::{Lifetime, Manifest, Wants};
pub use report::{CallReport, Reply};
pub use source::{read_manifests, read_sound_manifests};
pub use tenant::Tenant;
