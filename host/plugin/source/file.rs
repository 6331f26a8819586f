//! Plugins in one file.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::files::{File, Source, name_of, text_of, unreadable};
use crate::diagnostics::{Code, Place, Problems};
use crate::plugin::read::{ManifestText, read};

/// A plugin in one file.
pub(super) fn load_file(path: &Path, problems: &mut Problems) -> Option<Source> {
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
            .error_in(&file, Code::ManifestMissing, Some(Place::line(1)), message)
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
        manifest: manifest.into(),
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
