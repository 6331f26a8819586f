//! Where plugins come from: folders and files, and what is read of them.

mod file;
mod folder;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::Manifest;
use super::read::Places;
use crate::diagnostics::{Code, LoadError, Problem, Problems};

use file::load_file;
use folder::{MANIFEST, load_folder};

/// The most that a file of a plugin may hold, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// All that was read of one plugin.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) manifest: Arc<Manifest>,
    pub(super) places: Places,
    /// The file that the manifest is in.
    pub(super) manifest_file: Arc<str>,
    pub(super) entry: File,
    /// Its own modules, by the names they are required by.
    pub(super) modules: BTreeMap<String, File>,
}

impl Source {
    /// How Lua calls the entry in its messages.
    pub(super) fn chunk_name(&self) -> String {
        let Manifest { name, entry, .. } = &*self.manifest;
        if *entry == format!("{name}.lua") {
            entry.clone()
        } else {
            format!("{name}/{entry}")
        }
    }

    /// How Lua calls a module of its own.
    pub(super) fn module_chunk_name(&self, name: &str) -> String {
        format!("{}/{}.lua", self.manifest.name, name.replace('.', "/"))
    }

    /// Whether there would be no point in loading `other` in the place of this one.
    pub(super) fn is_like(&self, other: &Source) -> bool {
        fn modules(source: &Source) -> impl Iterator<Item = (&str, &str)> {
            let modules = source.modules.iter();
            modules.map(|(name, file)| (name.as_str(), &*file.text))
        }
        self.manifest == other.manifest
            && self.entry.text == other.entry.text
            && modules(self).eq(modules(other))
    }
}

/// A Lua file.
#[derive(Debug)]
pub(super) struct File {
    /// Its path, as the host knows it.
    pub(super) path: Arc<str>,
    pub(super) text: Arc<str>,
}

/// Reads the manifests at `path` (a plugin, or a folder of plugins), and runs nothing.
///
/// # Errors
///
/// Everything that is wrong with any of them.
pub fn read_manifests(path: impl AsRef<Path>) -> Result<Vec<Manifest>, LoadError> {
    let (manifests, problems) = read_sound_manifests(path);
    if problems.is_empty() {
        Ok(manifests)
    } else {
        Err(LoadError::new(problems))
    }
}

/// As [`read_manifests`], but those that are sound, and besides everything that is wrong with
/// the others.
pub fn read_sound_manifests(path: impl AsRef<Path>) -> (Vec<Manifest>, Vec<Problem>) {
    let mut problems = Problems::default();
    let paths = find(path.as_ref(), &mut problems).unwrap_or_default();
    let manifests = paths
        .iter()
        .filter_map(|path| load(path, &mut problems))
        .map(|source| Arc::unwrap_or_clone(source.manifest))
        .collect();
    (manifests, problems.into_vec())
}

/// Where plugins are: `path` itself if it is one, or what is in the folder there, in the order
/// of names. `None` if there is no saying.
pub(super) fn find(path: &Path, problems: &mut Problems) -> Option<Vec<PathBuf>> {
    if path.is_file() || path.join(MANIFEST).exists() {
        return Some(vec![path.to_owned()]);
    }
    let found = plugins_in(path);
    found
        .map_err(|error| unreadable(problems, path, &error))
        .ok()
}

/// Reads the plugin at `path`.
pub(super) fn load(path: &Path, problems: &mut Problems) -> Option<Source> {
    if path.is_dir() {
        load_folder(path, problems)
    } else {
        load_file(path, problems)
    }
}

/// The folders and Lua files in `path`, without hidden ones.
fn plugins_in(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && (path.is_dir() || path.extension().is_some_and(|end| end == "lua")) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

fn unreadable(problems: &mut Problems, path: &Path, why: &io::Error) {
    problems.error_in(&name_of(path), Code::FileUnreadable, None, why.to_string());
}

/// What a file holds, which must be text and not too much of it.
fn text_of(file: impl Read) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!(
            "it is larger than the {MAX_FILE} bytes that a plugin's file may have"
        )));
    }
    Ok(text)
}
