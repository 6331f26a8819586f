//! What a plugin says about itself.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Access, PartialLimits};

/// What a plugin says about itself: the file `plugin.toml` of its folder, or the comment that
/// its only file begins with.
///
/// Serialised, for lists of plugins, as it would be written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Manifest {
    /// The name, which no other plugin of a host has.
    pub name: String,
    /// The version.
    #[serde(serialize_with = "as_text")]
    pub version: Version,
    /// What the plugin is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The Lua file that is run first, beneath the plugin's folder. It defines the exported
    /// functions as globals.
    pub entry: String,
    /// What instances the functions are called in.
    pub instance: Lifetime,
    /// The functions that a host may call, with what each is for.
    pub exports: BTreeMap<String, String>,
    /// What the plugin wants to do besides computing.
    pub wants: Wants,
    /// How much a call may use, loading included, where that is less than what the host gives.
    pub limits: PartialLimits,
}

/// How long an instance of a plugin lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Lifetime {
    /// For one call.
    #[default]
    Fresh,
    /// From call to call of one tenant, with what its globals hold.
    Kept,
}

/// The capabilities that a plugin wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Wants {
    /// Host functions, by name.
    pub functions: Vec<String>,
    /// Modules that the host has, by name. Those of its own folder a plugin always has.
    pub modules: Vec<String>,
    /// The time.
    pub clock: bool,
    /// Variables, by name.
    pub variables: Vec<String>,
    /// Folders of the host, by name.
    pub folders: BTreeMap<String, Access>,
    /// Where random numbers come from, to be the same in every instance. No power over
    /// anything but the plugin itself, so it needs no granting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn as_text<S: Serializer>(version: &Version, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(version)
}
