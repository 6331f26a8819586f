//! Where the journals of a run's instances go.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cap_std::fs::Dir;

use crate::Journal;
use crate::private_file;
use crate::workflow::options::RunSettings;
use crate::workflow::outside::Outside;

/// The folder of a run's journals.
pub(crate) struct Journals {
    path: PathBuf,
    dir: Dir,
    bytes: usize,
    outside: std::sync::Arc<Outside>,
    /// How many have a name already, by what it begins with.
    taken: Mutex<HashMap<String, u32>>,
}

/// What the files' names end in.
const EXTENSION: &str = "journal";

impl Journals {
    /// Those of a run with these settings, if there are to be any: the folder is made and opened.
    ///
    /// # Errors
    /// If that can't be done, with the reason.
    pub(crate) fn of(options: &RunSettings) -> Result<Option<Journals>, String> {
        let Some(path) = &options.journals else {
            return match options.journal_bytes {
                None => Ok(None),
                Some(_) => Err(
                    "a size of journals is given and no folder for them: it would have no effect"
                        .to_owned(),
                ),
            };
        };
        let dir = private_file::make_folder(path).map_err(|error| {
            format!(
                "journals can't be written to the folder {}: {error}",
                path.display()
            )
        })?;
        Ok(Some(Journals {
            path: path.clone(),
            dir,
            bytes: options.journal_bytes.unwrap_or(Journal::BYTES),
            outside: std::sync::Arc::clone(&options.outside),
            taken: Mutex::default(),
        }))
    }

    /// Bytes that each may take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the journal of an instance of this branch, or of the main path, without what must not be seen.
    ///
    /// # Errors
    /// If it can't be written, with the reason.
    pub(crate) fn write(
        &self,
        branch: Option<&str>,
        mut journal: Journal,
    ) -> Result<PathBuf, String> {
        if let Some(branch) = branch {
            journal.label("branch", branch);
        } else {
            journal.label("path", "main");
        }
        journal.mask(self.outside.hidden());
        let written = self.name(branch).and_then(|name| {
            journal.write_in(&self.dir, OsStr::new(&name))?;
            Ok(self.path.join(name))
        });
        written.map_err(|error| {
            format!(
                "a journal can't be written to the folder {}: {error}",
                self.path.display()
            )
        })
    }

    /// A name that no file has: branches of one name may run several times, and earlier runs have left theirs.
    fn name(&self, branch: Option<&str>) -> io::Result<String> {
        let begins = branch.map_or_else(|| "main".to_owned(), file_name);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = taken.entry(begins.clone()).or_default();
        loop {
            *number += 1;
            let name = match *number {
                1 => format!("{begins}.{EXTENSION}"),
                number => format!("{begins}-{number}.{EXTENSION}"),
            };
            if !self.dir.try_exists(Path::new(&name))? {
                return Ok(name);
            }
        }
    }
}

/// A branch's name as that of a file: `outer/inner` is `outer.inner`.
fn file_name(branch: &str) -> String {
    /// Characters that are kept: names of files have an end, and numbers follow.
    const MAX: usize = 120;

    let name: String = branch
        .chars()
        .take(MAX)
        .map(|c| match c {
            '/' => '.',
            c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
            _ => '_',
        })
        .collect();
    // No name is hidden, none is the main path's, and none is empty.
    match name.as_str() {
        "" | "main" => format!("branch_{name}"),
        name if name.starts_with('.') => format!("branch{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_those_of_files() {
        for (branch, name) in [
            ("fetch", "fetch"),
            ("outer/in ner[3]", "outer.in_ner_3_"),
            ("main", "branch_main"),
            ("", "branch_"),
            ("../x", "branch...x"),
        ] {
            assert_eq!(file_name(branch), name);
        }
    }
}
