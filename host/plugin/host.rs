//! The host: loads plugins and knows them by their names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::admit::{Policy, admit};
use super::check::check;
use super::kept::Keep;
use super::manifest::Manifest;
use super::problem::{Code, LoadError, Problem, Problems};
use super::source::{Source, find, load};
use super::tenant::Tenant;
use crate::{Grants, Limits, Pool, RunOptions};

/// Loads plugins, and calls what they export: see [the module](super) for an example.
///
/// Clones are the same host. When the last of them and of its tenants is dropped, the kept
/// instances go.
#[derive(Clone)]
pub struct PluginHost(Arc<Inner>);

pub(super) struct Inner {
    pub(super) pool: Pool,
    pub(super) plugins: BTreeMap<Arc<str>, Plugin>,
    pub(super) keep: Keep,
    pub(super) patience: Duration,
}

/// A plugin that was found sound.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) name: Arc<str>,
    pub(super) manifest: Manifest,
    pub(super) manifest_file: Arc<str>,
    pub(super) entry: Arc<str>,
    pub(super) chunk_name: String,
    pub(super) limits: Limits,
    /// The terms of its instances.
    pub(super) options: RunOptions,
}

impl PluginHost {
    /// Settings for a new host, whose plugins run on instances of `pool`.
    pub fn builder(pool: &Pool) -> PluginHostBuilder {
        PluginHostBuilder {
            pool: pool.clone(),
            paths: Vec::new(),
            grants: Grants::none(),
            limits: None,
            kept: None,
            patience: Duration::from_secs(30),
        }
    }

    /// The manifests of the plugins, in the order of their names.
    pub fn plugins(&self) -> impl Iterator<Item = &Manifest> {
        self.0.plugins.values().map(|plugin| &plugin.manifest)
    }

    /// The manifest of one plugin.
    pub fn plugin(&self, name: &str) -> Option<&Manifest> {
        self.0.plugins.get(name).map(|plugin| &plugin.manifest)
    }

    /// The limits of every call of one plugin: what its manifest asks for, and the host's
    /// where it doesn't.
    pub fn limits(&self, name: &str) -> Option<&Limits> {
        self.0.plugins.get(name).map(|plugin| &plugin.limits)
    }

    /// For whom plugins are to be called. Nothing is made before a call needs it.
    pub fn tenant(&self, name: impl Into<Arc<str>>) -> Tenant {
        Tenant {
            host: Arc::clone(&self.0),
            name: name.into(),
        }
    }

    /// How many instances are kept for tenants at the moment.
    pub fn kept(&self) -> usize {
        self.0.keep.live()
    }
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost")
            .field("plugins", &self.0.plugins.keys())
            .field("kept", &self.kept())
            .finish_non_exhaustive()
    }
}

/// Settings of a [`PluginHost`].
#[derive(Debug)]
#[must_use = "nothing is loaded until `load` is called"]
pub struct PluginHostBuilder {
    pool: Pool,
    paths: Vec<PathBuf>,
    grants: Grants,
    limits: Option<Limits>,
    kept: Option<usize>,
    patience: Duration,
}

impl PluginHostBuilder {
    /// Loads the plugin at `path`, or all plugins in the folder there.
    ///
    /// A folder with a `plugin.toml` in it is one plugin, and so is a file. In any other
    /// folder, every folder and every Lua file has to be one; what else there is, and hidden
    /// names, are passed over.
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.paths.push(path.as_ref().to_owned());
        self
    }

    /// The most that any plugin may do besides computing: nothing, if this isn't called. A
    /// plugin gets what its manifest wants of it, and one that wants more is refused.
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// The most that a call of any plugin may use: what the pool gives, if this isn't called.
    /// They hold for a call as a whole, the loading of the plugin included. A plugin that
    /// wants wider ones is refused.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Allows plugins to keep their instances from call to call, `instances` at most for all
    /// tenants and plugins together. Each of them takes one of the pool's branches. Without
    /// this, a plugin that wants it is refused.
    pub fn allow_kept(mut self, instances: usize) -> Self {
        self.kept = Some(instances);
        self
    }

    /// How long a call waits for earlier calls of the same kept instance (30 s).
    pub fn turn_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Loads the plugins: reads their manifests, holds them against what the host grants, and
    /// runs each entry once in a sandbox, on the plugin's own terms, to see that it defines
    /// what the manifest exports.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of the plugins.
    pub fn load(self) -> Result<PluginHost, LoadError> {
        let (host, problems) = self.load_sound();
        if problems.is_empty() {
            Ok(host)
        } else {
            Err(LoadError::new(problems))
        }
    }

    /// As [`load`](Self::load), but with those plugins that are sound, and besides everything
    /// that is wrong with the others. Of two plugins with one name, the first is loaded.
    pub fn load_sound(self) -> (PluginHost, Vec<Problem>) {
        let mut problems = Problems::default();
        let mut plugins = BTreeMap::new();
        let policy = Policy {
            limits: self.limits.unwrap_or(*self.pool.limits()),
            grants: self.grants,
            kept: self.kept,
        };
        if is_sound(&self.pool, &policy, &mut problems) {
            for path in &self.paths {
                for path in find(path, &mut problems) {
                    if let Some(source) = load(&path, &mut problems) {
                        add(source, &policy, &self.pool, &mut plugins, &mut problems);
                    }
                }
            }
        }
        let host = PluginHost(Arc::new(Inner {
            pool: self.pool,
            plugins,
            keep: Keep::new(policy.kept.unwrap_or(0)),
            patience: self.patience,
        }));
        (host, problems.into_vec())
    }
}

/// Whether the pool can give what the host grants.
fn is_sound(pool: &Pool, policy: &Policy, problems: &mut Problems) -> bool {
    let options = RunOptions::new()
        .limits(&policy.limits)
        .grants(policy.grants.clone());
    match pool.branch_with(&options) {
        Ok(_) => true,
        Err(error) => {
            problems.add(
                Code::HostSetup,
                &"the plugin host".into(),
                None,
                error.to_string(),
            );
            false
        }
    }
}

/// Adds a plugin, if it is sound.
fn add(
    source: Source,
    policy: &Policy,
    pool: &Pool,
    plugins: &mut BTreeMap<Arc<str>, Plugin>,
    problems: &mut Problems,
) {
    let before = problems.count();
    let place = match plugins.entry(source.manifest.name.as_str().into()) {
        Entry::Vacant(place) => Some(place),
        Entry::Occupied(other) => {
            let message = format!(
                "the plugin `{}` was loaded already, from {}",
                source.manifest.name,
                other.get().manifest_file
            );
            let at = source.places.of("name");
            problems.add(Code::DuplicatePlugin, &source.manifest_file, at, message);
            None
        }
    };
    let Some(terms) = admit(&source, policy, pool, problems) else {
        return problems.sort_since(before);
    };
    let options = RunOptions::new().limits(&terms.limits).grants(terms.grants);
    check(&source, &options, pool, problems);
    problems.sort_since(before);
    if let Some(place) = place
        && problems.count() == before
    {
        let name = Arc::clone(place.key());
        place.insert(Plugin {
            name,
            chunk_name: source.chunk_name(),
            manifest: source.manifest,
            manifest_file: source.manifest_file,
            entry: source.entry.text,
            limits: terms.limits,
            options,
        });
    }
}
