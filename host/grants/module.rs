//! Lua modules that a pool has: sources by name.

use std::collections::BTreeMap;

use crate::chunk::Chunk;
use crate::{Error, Result};

/// The modules of a pool.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    sources: BTreeMap<String, Chunk<'static>>,
    twice: Option<String>,
}

impl Modules {
    /// Adds the source of a module.
    pub(crate) fn add(&mut self, name: String, source: Chunk<'static>) {
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
    pub(crate) fn get(&self, name: &str) -> Option<&Chunk<'static>> {
        self.sources.get(name)
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }
}
