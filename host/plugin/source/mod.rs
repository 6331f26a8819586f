//! Where plugins come from: folders and files, and what is read of them.

mod file;
mod files;
mod folder;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::Manifest;
use crate::diagnostics::{LoadError, Problem, Problems};

use file::load_file;
use files::{text_of, unreadable};
use folder::{MANIFEST, load_folder};

pub(super) use files::{File, Source};

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

/// The name that the plugin at `path` gives itself, whatever is wrong with it, if it gives any.
pub(super) fn written_name(path: &Path) -> Option<String> {
    let manifest = match path.is_dir() {
        true => path.join(MANIFEST),
        false => path.to_owned(),
    };
    let text = std::fs::metadata(&manifest)
        .and_then(|found| match found.is_file() {
            true => text_of(std::fs::File::open(&manifest)?),
            false => Err(io::Error::other("it is not a file")),
        })
        .ok();
    // The line needn't be TOML that anything could be made of.
    let named = text.iter().flat_map(|text| text.lines()).find_map(|line| {
        let value = line.trim().strip_prefix("name")?.trim_start();
        let value = value.strip_prefix('=')?.trim();
        Some(value.trim_matches(['"', '\'']).to_owned())
    });
    named.filter(|name| !name.is_empty())
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
