//! The host: loads plugins and knows them by their names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::admit::Policy;
use super::kept::Keep;
use super::load::{Changes, Compiled, Loader, Plugins};
use super::manifest::Manifest;
use crate::diagnostics::{LoadError, Problem};
use crate::{Grants, Limits, Pool};

/// Loads plugins, and calls what they export: see [the module](super) for an example.
///
/// Clones are the same host. When the last of them and of its tenants is dropped, the kept
/// instances go.
#[derive(Clone)]
pub struct PluginHost(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) loader: Loader,
    /// As they are now: a call takes what it needs out of here, and isn't disturbed by a reload.
    plugins: RwLock<Arc<Plugins>>,
    /// Held while plugins are loaded again.
    reloading: Mutex<()>,
    pub(super) keep: Keep,
    pub(super) patience: Duration,
}

impl Inner {
    /// The plugins as they are now.
    pub(super) fn plugins(&self) -> Arc<Plugins> {
        // Nothing panics while it is written to.
        Arc::clone(&self.plugins.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What [`PluginHost::reload`] found and did.
#[derive(Clone, Debug, Default)]
#[must_use = "what couldn't be loaded is in here"]
#[non_exhaustive]
pub struct Reload {
    /// Plugins that are there for the first time, by name.
    pub added: Vec<String>,
    /// Plugins that were loaded before and are something else now.
    pub changed: Vec<String>,
    /// Plugins that are gone.
    pub removed: Vec<String>,
    /// Everything that is wrong with what is there now. Where such a plugin was loaded before, it
    /// is still in place as it was.
    pub problems: Vec<Problem>,
}

impl PluginHost {
    /// Settings for a new host, whose plugins run on instances of `pool`.
    pub fn builder(pool: &Pool) -> PluginHostBuilder {
        PluginHostBuilder {
            pool: pool.clone(),
            paths: Vec::new(),
            grants: Grants::none(),
            limits: None,
            only: None,
            kept: None,
            entry_once: true,
            compiled: Compiled::default(),
            patience: Duration::from_secs(30),
        }
    }

    /// The manifests of the plugins as they are now, in the order of their names.
    pub fn plugins(&self) -> Vec<Arc<Manifest>> {
        let plugins = self.0.plugins();
        let manifests = plugins.values().map(|it| Arc::clone(&it.source.manifest));
        manifests.collect()
    }

    /// The manifest of one plugin as it is now.
    pub fn plugin(&self, name: &str) -> Option<Arc<Manifest>> {
        let plugins = self.0.plugins();
        plugins.get(name).map(|it| Arc::clone(&it.source.manifest))
    }

    /// The limits of every call of one plugin: what its manifest asks for, and the host's
    /// where it doesn't.
    pub fn limits(&self, name: &str) -> Option<Limits> {
        self.0.plugins().get(name).map(|plugin| plugin.limits)
    }

    /// Reads all plugins again, and puts those that have changed in the place of the old ones.
    ///
    /// A plugin whose files are as they were stays as it is. One that has changed is loaded
    /// beside the one that runs: read, held against the grants and limits of the host, and
    /// checked in a sandbox, as [`load`](PluginHostBuilder::load) does. Only if there is nothing
    /// wrong with it does it take the place of the old one, which otherwise stays. Plugins that
    /// came are added, and those that are gone removed. All of it happens at once: from then on,
    /// calls that begin get the new plugins. Those under way end on the plugin that they began on.
    ///
    /// What is kept for tenants by a plugin that has changed doesn't fit the new one: it ends, at
    /// once or with the call that is under way, and the next call gets a new instance and is told
    /// by [`CallReport::replaces`](super::CallReport::replaces). A call that waits for its turn
    /// while plugins are reloaded is a call of the new one. What is kept by a plugin that is
    /// removed, or that no longer wants to be kept, ends as if by [`Tenant::release`](super::Tenant::release).
    ///
    /// It takes a branch of the pool for each plugin that has changed, one at a time. Two threads
    /// that reload do so one after the other.
    pub fn reload(&self) -> Reload {
        let inner = &self.0;
        // Whoever panicked in the middle has changed nothing.
        let _one_at_a_time = inner
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let old = inner.plugins();
        let (new, problems) = inner.loader.load(&old);
        let Changes {
            added,
            changed,
            removed,
        } = Changes::between(&old, &new);
        let new = Arc::new(new);
        *inner
            .plugins
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        for name in changed.iter().chain(&removed) {
            inner.keep.retire(name, new.get(&**name).map(|it| &**it));
        }
        let names = |names: Vec<Arc<str>>| names.iter().map(|name| name.to_string()).collect();
        Reload {
            added: names(added),
            changed: names(changed),
            removed: names(removed),
            problems,
        }
    }

    /// How many instances are kept for tenants at the moment.
    pub fn kept_count(&self) -> usize {
        self.0.keep.live()
    }
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost")
            .field("plugins", &self.0.plugins().keys())
            .field("kept", &self.kept_count())
            .finish_non_exhaustive()
    }
}

/// Settings of a [`PluginHost`].
#[derive(Debug)]
#[must_use = "nothing is loaded until `load` is called"]
pub struct PluginHostBuilder {
    pool: Pool,
    paths: Vec<PathBuf>,
    only: Option<Vec<String>>,
    grants: Grants,
    limits: Option<Limits>,
    kept: Option<usize>,
    entry_once: bool,
    compiled: Compiled,
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

    /// Loads no other plugins than the one of this name. Can be called several times, for several
    /// names.
    ///
    /// Of other plugins, nothing but the manifest is read, and what is wrong with them isn't
    /// reported, unless a name is not found: it may be theirs.
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.only.get_or_insert_default().push(name.into());
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
    pub fn max_kept(mut self, instances: usize) -> Self {
        self.kept = Some(instances);
        self
    }

    /// How long a call waits for earlier calls of the same kept instance (30 s).
    pub fn turn_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whether instances begin behind the entry of their plugin, where that leaves the same whenever it is run
    /// (true), or it is run in each of them. What either gives is the same; beginning behind it is for
    /// hosts that make many calls: loading takes longer, by half a second for the first plugin of a process
    /// whose pool keeps no compiled code, and each plugin holds a copy of an instance's memory.
    pub fn run_entry_once(mut self, once: bool) -> Self {
        self.entry_once = once;
        self
    }

    /// Has the Lua of the plugin of this name, its entry and its modules, translated to WebAssembly when it is loaded, in all its instances: what it
    /// does stays the same, in less time (`docs/compiled-lua.md`). Can be called several times, for several names.
    ///
    /// **Only for plugins that you approved of**: a script then shapes what the compiler of machine code is given
    /// (`docs/threat-model.md`). A manifest can't ask for it. Loading takes about a second longer for a plugin of 4,000 lines,
    /// and longer on a busy machine, unless the pool keeps compiled code
    /// ([`PoolBuilder::cache_dir`](crate::PoolBuilder::cache_dir)) or has it shipped;
    /// [`Pool::compiled_lua`](crate::Pool::compiled_lua) tells. What can't be translated is interpreted.
    #[cfg(feature = "compile")]
    pub fn compile(mut self, name: impl Into<String>) -> Self {
        if let Compiled::Some(names) = &mut self.compiled {
            names.push(name.into());
        }
        self
    }

    /// As [`compile`](Self::compile), for every plugin that the host loads.
    #[cfg(feature = "compile")]
    pub fn compile_all(mut self) -> Self {
        self.compiled = Compiled::All;
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
        let loader = Loader {
            policy: Policy {
                limits: self.limits.unwrap_or(*self.pool.limits()),
                grants: self.grants,
                kept: self.kept,
            },
            pool: self.pool,
            paths: self.paths,
            only: self.only,
            entry_once: self.entry_once,
            compiled: self.compiled,
        };
        let (plugins, problems) = loader.load(&Plugins::new());
        let host = PluginHost(Arc::new(Inner {
            keep: Keep::new(loader.policy.kept.unwrap_or(0)),
            loader,
            plugins: RwLock::new(Arc::new(plugins)),
            reloading: Mutex::new(()),
            patience: self.patience,
        }));
        (host, problems)
    }
}
