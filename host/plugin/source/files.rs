//! A plugin's files, as they were read.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostics::{Code, Problems};
use crate::plugin::manifest::Manifest;
use crate::plugin::read::Places;

/// The most that a file of a plugin may hold, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// All that was read of one plugin.
#[derive(Debug)]
pub(in crate::plugin) struct Source {
    pub(in crate::plugin) manifest: Arc<Manifest>,
    pub(in crate::plugin) places: Places,
    /// The file that the manifest is in.
    pub(in crate::plugin) manifest_file: Arc<str>,
    pub(in crate::plugin) entry: File,
    /// Its own modules, by the names they are required by.
    pub(in crate::plugin) modules: BTreeMap<String, File>,
}

impl Source {
    /// How Lua calls the entry in its messages.
    pub(in crate::plugin) fn chunk_name(&self) -> String {
        let Manifest { name, entry, .. } = &*self.manifest;
        if *entry == format!("{name}.lua") {
            entry.clone()
        } else {
            format!("{name}/{entry}")
        }
    }

    /// How Lua calls a module of its own.
    pub(in crate::plugin) fn module_chunk_name(&self, name: &str) -> String {
        format!("{}/{}.lua", self.manifest.name, name.replace('.', "/"))
    }

    /// Whether there would be no point in loading `other` in the place of this one.
    pub(in crate::plugin) fn is_like(&self, other: &Source) -> bool {
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
pub(in crate::plugin) struct File {
    /// Its path, as the host knows it.
    pub(in crate::plugin) path: Arc<str>,
    pub(in crate::plugin) text: Arc<str>,
}

pub(super) fn name_of(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

pub(super) fn unreadable(problems: &mut Problems, path: &Path, why: &io::Error) {
    problems.error_in(&name_of(path), Code::FileUnreadable, None, why.to_string());
}

/// What a file holds, which must be text and not too much of it.
pub(super) fn text_of(file: impl Read) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!(
            "it is larger than the {MAX_FILE} bytes that a plugin's file may have"
        )));
    }
    Ok(text)
}
