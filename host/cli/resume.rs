//! `moonfork resume`, and how to call it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args};
use moonfork::workflow::{Checkpoint, Source};

use super::end::Mistake;
use super::{execute, input, workflow};

/// The arguments of `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The checkpoint, or a folder: then the one in it that was written last.
    checkpoint: PathBuf,

    /// The workflow that the checkpoint is of, where it isn't the file any more that it was.
    #[arg(short, long, value_name = "FILE")]
    workflow: Option<PathBuf>,

    /// Go on even if the workflow does something else than when the run began.
    #[arg(long)]
    changed: bool,

    #[command(flatten)]
    input: input::InputArgs,

    #[command(flatten)]
    overlays: workflow::OverlayArgs,

    #[command(flatten)]
    execute: execute::ExecuteArgs,
}

/// Goes on with a run, and prints its final state. The input is merged into the state.
pub(super) fn resume(args: ResumeArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    let (file, before) = match (&args.workflow, checkpoint.files.as_slice()) {
        (Some(file), _) => (file.as_path(), [].as_slice()),
        // The overlays of then, and those that are added now.
        (None, [file, overlays @ ..]) => (file.as_path(), overlays),
        (None, []) => {
            return Err(Mistake::new(
                "the checkpoint names no workflow: say which it is, with --workflow FILE",
            ));
        }
    };
    let overlays = [before, args.overlays.paths()].concat();
    let resumption = Resumption::of(matches, file, &overlays);
    let source = overlays.iter().fold(Source::file(file), Source::overlay);
    let workflow = workflow::load(&source, args.execute.log.quiet)?;
    let input = args.input.load_object()?;
    args.execute.execute(
        &workflow,
        execute::From::Checkpoint {
            changed: args.changed,
        },
        &resumption,
        Box::new(|workflow, pool, options| workflow.resume(pool, checkpoint, input, options)),
    )
}

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
    /// arguments.
    pub(super) fn of(matches: &ArgMatches, file: &Path, overlays: &[PathBuf]) -> Resumption {
        let mut flags = vec!["--workflow".to_owned(), quoted(&file.to_string_lossy())];
        for overlay in overlays {
            flags.push("--overlay".to_owned());
            flags.push(quoted(&overlay.to_string_lossy()));
        }
        let resume = ResumeArgs::augment_args(clap::Command::new("resume"));
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
