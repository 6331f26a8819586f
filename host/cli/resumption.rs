//! How to go on with a run that stopped.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches};

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
        for arg in resume.get_arguments() {
            let id = arg.get_id().as_str();
            let is_known = matches.try_contains_id(id).is_ok_and(|is_there| is_there);
            let Some(long) = arg.get_long().filter(|_| is_known) else {
                continue;
            };
            if NOT_AGAIN.contains(&id) || matches.value_source(id) != Some(ValueSource::CommandLine)
            {
                continue;
            }
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                flags.push(format!("--{long}"));
                continue;
            }
            for value in matches.get_raw(id).into_iter().flatten() {
                flags.push(format!("--{long}"));
                flags.push(quoted(&value.to_string_lossy()));
            }
        }
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
