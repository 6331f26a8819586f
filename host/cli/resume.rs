//! `moonfork resume`.

use std::path::PathBuf;

use clap::{ArgMatches, Args};
use moonfork::workflow::{Checkpoint, Source};

use super::end::Mistake;
use super::resumption::Resumption;
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
            return Err(Mistake::error(
                "the checkpoint names no workflow: say which it is, with --workflow FILE",
            ));
        }
    };
    let overlays = [before, args.overlays.paths()].concat();
    let resumption = Resumption::of(&command(), matches, file, &overlays);
    let source = overlays.iter().fold(Source::file(file), Source::overlay);
    let workflow = workflow::load(&source, args.execute.log.quiet)?;
    let input = args.input.load_object()?;
    args.execute.execute(
        &workflow,
        execute::From::Checkpoint {
            changed: args.changed,
        },
        &resumption,
        matches,
        Box::new(|workflow, pool, options| workflow.resume(pool, checkpoint, input, options)),
    )
}

/// The arguments of `resume`, for who says how to call it.
pub(super) fn command() -> clap::Command {
    ResumeArgs::augment_args(clap::Command::new("resume"))
}
