//! Loading plugins, for the first time and again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::admit::{Policy, admit};
use super::check::check;
#[cfg(feature = "compile")]
use super::compile;
use super::manifest::{Lifetime, Manifest};
use super::source::{Source, find, load, written_name};
use super::start::Start;
use crate::diagnostics::{Code, Problem, Problems};
#[cfg(feature = "compile")]
use crate::instance::translations::Lease;
use crate::{Limits, Pool, RunOptions};

/// The plugins of a host, by their names.
pub(super) type Plugins = BTreeMap<Arc<str>, Arc<Plugin>>;

/// A plugin that was found sound.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    pub(super) chunk_name: String,
    pub(super) limits: Limits,
    /// The terms of its instances.
    pub(super) options: RunOptions,
    /// What they begin with, if the entry needn't be run in each.
    pub(super) start: Option<Start>,
    /// What was translated of it, for as long as it is there.
    #[cfg(feature = "compile")]
    _compiled: Option<Lease>,
    /// No other plugin of the process has the same one, not even an earlier state of this one:
    /// what is kept belongs to one generation.
    pub(super) generation: u64,
    /// The file or folder that it is.
    path: PathBuf,
    /// The host's path that led to it.
    root: PathBuf,
}

impl Plugin {
    pub(super) fn manifest(&self) -> &Manifest {
        &self.source.manifest
    }

    /// Whether a tenant keeps its instance.
    pub(super) fn is_kept(&self) -> bool {
        self.manifest().instance == Lifetime::Kept
    }
}

/// What to load, and on which terms.
pub(super) struct Loader {
    pub(super) pool: Pool,
    pub(super) paths: Vec<PathBuf>,
    /// The names of the plugins to load, if not all of them.
    pub(super) only: Option<Vec<String>>,
    pub(super) policy: Policy,
    /// Whether instances may begin behind the entry.
    pub(super) entry_once: bool,
    /// Those whose Lua is translated.
    #[cfg_attr(
        not(feature = "compile"),
        expect(dead_code, reason = "nothing is translated")
    )]
    pub(super) compiled: Compiled,
}

/// Plugins by their names.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "compile"),
    expect(dead_code, reason = "nothing is translated")
)]
pub(super) enum Compiled {
    All,
    Some(Vec<String>),
}

impl Default for Compiled {
    fn default() -> Compiled {
        Compiled::Some(Vec::new())
    }
}

#[cfg(feature = "compile")]
impl Compiled {
    fn has(&self, name: &str) -> bool {
        match self {
            Compiled::All => true,
            Compiled::Some(names) => names.iter().any(|it| it == name),
        }
    }
}

/// A file or folder that should be a plugin, or one that should be full of them and can't be read.
struct Found<'l> {
    root: &'l Path,
    path: PathBuf,
    source: Option<Source>,
    problems: Problems,
}

impl Found<'_> {
    /// Whether `old` was loaded from here.
    fn was(&self, old: &Plugin) -> bool {
        old.path == self.path || old.root == self.path
    }
}

impl Loader {
    /// Loads all plugins that are sound, and says what is wrong with the others. Those of `old`
    /// that are as they were are taken over; so are those in whose place something is wrong now.
    pub(super) fn load(&self, old: &Plugins) -> (Plugins, Vec<Problem>) {
        let mut problems = Problems::default();
        if !self.is_sound(&mut problems) {
            return (old.clone(), problems.into_vec());
        }
        let found = self.find();
        let owners = owners(&found, old);
        let names: Vec<String> = found
            .iter()
            .filter_map(|found| Some(found.source.as_ref()?.manifest.name.clone()))
            .collect();
        let misses = |name: &&String| !names.contains(*name) && !old.contains_key(name.as_str());
        let mut missing: Vec<_> = self.only.iter().flatten().filter(misses).collect();
        // One that something is wrong with goes by the name that it gives itself all the same.
        let broken = found.iter().filter(|found| found.source.is_none());
        let claimed: Vec<_> = broken.filter_map(|it| written_name(&it.path)).collect();
        missing.retain(|name| !claimed.contains(name));
        let mut new = Plugins::new();
        for mut found in found {
            // Of plugins that weren't asked for, nothing is said; but one that has no name may be
            // the one that isn't there.
            let is_meant = match (&self.only, &found.source) {
                (None, _) => true,
                (Some(_), Some(source)) => !self.passes_over(source),
                (Some(only), None) => match written_name(&found.path) {
                    Some(name) => only.contains(&name),
                    None => !missing.is_empty(),
                },
            };
            if is_meant {
                problems.append(&mut found.problems);
            }
            let loaded = match found.source.take() {
                Some(source) if self.passes_over(&source) => continue,
                Some(source) => {
                    let owner = owners.get(source.manifest.name.as_str()).copied();
                    let place = (found.root, found.path.as_path());
                    self.add(source, place, owner, &mut new, &mut problems)
                }
                None => false,
            };
            if !loaded {
                for (name, plugin) in old.iter().filter(|(_, old)| found.was(old)) {
                    new.entry(Arc::clone(name)).or_insert(Arc::clone(plugin));
                }
            }
        }
        for name in missing {
            let paths: Vec<_> = self
                .paths
                .iter()
                .map(|path| path.to_string_lossy())
                .collect();
            let message = format!("there is no plugin `{name}`");
            let known = names.iter().map(String::as_str);
            let hint = problems.suggestions().hint_or_list(name, known);
            let paths = paths.join(", ").into();
            let problem = problems.error_in(&paths, Code::PluginMissing, None, message);
            if let Some(hint) = hint {
                problem.with_hint(hint);
            }
        }
        (new, problems.into_vec())
    }

