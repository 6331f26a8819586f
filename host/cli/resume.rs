//! `moonfork resume`.

use std::path::PathBuf;

use moonfork::workflow::Checkpoint;

use super::{execute, input, workflow};

/// The arguments of `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The checkpoint, or a folder: then the one in it that was written last.
    checkpoint: PathBuf,

    /// The workflow that the checkpoint is of.
    #[arg(short, long, value_name = "FILE")]
    workflow: PathBuf,

    #[command(flatten)]
    input: input::InputArgs,

    #[command(flatten)]
    overlays: workflow::OverlayArgs,

    #[command(flatten)]
    execute: execute::ExecuteArgs,
}

/// Goes on with a run, and prints its final state. The input is merged into the state.
pub(super) fn resume(args: ResumeArgs) -> anyhow::Result<()> {
    let source = args.overlays.source(&args.workflow);
    let workflow = workflow::load(&source, args.execute.quiet)?;
    let input = args.input.load()?;
    let checkpoint = Checkpoint::load(&args.checkpoint)?;
    args.execute.execute(
        &args.workflow,
        &workflow,
        Box::new(|workflow, pool, options| workflow.resume(pool, checkpoint, input, options)),
    )
}
