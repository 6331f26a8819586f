//! What a script would need that it was not granted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::Service;

/// What scripts may do in a [`Folder`](crate::Folder).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read files, list folders.
    ReadOnly,
    /// Make, change and remove files and folders as well.
    ReadWrite,
}

/// Something that is denied unless it is granted.
///
/// Shown as [`Grants::only`](crate::Grants::only) names it: `clock`, `function add`, `folder data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Capability {
    /// To tell the time: `os`.
    Clock,
    /// To see the variables of the run.
    Variables,
    /// To load modules: `require`.
    Modules,
    /// To use files: `fs`.
    Folders,
    /// To load this module.
    Module(String),
    /// To use files in this folder.
    #[non_exhaustive]
    Folder {
        /// The first part of its paths.
        name: String,
        /// What was to be done there.
        access: Access,
    },
    /// To call this host function.
    Function(String),
    /// To give this secret of a workflow's run to host functions.
    Secret(String),
    /// To give this environment variable to host functions, likewise.
    Env(String),
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capability::Clock => f.write_str("clock"),
            Capability::Variables => f.write_str("variables"),
            Capability::Modules => f.write_str("modules"),
            Capability::Folders => f.write_str("folders"),
            Capability::Module(name) => write!(f, "module {name}"),
            Capability::Folder { name, access } => match access {
                Access::ReadOnly => write!(f, "folder {name}"),
                Access::ReadWrite => write!(f, "folder {name} read-write"),
            },
            Capability::Function(name) => write!(f, "function {name}"),
            Capability::Secret(name) => write!(f, "secret {name}"),
            Capability::Env(name) => write!(f, "env {name}"),
        }
    }
}

/// The name of a service, as scripts have it.
pub(crate) fn service_name(service: Service) -> &'static str {
    match service {
        Service::Module => "require",
        Service::Read => "fs.read",
        Service::Write => "fs.write",
        Service::Append => "fs.append",
        Service::List => "fs.list",
        Service::Stat => "fs.stat",
        Service::Remove => "fs.remove",
        Service::MakeFolder => "fs.mkdir",
        Service::Time => "os",
    }
}
