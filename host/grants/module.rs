//! Lua modules that a pool has: sources by name.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// The modules of a pool.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    sources: BTreeMap<String, String>,
    twice: Option<String>,
}

impl Modules {
    /// Adds the source of a module.
    pub(crate) fn add(&mut self, name: String, source: String) {
        if self.sources.insert(name.clone(), source).is_some() {
            self.twice = Some(name);
        }
    }

    /// Refuses two modules of one name.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.twice {
            Some(name) => Err(Error::setup(format_args!("two modules are named '{name}'"))),
            None => Ok(()),
        }
    }

    /// The source of a module.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.sources.get(name).map(String::as_str)
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }
}
