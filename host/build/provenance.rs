//! Where the committed guest module comes from.
//!
//! `host/prebuilt/` holds the guest as a WebAssembly module together with a record of what it
//! was built from and with. Three programs share this file: `cargo xtask guest` writes the
//! record, the build script refuses a module that doesn't match it, and `tests/runtime/provenance.rs`
//! fails when `guest/` has moved on. It lives under `host/` because cargo leaves the folders
//! of other packages out of what it packs.

#![allow(
    dead_code,
    reason = "each of the three programs uses a part of this file"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The committed module, relative to the workspace.
pub(crate) const MODULE: &str = "host/prebuilt/moonfork-guest.wasm";

/// Its record, relative to the workspace.
pub(crate) const RECORD: &str = "host/prebuilt/provenance.json";

/// The command that builds both anew.
pub(crate) const REBUILD: &str = "cargo xtask guest";

/// Files and folders that end up in the module: the guest's without its tests, and what it
/// shares with the host.
const SOURCES: [&str; 8] = [
    "guest/Cargo.toml",
    "guest/build.rs",
    "guest/lua",
    "guest/src",
    "guest/wasi",
    "host/codec/number.rs",
    "host/codec/path.rs",
    "host/wire.rs",
];

/// What a build script has to watch: the sources, and where locked packages and settings are.
pub(crate) fn inputs() -> impl Iterator<Item = &'static str> {
    SOURCES.into_iter().chain(["Cargo.lock", "Cargo.toml"])
}

/// What is known of the committed module.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    /// The module itself.
    pub(crate) module: ModuleRecord,
    /// What it was built from.
    pub(crate) inputs: Inputs,
    /// Which of the two ways of building it was taken.
    pub(crate) route: String,
    /// What it was built with: the version of each tool, by the tool's name.
    pub(crate) tools: BTreeMap<String, String>,
}

/// A module's identity.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModuleRecord {
    /// SHA-256 of its bytes, in lower-case hexadecimal digits.
    pub(crate) sha256: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// What a module is built from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// SHA-256 of the guest's files: see [`source_files`].
    pub(crate) sources: String,
    /// SHA-256 of what the workspace's `Cargo.toml` decides for the guest.
    pub(crate) settings: String,
    /// The packages that the guest is built from, directly or not, as `Cargo.lock` pins them:
    /// name, version and checksum.
    pub(crate) dependencies: BTreeSet<String>,
}

