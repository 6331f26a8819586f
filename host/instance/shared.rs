//! What all instances of a pool have in common. Main is not part of it: what an instance can
//! reach never leads to another instance.

use std::hash::RandomState;
use std::sync::Arc;

use crate::engine::image::Image;
use crate::grants::function::Functions;
use crate::grants::module::Modules;
use crate::grants::{Granted, Grants};
use crate::instance::bytecode::Compiler;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::{Result, RunOptions};

/// The shared parts of a pool.
pub(crate) struct Shared {
    pub(crate) image: Image,
    pub(crate) limits: Limits,
    pub(crate) functions: Arc<Functions>,
    pub(crate) modules: Arc<Modules>,
    /// What instances may do that were not granted anything else.
    pub(crate) granted: Granted,
    /// Compiles chunks that come again and again.
    pub(crate) compiler: Compiler,
    /// What the random numbers of its instances come from: keyed afresh for each pool.
    pub(crate) random: RandomState,
}

impl Shared {
    /// Checks `grants` against what the pool has.
    ///
    /// # Errors
    ///
    /// `Options` for names that it hasn't.
    pub(crate) fn grant(&self, grants: Grants) -> Result<Granted> {
        Granted::new(grants, &self.functions, &self.modules)
    }

    /// The terms of a new instance.
    ///
    /// # Errors
    ///
    /// `Options` when they are wider than what the pool has.
    pub(crate) fn terms(&self, options: &RunOptions) -> Result<Terms> {
        Ok(Terms {
            limits: options.narrow(&self.limits, self.image.is_metered())?,
            deadline: options.get_deadline(),
            cancel: options.get_cancel().cloned(),
            granted: match options.get_grants() {
                Some(grants) => Some(Arc::new(self.grant(grants.clone())?)),
                None => None,
            },
        })
    }

    /// Names of what scripts can call outside of the sandbox: host functions by number, and
    /// behind them the services by theirs.
    pub(crate) fn host_call_names(&self) -> impl Iterator<Item = &str> {
        const SERVICES: [&str; 9] = [
            "require",
            "fs.read",
            "fs.write",
            "fs.append",
            "fs.list",
            "fs.stat",
            "fs.remove",
            "fs.mkdir",
            "os",
        ];
        self.functions.names().chain(SERVICES)
    }
}
