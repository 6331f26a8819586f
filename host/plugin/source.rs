//! Where plugins come from: folders and files, and what is read of them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::manifest::Manifest;
use super::place::Place;
use super::problem::{Code, LoadError, Problem, Problems};
use super::read::{ManifestText, Places, read};

/// The manifest's file in a folder.
const MANIFEST: &str = "plugin.toml";

/// The most that a file of a plugin may hold, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The most that all modules of a plugin may hold together, in bytes.
const MAX_MODULES_SIZE: usize = 16 << 20;

/// How many modules a plugin may have.
const MAX_MODULES: usize = 1000;

/// How deep folders of modules may lie.
const MAX_DEPTH: usize = 8;

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

/// A plugin in one file.
fn load_file(path: &Path, problems: &mut Problems) -> Option<Source> {
    let text = match text_at(path) {
        Ok(text) => text,
        Err(error) => {
            unreadable(problems, path, &error);
            return None;
        }
    };
    let file = name_of(path);
    let Some(range) = leading_manifest(&text) else {
        let message = "a plugin in one file must begin with its manifest, in a comment";
        problems
            .add(Code::ManifestMissing, &file, Some(Place::line(1)), message)
            .with_hint("begin it with `--[[ plugin`, then the manifest's lines, then `]]`");
        return None;
    };
    let entry = path.file_name().unwrap_or_default().to_string_lossy();
    let (manifest, places) = read(
        &ManifestText {
            file: &file,
            text: &text,
            range,
            fixed_entry: Some(&entry),
        },
        problems,
    )?;
    Some(Source {
        manifest,
        places,
        entry: File {
            path: Arc::clone(&file),
            text: text.into(),
        },
        manifest_file: file,
        modules: BTreeMap::new(),
    })
}

fn text_at(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    text_of(std::fs::File::open(path)?)
}

/// Where in a Lua file the manifest is: in the first long comment, which nothing but other
/// comments may come before.
fn leading_manifest(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if let Some(level) = opens_manifest(trimmed) {
            let body = start + line.len();
            let close = format!("]{}]", "=".repeat(level));
            let end = text.get(body..)?.find(&close)?;
            return Some(body..body + end);
        }
        if !trimmed.is_empty() && (!trimmed.starts_with("--") || trimmed.starts_with("--[")) {
            return None;
        }
        start += line.len();
    }
    None
}

/// The level of the long bracket in `--[==[ plugin`.
fn opens_manifest(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("--[")?;
    let level = rest.len() - rest.trim_start_matches('=').len();
    let word = rest[level..].strip_prefix('[')?;
    (word.trim() == "plugin").then_some(level)
}

/// A plugin in a folder. Everything is read beneath the folder's own handle, so that no
/// link leads out of it.
fn load_folder(path: &Path, problems: &mut Problems) -> Option<Source> {
    let folder = match Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(dir) => Folder { path, dir },
        Err(error) => {
            unreadable(problems, path, &error);
            return None;
        }
    };
    let manifest_file = name_of(&path.join(MANIFEST));
    if folder.dir.symlink_metadata(MANIFEST).is_err() {
        let message = format!("the folder has no {MANIFEST}, so it is no plugin");
        problems.add(Code::ManifestMissing, &name_of(path), None, message);
        return None;
    }
    let text = folder.text(MANIFEST, problems)?;
    let (manifest, places) = read(
        &ManifestText {
            file: &manifest_file,
            text: &text,
            range: 0..text.len(),
            fixed_entry: None,
        },
        problems,
    )?;
    let before = problems.count();
    let entry = match folder.read(&manifest.entry) {
        Ok(entry) => entry,
        Err(error) => {
            let message = format!("the entry `{}` can't be read: {error}", manifest.entry);
            let place = places.of("entry");
            problems.add(Code::FileUnreadable, &manifest_file, place, message);
            return None;
        }
    };
    let mut modules = BTreeMap::new();
    folder.modules("", &manifest.entry, 0, &mut modules, problems);
    (problems.count() == before).then(|| Source {
        entry: folder.file(&manifest.entry, entry),
        manifest,
        places,
        manifest_file,
        modules,
    })
}

struct Folder<'p> {
    path: &'p Path,
    dir: Dir,
}

impl Folder<'_> {
    /// The text of a file, which must be a file and no link to one.
    fn read(&self, name: &str) -> io::Result<String> {
        let metadata = self.dir.symlink_metadata(name)?;
        if !metadata.is_file() {
            return Err(io::Error::other(
                "it is not a file (links are not followed)",
            ));
        }
        text_of(self.dir.open(name)?)
    }

    fn file(&self, name: &str, text: String) -> File {
        File {
            path: name_of(&self.path.join(name)),
            text: text.into(),
        }
    }

    fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        self.read(name)
            .map_err(|error| unreadable(problems, &self.path.join(name), &error))
            .ok()
    }

    /// Finds the modules beneath `prefix`, which is empty or ends in a slash.
    fn modules(
        &self,
        prefix: &str,
        entry: &str,
        depth: usize,
        found: &mut BTreeMap<String, File>,
        problems: &mut Problems,
    ) {
        let here = if prefix.is_empty() { "." } else { prefix };
        let names = match self.names(here) {
            Ok(names) => names,
            Err(error) => return unreadable(problems, &self.path.join(prefix), &error),
        };
        for (name, is_folder) in names {
            let path = format!("{prefix}{name}");
            if is_folder && depth < MAX_DEPTH {
                self.modules(&format!("{path}/"), entry, depth + 1, found, problems);
                continue;
            }
            let Some(stem) = path.strip_suffix(".lua") else {
                continue;
            };
            if is_folder || path == entry {
                continue;
            }
            let file = name_of(&self.path.join(&path));
            if stem.contains('.') {
                let message = "no `require` would find a module whose file or folder has a dot in \
                               its name: dots stand for folders";
                problems.add(Code::ModuleConflict, &file, None, message);
                continue;
            }
            let size: usize = found.values().map(|file| file.text.len()).sum();
            if found.len() == MAX_MODULES || size > MAX_MODULES_SIZE {
                let message = format!(
                    "a plugin can't have more than {MAX_MODULES} modules, or {MAX_MODULES_SIZE} \
                     bytes of them"
                );
                problems.add(Code::FileUnreadable, &name_of(self.path), None, message);
                return;
            }
            if let Some(text) = self.text(&path, problems) {
                found.insert(stem.replace('/', "."), self.file(&path, text));
            }
        }
    }

    /// What is in a folder, without hidden names, in order; and whether it is a folder.
    fn names(&self, path: &str) -> io::Result<Vec<(String, bool)>> {
        let mut names = Vec::new();
        for entry in self.dir.read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push((name, entry.file_type()?.is_dir()));
            }
        }
        names.sort();
        Ok(names)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_the_first_long_comment() {
        let manifest = |text: &str| leading_manifest(text).map(|range| text[range].to_owned());
        for (text, expected) in [
            ("--[[ plugin\na = 1\n]]\nreturn", Some("a = 1\n")),
            ("--[==[plugin\na = [[1]]\n]==]", Some("a = [[1]]\n")),
            ("-- License.\n\n--[[ plugin\n]]", Some("")),
            ("x = 1\n--[[ plugin\n]]", None),
            ("--[[ something else\n]]\n--[[ plugin\n]]", None),
            ("--[[ plugin\nnever closed", None),
            ("", None),
        ] {
            assert_eq!(manifest(text).as_deref(), expected, "{text:?}");
        }
    }
}
