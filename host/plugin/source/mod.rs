//! Where plugins come from: folders and files, and what is read of them.

mod file;
mod folder;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::Manifest;
use super::problem::{Code, LoadError, Problem, Problems};
use super::read::Places;

use file::load_file;
use folder::{MANIFEST, load_folder};

/// The most that a file of a plugin may hold, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// All that was read of one plugin.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) manifest: Manifest,
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
        let Manifest { name, entry, .. } = &self.manifest;
        if *entry == format!("{name}.lua") {
            entry.clone()
        } else {
            format!("{name}/{entry}")
        }
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
    let manifests = find(path.as_ref(), &mut problems)
        .iter()
        .filter_map(|path| load(path, &mut problems))
        .map(|source| source.manifest)
        .collect();
    (manifests, problems.into_vec())
}

/// Where plugins are: `path` itself if it is one, or what is in the folder there, in the order
/// of names.
pub(super) fn find(path: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    if path.is_file() || path.join(MANIFEST).exists() {
        return vec![path.to_owned()];
    }
    plugins_in(path).unwrap_or_else(|error| {
        unreadable(problems, path, &error);
        Vec::new()
    })
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
    problems.add(Code::FileUnreadable, &name_of(path), None, why.to_string());
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