impl Provenance {
    /// Reads the record of the committed module.
    pub(crate) fn read(workspace: &Path) -> Result<Self> {
        let path = workspace.join(RECORD);
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Writes the record beside the committed module.
    pub(crate) fn write(&self, workspace: &Path) -> Result<()> {
        let path = workspace.join(RECORD);
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Refuses a module that isn't the recorded one.
    pub(crate) fn accept(&self, module: &ModuleRecord) -> Result<()> {
        ensure!(
            *module == self.module,
            "{MODULE} is not the module that {RECORD} describes: run `{REBUILD}`"
        );
        Ok(())
    }

    /// What to tell a developer whose workspace would give another module; nothing if it is
    /// as recorded.
    pub(crate) fn outdated(&self, workspace: &Path) -> Result<Option<String>> {
        let differences = self.inputs.differences(workspace)?;
        let message = || {
            let changed = differences.join(" and ");
            format!("{MODULE} was built before {changed} changed: run `{REBUILD}`")
        };
        Ok((!differences.is_empty()).then(message))
    }
}

impl ModuleRecord {
    /// The identity of `module`.
    pub(crate) fn of(module: &[u8]) -> Self {
        Self {
            sha256: sha256([module]),
            size: module.len() as u64,
        }
    }
}

impl Inputs {
    /// What the workspace would build the guest from now, given the name and the version of
    /// each package. (Only cargo itself knows which packages those are: `Cargo.lock` doesn't
    /// tell a feature that the guest asks for from one that only the host does.)
    pub(crate) fn of(workspace: &Path, packages: &BTreeSet<(String, String)>) -> Result<Self> {
        let locked = read_lock(workspace)?.into_iter();
        let used = locked
            .filter(|package| packages.contains(&(package.name.clone(), package.version.clone())));
        Ok(Self {
            sources: sources_hash(workspace)?,
            settings: settings_hash(workspace)?,
            dependencies: used.map(|package| package.line()).collect(),
        })
    }

    /// What has changed in the workspace since, in words for a message.
    ///
    /// A package that the guest newly depends on isn't looked for: the manifest that asks for
    /// it, or the package that does, has changed as well.
    fn differences(&self, workspace: &Path) -> Result<Vec<&'static str>> {
        let mut differences = Vec::new();
        if sources_hash(workspace)? != self.sources {
            differences.push("the guest's sources");
        }
        if settings_hash(workspace)? != self.settings {
            differences.push("the guest's settings in Cargo.toml");
        }
        let locked = read_lock(workspace)?.into_iter();
        let locked = locked.map(|package| package.line()).collect();
        if !self.dependencies.is_subset(&locked) {
            differences.push("the guest's packages in Cargo.lock");
        }
        Ok(differences)
    }
}

/// SHA-256 of all `parts` in a row, in lower-case hexadecimal digits.
pub(crate) fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Every file that ends up in the module, relative to the workspace and sorted.
///
/// Hidden files are left out: they are an editor's or a file manager's, not the guest's.
pub(crate) fn source_files(workspace: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for source in SOURCES {
        let path = workspace.join(source);
        if path.is_dir() {
            collect_files(&path, &mut files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    let relative = |file: PathBuf| Ok(file.strip_prefix(workspace)?.to_path_buf());
    let mut files = files
        .into_iter()
        .map(relative)
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn sources_hash(workspace: &Path) -> Result<String> {
    let mut lines = BTreeSet::new();
    for file in source_files(workspace)? {
        let path = workspace.join(&file);
        let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let name: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
        lines.insert(format!("{} {}\n", name.join("/"), sha256([&*content])));
    }
    Ok(hash_lines(&lines))
}

fn hash_lines(lines: &BTreeSet<String>) -> String {
    sha256(lines.iter().map(String::as_bytes))
}

fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.parse()
        .with_context(|| format!("in {}", path.display()))
}

/// A package in `Cargo.lock`, as far as it matters here.
#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl LockedPackage {
    fn line(&self) -> String {
        let checksum = self.checksum.as_deref().unwrap_or("local");
        format!("{} {} {checksum}", self.name, self.version)
    }
}

fn read_lock(workspace: &Path) -> Result<Vec<LockedPackage>> {
    let mut lock = read_toml(&workspace.join("Cargo.lock"))?;
    let packages = lock
        .remove("package")
        .context("Cargo.lock has no packages")?;
    packages
        .try_into()
        .context("Cargo.lock has packages of an unknown form")
}

/// The version of the package `name` in the workspace's `Cargo.lock`.
pub(crate) fn locked_version(workspace: &Path, name: &str) -> Result<String> {
    let mut packages = read_lock(workspace)?.into_iter();
    let package = packages.find(|package| package.name == name);
    let package = package.with_context(|| format!("Cargo.lock has no package {name}"))?;
    Ok(package.version)
}

/// Hashes what the guest inherits from the workspace: its version and edition, the features of
/// its dependencies, the profiles it is compiled with, and patched packages.
fn settings_hash(workspace: &Path) -> Result<String> {
    let manifest = read_toml(&workspace.join("Cargo.toml"))?;
    let mut lines = BTreeSet::new();
    let mut add = |path: &[&str]| {
        let mut keys = path.iter();
        let first = keys.next().and_then(|key| manifest.get(*key));
        let value = keys.try_fold(first, |value, key| Some(value?.get(*key)));
        if let Some(value) = value.flatten() {
            lines.insert(format!("{} = {}\n", path.join("."), canonical(value)));
        }
    };
    add(&["patch"]);
    add(&["profile", "guest"]);
    add(&["profile", "release"]);
    add(&["workspace", "package", "edition"]);
    add(&["workspace", "package", "version"]);
    for name in direct_dependencies(&read_toml(&workspace.join("guest/Cargo.toml"))?) {
        add(&["workspace", "dependencies", &name]);
    }
    Ok(hash_lines(&lines))
}

/// The keys under which a manifest lists dependencies, without what only its tests need.
fn direct_dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(toml::Table::values);
    let tables = platforms
        .filter_map(toml::Value::as_table)
        .chain([manifest]);
    tables
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)))
        .filter_map(|dependencies| dependencies?.as_table())
        .flat_map(|dependencies| dependencies.keys().cloned())
        .collect()
}

/// One spelling for a value, whatever the order of its keys. (The order in which `toml`
/// hands them out depends on a cargo feature that any other package can switch on.)
fn canonical(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let sorted: BTreeMap<_, _> = table.iter().collect();
            let fields = sorted
                .into_iter()
                .map(|(key, value)| format!("{key:?}={}", canonical(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        toml::Value::Array(values) => {
            let values: Vec<_> = values.iter().map(canonical).collect();
            format!("[{}]", values.join(","))
        }
        plain => plain.to_string(),
    }
}
