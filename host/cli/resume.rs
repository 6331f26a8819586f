//! `moonfork resume`.

use std::path::PathBuf;

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
pub(super) fn resume(args: ResumeArgs) -> anyhow::Result<()> {
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    let (file, source) = match (&args.workflow, checkpoint.files.as_slice()) {
        (Some(file), _) => (file.clone(), args.overlays.source(file)),
        (None, [file, overlays @ ..]) => {
            // The overlays of then, and those that are added now.
            let source = overlays.iter().fold(Source::file(file), Source::overlay);
            (file.clone(), args.overlays.on(source))
        }
        (None, []) => {
            let why = "the checkpoint names no workflow: say which it is, with --workflow FILE";
            return Err(Mistake(why.to_owned()).into());
        }
    };
    let workflow = workflow::load(&source, args.execute.quiet)?;
    let input = args.input.load()?;
    args.execute.execute(
        &file,
        &workflow,
        execute::From::Checkpoint {
            changed: args.changed,
        },
        Box::new(|workflow, pool, options| workflow.resume(pool, checkpoint, input, options)),
    )
}
