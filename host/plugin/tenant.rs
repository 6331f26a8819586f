//! For whom plugins are called.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::{Call, CallOptions};
use super::error::CallError;
use super::host::{Inner, PluginHost};
use super::report::Reply;
use crate::Result;

/// For whom plugins are called: a customer, a user, a session. What a plugin keeps for one
/// tenant, no other tenant's calls ever see.
///
/// Clones, and tenants made with the same name, are the same tenant. Any number of threads may
/// call at once: calls that need fresh instances run in parallel, calls of one kept instance
/// one after the other.
#[derive(Clone)]
pub struct Tenant {
    pub(super) host: Arc<Inner>,
    pub(super) name: Arc<str>,
}

impl PluginHost {
    /// For whom plugins are to be called. Nothing is made before a call needs it.
    pub fn tenant(&self, name: impl Into<Arc<str>>) -> Tenant {
        Tenant {
            host: Arc::clone(&self.0),
            name: name.into(),
        }
    }
}

impl Tenant {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls a function that `plugin` exports, with the elements of `args`: a tuple, an array,
    /// a slice.
    ///
    /// Where the plugin has a kept instance and an earlier call ended it, this one runs in a
    /// new instance, and [`CallReport::replaces`](super::CallReport::replaces) says that what the globals held is lost.
    ///
    /// # Errors
    ///
    /// `UnknownPlugin`, `UnknownExport`; `Run` with the script's error, a limit, or what it was
    /// denied; of kept instances `InUse`, `Reentrant`, `TooManyKept`.
    pub fn call<A, R>(&self, plugin: &str, export: &str, args: &A) -> Result<Reply<R>, CallError>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.call_with(plugin, export, args, &CallOptions::new())
    }

    /// As [`call`](Self::call), with a deadline or a way to stop it.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); `Run` with `Timeout` or `Cancelled` also when that comes while
    /// it waits for an instance.
    pub fn call_with<A, R>(
        &self,
        plugin: &str,
        export: &str,
        args: &A,
        options: &CallOptions,
    ) -> Result<Reply<R>, CallError>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        Call::new(&self.host, &self.name, plugin, export, options)?.run(args)
    }

    /// Ends the instances that are kept for this tenant, with what their globals hold: at
    /// once, or when the call that is under way ends. Calls after that get new ones, and
    /// aren't told.
    pub fn release(&self) {
        self.host.keep.release(&self.name);
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
