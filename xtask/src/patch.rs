//! Changes to Lua's own sources: guest/wasi/patches.toml, which says what each is for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The patches, by the name of the file they are for.
#[derive(Deserialize)]
pub(crate) struct Patches(BTreeMap<String, FilePatches>);

/// What is to be done to one file, in this order.
#[derive(Deserialize)]
pub(crate) struct FilePatches {
    /// Flags for the compiler besides.
    #[serde(default)]
    pub(crate) flags: Vec<String>,
    #[serde(default)]
    replace: Vec<Replacement>,
}

/// Text that occurs exactly once, and what takes its place.
#[derive(Deserialize)]
struct Replacement {
    find: String,
    with: String,
}

impl Patches {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Patches> {
        let text = fs::read_to_string(path);
        let text = text.with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))
    }

    /// What is to be done to the file of this name, if anything.
    pub(crate) fn of(&self, file: &str) -> Option<&FilePatches> {
        self.0.get(file)
    }
}

impl FilePatches {
    /// `source` with all of it done.
    ///
    /// # Errors
    ///
    /// When a text isn't there exactly once: the source is another than the patch was made for.
    pub(crate) fn apply(&self, source: &str) -> Result<String> {
        let mut text = source.to_owned();
        for Replacement { find, with } in &self.replace {
            let at = only(&text, find)?;
            text.replace_range(at..at + find.len(), with);
        }
        Ok(text)
    }
}

/// Where `part` is in `text`.
fn only(text: &str, part: &str) -> Result<usize> {
    let mut found = text.match_indices(part).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => bail!("there is no {part:?}: the patch is for another version"),
        (Some(_), Some(_)) => bail!("there is more than one {part:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::FilePatches;

    fn patches(text: &str) -> FilePatches {
        toml::from_str(text).expect("patches in TOML")
    }

    #[test]
    fn texts_are_replaced_one_after_the_other() {
        let patches =
            patches("replace = [{ find = 'two', with = '2' }, { find = '2 three', with = '5' }]");
        let patched = patches.apply("one two three").expect("all is there");
        assert_eq!(patched, "one 5");
    }

    #[test]
    fn another_version_of_a_source_is_an_error() {
        let patches = patches("replace = [{ find = 'two', with = '2' }]");
        for source in ["one three", "two two"] {
            assert!(patches.apply(source).is_err(), "{source}");
        }
    }
}
