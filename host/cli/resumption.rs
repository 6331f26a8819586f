//! How to go on with a run that stopped.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::flags;

/// What of a run isn't said again when it is resumed: it is in the checkpoint, done, or
/// said otherwise.
const NOT_AGAIN: &[&str] = &[
    "checkpoint",
    "workflow",
    "changed",
    "overlays",
    "input",
    "interrupt_before",
    "interrupt_after",
];

/// The command that goes on with a run, but for its checkpoint: with the same overlays, limits,
/// grants and whatever else it was started with.
#[derive(Debug)]
pub(super) struct Resumption {
    flags: Vec<String>,
}

impl Resumption {
    /// For the run of `file` with these overlays that was started, or resumed, with these
    /// arguments, by what `resume` can be told.
    pub(super) fn of(
        resume: &clap::Command,
        matches: &ArgMatches,
        file: &Path,
        overlays: &[PathBuf],
    ) -> Resumption {
        let mut flags = vec!["--workflow".to_owned(), quoted(&file.to_string_lossy())];
        for overlay in overlays {
            flags.push("--overlay".to_owned());
            flags.push(quoted(&overlay.to_string_lossy()));
        }
        let given = flags::given(resume, matches, NOT_AGAIN);
        flags.extend(given.iter().map(|word| quoted(&word.to_string_lossy())));
        Resumption { flags }
    }

    /// What to say of a run that stopped, with the command that goes on from its checkpoint.
    pub(super) fn after(&self, stopped: &str, checkpoint: Option<&Path>) -> String {
        match checkpoint {
            None => format!("{stopped}; without --checkpoint-dir, there is nothing to go on from"),
            Some(checkpoint) => format!(
                "{stopped}; to go on: moonfork resume {} {}",
                quoted(&checkpoint.to_string_lossy()),
                self.flags.join(" ")
            ),
        }
    }
}

/// A word as a shell has to be told it.
fn quoted(word: &str) -> String {
    // What no shell can be told is no path either.
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), Cow::into_owned)
}