    /// Whether the pool can give what the host grants.
    fn is_sound(&self, problems: &mut Problems) -> bool {
        let options = RunOptions::new()
            .limits(self.policy.limits)
            .grants(self.policy.grants.clone());
        match self.pool.branch_with(&options) {
            Ok(_) => true,
            Err(error) => {
                let host = "the plugin host".into();
                problems.error_in(&host, Code::HostSetup, None, error.to_string());
                false
            }
        }
    }

    fn passes_over(&self, source: &Source) -> bool {
        let only = self.only.as_ref();
        only.is_some_and(|only| !only.contains(&source.manifest.name))
    }

    /// Reads everything, and runs nothing.
    fn find(&self) -> Vec<Found<'_>> {
        let mut all = Vec::new();
        for root in &self.paths {
            let mut problems = Problems::default();
            let Some(paths) = find(root, &mut problems) else {
                all.push(Found {
                    root,
                    path: root.clone(),
                    source: None,
                    problems,
                });
                continue;
            };
            for path in paths {
                let mut problems = Problems::default();
                all.push(Found {
                    root,
                    source: load(&path, &mut problems),
                    path,
                    problems,
                });
            }
        }
        all
    }

    /// Adds a plugin, if it is sound. `owner` is the plugin that its name belongs to, if there is
    /// one.
    fn add(
        &self,
        source: Source,
        (root, path): (&Path, &Path),
        owner: Option<&Arc<Plugin>>,
        plugins: &mut Plugins,
        problems: &mut Problems,
    ) -> bool {
        let before = problems.count();
        let name = source.manifest.name.as_str();
        let mine = owner.filter(|owner| owner.path == path);
        if let Some(other) = plugins.get(name).or(owner.filter(|_| mine.is_none())) {
            let message = format!(
                "the plugin `{name}` was loaded already, from {}",
                other.source.manifest_file
            );
            let at = source.places.of("name");
            problems.error_in(&source.manifest_file, Code::DuplicatePlugin, at, message);
        } else if let Some(mine) = mine
            && mine.source.is_like(&source)
        {
            plugins.insert(Arc::clone(&mine.name), Arc::clone(mine));
            return true;
        }
        let Some(terms) = admit(&source, &self.policy, &self.pool, problems) else {
            problems.sort_since(before);
            return false;
        };
        let begins_behind = self.entry_once && terms.grants.granted_seed().is_none();
        let options = RunOptions::new().limits(terms.limits).grants(terms.grants);
        // Before its entry is run for the first time: what a run burns is the same each time.
        #[cfg(feature = "compile")]
        let compiled = self.compile(&source, problems);
        let report = check(&source, &options, &self.pool, problems);
        problems.sort_since(before);
        if problems.count() > before {
            return false;
        }
        let report = report.filter(|_| begins_behind);
        let name: Arc<str> = name.into();
        let plugin = Plugin {
            name: Arc::clone(&name),
            chunk_name: source.chunk_name(),
            start: report.and_then(|report| Start::find(&report, &source, &options, &self.pool)),
            #[cfg(feature = "compile")]
            _compiled: compiled,
            source,
            limits: terms.limits,
            options,
            generation: next_generation(),
            path: path.to_owned(),
            root: root.to_owned(),
        };
        plugins.insert(name, Arc::new(plugin));
        true
    }
}

#[cfg(feature = "compile")]
impl Loader {
    /// Has a plugin's Lua translated, if it is one of those that are.
    fn compile(&self, source: &Source, problems: &mut Problems) -> Option<Lease> {
        if !self.compiled.has(&source.manifest.name) {
            return None;
        }
        compile::translate(&self.pool, source, problems)
    }
}

fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The names that belong to a plugin that was loaded before: it is still there and has the name
/// still, as far as anybody can tell. No newcomer takes it away, wherever it is found first.
fn owners<'o>(found: &[Found<'_>], old: &'o Plugins) -> HashMap<&'o str, &'o Arc<Plugin>> {
    let has_name = |found: &Found<'_>, name: &str| {
        let source = found.source.as_ref();
        source.is_none_or(|source| source.manifest.name == name)
    };
    old.iter()
        .filter(|(name, old)| found.iter().any(|it| it.was(old) && has_name(it, name)))
        .map(|(name, old)| (&**name, old))
        .collect()
}

/// What is different about the plugins of a host after they were loaded again.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) added: Vec<Arc<str>>,
    pub(super) changed: Vec<Arc<str>>,
    pub(super) removed: Vec<Arc<str>>,
}

impl Changes {
    pub(super) fn between(old: &Plugins, new: &Plugins) -> Changes {
        let mut changes = Changes::default();
        for (name, plugin) in new {
            match old.get(name) {
                None => changes.added.push(Arc::clone(name)),
                Some(old) if old.generation == plugin.generation => {}
                Some(_) => changes.changed.push(Arc::clone(name)),
            }
        }
        let is_gone = |name: &&Arc<str>| !new.contains_key(*name);
        changes.removed = old.keys().filter(is_gone).cloned().collect();
        changes
    }
}
