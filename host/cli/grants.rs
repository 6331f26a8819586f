//! Capabilities as flags: what a script may do besides computing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use moonfork::{Access, Chunk, Clock, Grants, PoolBuilder};

use super::end::Mistake;
use super::{cache, input};

/// What a script may do besides computing: nothing, unless it is granted here.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Grants")]
pub(super) struct GrantArgs {
    /// Let scripts tell the time: os.time, os.date, os.clock, in UTC.
    #[arg(long)]
    clock: bool,

    /// Take random numbers from this seed, the same each time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Let scripts read the files in a folder, as fs.read("NAME/file"); with :rw behind the
    /// path, write them too. Can be given several times.
    #[arg(long = "folder", value_name = "NAME=PATH[:rw]")]
    folders: Vec<Folder>,

    /// Let scripts require a Lua file as a module. Can be given several times.
    #[arg(long = "module", value_name = "NAME=FILE")]
    modules: Vec<Module>,
}

/// One `--folder`.
#[derive(Clone, Debug, PartialEq)]
struct Folder {
    name: String,
    path: PathBuf,
    access: Access,
}

/// One `--module`.
#[derive(Clone, Debug, PartialEq)]
struct Module {
    name: String,
    path: PathBuf,
}

impl GrantArgs {
    /// Adds to a pool what is granted, and says what that is.
    ///
    /// # Errors
    /// If a folder or file isn't there.
    pub(super) fn apply(&self, mut pool: PoolBuilder) -> anyhow::Result<(PoolBuilder, Grants)> {
        let mut grants = Grants::none();
        if self.clock {
            grants = grants.clock(Clock::system());
        }
        if let Some(seed) = self.seed {
            grants = grants.seed(seed);
        }
        let mut folders: BTreeMap<&str, &Path> = BTreeMap::new();
        for Folder { name, path, access } in &self.folders {
            if let Some(other) = folders.insert(name, path) {
                return Err(Mistake::error(format!(
                    "two folders are named '{name}': {} and {}",
                    other.display(),
                    path.display()
                )));
            }
            if *access == Access::ReadWrite {
                cache::check(path)?;
            }
            grants = grants.folder(name, moonfork::Folder::open(path, *access)?);
        }
        let mut modules: BTreeMap<&str, &Path> = BTreeMap::new();
        for Module { name, path } in &self.modules {
            if let Some(other) = modules.insert(name, path) {
                return Err(Mistake::error(format!(
                    "two modules are named '{name}': {} and {}",
                    other.display(),
                    path.display()
                )));
            }
            let chunk = Chunk::body(input::file(path)?).named(path.display().to_string());
            pool = pool.module(name, chunk);
            grants = grants.module(name);
        }
        Ok((pool, grants))
    }
}

impl GrantArgs {
    /// The folders, by the names they are granted under.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&str, &Path, Access)> {
        let folders = self.folders.iter();
        folders.map(|folder| (folder.name.as_str(), folder.path.as_path(), folder.access))
    }

    /// What is granted, in the words of the flags.
    pub(super) fn described(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(self.clock.then(|| "clock".to_owned()));
        all.extend(self.seed.map(|seed| format!("seed {seed}")));
        for Folder { name, path, access } in &self.folders {
            let how = match access {
                Access::ReadOnly => "to read",
                Access::ReadWrite => "to read and write",
            };
            all.push(format!("folder {name} ({}, {how})", path.display()));
        }
        let modules = self.modules.iter();
        all.extend(modules.map(|module| format!("module {}", module.name)));
        all
    }

    /// Whether the time is granted.
    pub(super) fn has_clock(&self) -> bool {
        self.clock
    }

    /// Whether this access to a folder is granted.
    pub(super) fn has_folder(&self, name: &str, access: Access) -> bool {
        self.folders()
            .any(|(it, _, granted)| it == name && granted >= access)
    }

    /// Whether a module is granted.
    pub(super) fn has_module(&self, name: &str) -> bool {
        self.modules.iter().any(|module| module.name == name)
    }
}

fn named(text: &str) -> Result<(String, &str), String> {
    match text.split_once('=') {
        Some((name, rest)) if !name.is_empty() && !rest.is_empty() => Ok((name.to_owned(), rest)),
        _ => Err("write it as NAME=PATH".to_owned()),
    }
}

impl FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Folder, String> {
        let (name, path) = named(text)?;
        let (path, access) = match path.strip_suffix(":rw") {
            Some(path) => (path, Access::ReadWrite),
            None => (path.strip_suffix(":ro").unwrap_or(path), Access::ReadOnly),
        };
        Ok(Folder {
            name,
            path: path.into(),
            access,
        })
    }
}

impl FromStr for Module {
    type Err = String;

    fn from_str(text: &str) -> Result<Module, String> {
        let (name, path) = named(text)?;
        Ok(Module {
            name,
            path: path.into(),
        })
    }
}
