//! What one instance may do: grants that were checked against what its pool has.

use std::sync::Arc;

use serde::Serialize;

use crate::capability::Capability;
use crate::chunk::Chunk;
use crate::grants::clock::Clock;
use crate::grants::files::Folder;
use crate::grants::function::Functions;
use crate::grants::lineage::Lineage;
use crate::grants::module::Modules;
use crate::grants::{Grants, Names, Sink};
use crate::{Error, Result};

/// Grants of one instance, checked against what its pool has.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    grants: Grants,
    functions: Arc<Functions>,
    modules: Arc<Modules>,
    /// Folders with compiled code, which no script may write to.
    kept: Arc<[Lineage]>,
    /// Whether there is anything that the guest has to be told.
    needs_setup: bool,
}

impl Granted {
    /// Checks `grants` against what there is.
    ///
    /// # Errors
    ///
    /// `Options` for names that there are not, and for folders to write to where one of `kept` is.
    pub(crate) fn new(
        grants: Grants,
        functions: &Arc<Functions>,
        modules: &Arc<Modules>,
        kept: &Arc<[Lineage]>,
    ) -> Result<Granted> {
        grants.check_folders(kept)?;
        let unknown = |what: &str, name: &str, known: &mut dyn Iterator<Item = &str>| {
            let known: Vec<_> = known.collect();
            Error::options(format_args!(
                "the {what} '{name}' is granted, and the pool has none of that name (it has: {})",
                if known.is_empty() {
                    "nothing".to_owned()
                } else {
                    known.join(", ")
                }
            ))
        };
        if let Names::Some(names) = &grants.functions
            && let Some(name) = names.iter().find(|name| functions.number(name).is_none())
        {
            return Err(unknown("host function", name, &mut functions.names()));
        }
        if let Names::Some(names) = &grants.modules
            && let Some(name) = names.iter().find(|name| modules.get(name).is_none())
        {
            return Err(unknown("module", name, &mut modules.names()));
        }
        if let Some(name) = grants
            .folders
            .keys()
            .find(|name| name.is_empty() || name.contains('/') || *name == "." || *name == "..")
        {
            return Err(Error::options(format_args!(
                "a folder is granted as {name:?}, which can't be the first part of a path"
            )));
        }
        let mut granted = Granted {
            grants,
            functions: Arc::clone(functions),
            modules: Arc::clone(modules),
            kept: Arc::clone(kept),
            needs_setup: false,
        };
        granted.needs_setup = granted.functions().any(|(.., granted)| granted)
            || granted.clock().is_some()
            || granted.has_modules()
            || granted.has_folders()
            || granted.variables().is_some();
        Ok(granted)
    }

    /// These in place of what is granted here, checked against the same pool.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn instead(&self, grants: Grants) -> Result<Granted> {
        Granted::new(grants, &self.functions, &self.modules, &self.kept)
    }

    /// Less than what an instance was granted, for some of its calls. Its own modules stay: they
    /// are code that it came with.
    ///
    /// # Errors
    ///
    /// `Options` for more than that.
    pub(crate) fn narrowed(&self, grants: &Grants) -> Result<Granted> {
        grants.check_narrower(&self.grants)?;
        let mut grants = grants.clone();
        grants.own_modules.clone_from(&self.grants.own_modules);
        self.instead(grants)
    }

    /// Whether there is anything that the guest has to be told before it runs a script.
    pub(crate) fn needs_setup(&self) -> bool {
        self.needs_setup
    }

    /// What is granted, in words.
    pub(crate) fn described(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(self.clock().map(|_| "clock".to_owned()));
        all.extend(self.seed().map(|seed| format!("seed {seed}")));
        let functions = self.functions().filter(|(.., granted)| *granted);
        all.extend(functions.map(|(_, name, _)| format!("function {name}")));
        let own = self.grants.own_modules.keys().map(String::as_str);
        let modules = self.modules.names();
        let modules = modules.filter(|name| self.grants.modules.has(name));
        all.extend(own.chain(modules).map(|name| format!("module {name}")));
        let folders = self.grants.folders.iter().map(|(name, folder)| {
            let name = name.clone();
            let access = folder.access();
            Capability::Folder { name, access }.to_string()
        });
        all.extend(folders);
        all
    }

    /// What was granted.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The host functions of the pool: number, name, and whether it is granted.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (u32, &str, bool)> {
        (0..)
            .zip(self.functions.names())
            .map(|(number, name)| (number, name, self.grants.functions.has(name)))
    }

    /// The registry of host functions.
    pub(crate) fn registry(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn has_function(&self, name: &str) -> bool {
        self.grants.functions.has(name)
    }

    pub(crate) fn has_modules(&self) -> bool {
        self.grants.modules != Names::default() || !self.grants.own_modules.is_empty()
    }

    /// The source of a module, if there is one that is granted.
    pub(crate) fn module(&self, name: &str) -> Lookup<'_> {
        if let Some(source) = self.grants.own_modules.get(name) {
            return Lookup::Granted(source);
        }
        match self.modules.get(name) {
            Some(source) if self.grants.modules.has(name) => Lookup::Granted(source),
            Some(_) => Lookup::Denied,
            None => Lookup::Absent,
        }
    }

    pub(crate) fn clock(&self) -> Option<&Clock> {
        self.grants.clock.as_ref()
    }

    pub(crate) fn seed(&self) -> Option<u64> {
        self.grants.seed
    }

    pub(crate) fn output(&self) -> Option<&Sink> {
        self.grants.output.as_ref()
    }

    pub(crate) fn has_folders(&self) -> bool {
        !self.grants.folders.is_empty()
    }

    pub(crate) fn folder(&self, name: &str) -> Option<&Folder> {
        self.grants.folders.get(name)
    }

    /// The global `variables`, if there is to be one.
    pub(crate) fn variables(&self) -> Option<impl Serialize> {
        let variables = &self.grants.variables;
        (!variables.is_empty()).then_some(variables)
    }

    /// The capability that a script lacks which used a global that isn't there.
    pub(crate) fn missing_global(&self, name: &str) -> Option<Capability> {
        Some(match name {
            "os" if self.grants.clock.is_none() => Capability::Clock,
            "require" if !self.has_modules() => Capability::Modules,
            "fs" if !self.has_folders() => Capability::Folders,
            "variables" if self.grants.variables.is_empty() => Capability::Variables,
            _ if self.functions.number(name).is_some() && !self.has_function(name) => {
                Capability::Function(name.to_owned())
            }
            _ => return None,
        })
    }
}

/// Whether a module may be loaded.
pub(crate) enum Lookup<'a> {
    Granted(&'a Chunk<'static>),
    Denied,
    Absent,
}

/// A call of the host that was refused, for it was not granted.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    /// Which of the call's refusals it is.
    pub(crate) number: u32,
    /// What it would need.
    pub(crate) capability: Capability,
}

/// The first part of a path, which names a folder, and the rest.
pub(crate) fn split_path(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_starts_with_its_folder() {
        assert_eq!(split_path("data/a/b"), ("data", "a/b"));
        assert_eq!(split_path("data"), ("data", ""));
        assert_eq!(split_path("/etc"), ("", "etc"));
    }
}
