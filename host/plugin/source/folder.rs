//! Plugins in a folder.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::files::{File, Source, name_of, text_of, unreadable};
use crate::diagnostics::{Code, Problems};
use crate::plugin::read::{ManifestText, read};

/// The manifest's file in a folder.
pub(super) const MANIFEST: &str = "plugin.toml";

/// The most that all modules of a plugin may hold together, in bytes.
const MAX_MODULES_SIZE: usize = 16 << 20;

/// How many modules a plugin may have.
const MAX_MODULES: usize = 1000;

/// How deep folders of modules may lie.
const MAX_DEPTH: usize = 8;

/// A plugin in a folder. Everything is read beneath the folder's own handle, so that no
/// link leads out of it.
pub(super) fn load_folder(path: &Path, problems: &mut Problems) -> Option<Source> {
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
        problems.error_in(&name_of(path), Code::ManifestMissing, None, message);
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
            problems.error_in(&manifest_file, Code::FileUnreadable, place, message);
            return None;
        }
    };
    let mut modules = BTreeMap::new();
    folder.modules("", &manifest.entry, 0, &mut modules, problems);
    (problems.count() == before).then(|| Source {
        entry: folder.file(&manifest.entry, entry),
        manifest: manifest.into(),
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
                problems.error_in(&file, Code::ModuleConflict, None, message);
                continue;
            }
            let size: usize = found.values().map(|file| file.text.len()).sum();
            if found.len() == MAX_MODULES || size > MAX_MODULES_SIZE {
                let message = format!(
                    "a plugin can't have more than {MAX_MODULES} modules, or {MAX_MODULES_SIZE} \
                     bytes of them"
                );
                problems.error_in(&name_of(self.path), Code::FileUnreadable, None, message);
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
