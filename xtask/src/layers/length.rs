//! No file is longer than one can keep in mind, but for those that say why.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Lines that a file may have.
const MAX_LINES: usize = 500;

/// Folders of the workspace that have the project's own code.
const FOLDERS: [&str; 8] = [
    "benches", "examples", "guest", "host", "nats", "python", "tests", "xtask",
];

/// Longer ones, and why. Each has to be there still, and to be longer.
pub(super) const LONGER: &[(&str, &str)] = &[
    (
        "guest/src/vm.rs",
        "all operations of the protocol, each a few lines",
    ),
    (
        "python/src/branch.rs",
        "two classes of Python's, whose methods are alike",
    ),
    (
        "python/src/value.rs",
        "two ways, each a visitor with a method for every kind of value",
    ),
    (
        "tests/allocated_bytes.rs",
        "a binary of its own, since it counts what its process allocates",
    ),
    (
        "tests/runtime/forks.rs",
        "cases of one concept, which share their helpers",
    ),
    (
        "tests/runtime/hostile_guest.rs",
        "a list of guests, each with what it tries",
    ),
    (
        "tests/workflow/problems.rs",
        "a list of mistakes, with their messages",
    ),
    (
        "tests/workflow/tea.rs",
        "a list of workflows, with what The Edge Agent gives",
    ),
];

/// All that is wrong with the lengths of the files below `workspace`, a line each.
///
/// # Errors
///
/// When a folder or a file can't be read.
pub(super) fn problems(workspace: &Path, longer: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in FOLDERS.map(|folder| workspace.join(folder)) {
        if folder.exists() {
            collect(&folder, &mut files)?;
        }
    }
    let mut problems = Vec::new();
    let mut left: Vec<_> = longer.iter().map(|(file, _)| *file).collect();
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = text.lines().count();
        let file = path
            .strip_prefix(workspace)
            .unwrap_or(&path)
            .display()
            .to_string();
        if lines <= MAX_LINES {
            continue;
        }
        let before = left.len();
        left.retain(|known| *known != file);
        if left.len() == before {
            problems.push(format!(
                "{file} has {lines} lines, more than {MAX_LINES}: split it, or say why not"
            ));
        }
    }
    problems.extend(left.iter().map(|file| {
        format!(
            "{file} isn't longer than {MAX_LINES} lines: take it off the list of those that are"
        )
    }));
    Ok(problems)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        // What is built or installed there isn't the project's.
        let is_built = ["target", ".venv"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_built {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
