//! `moonfork run`.

use std::path::PathBuf;

use clap::ArgMatches;

use super::resumption::Resumption;
use super::{execute, input, resume, stream, workflow};

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The workflow, a YAML file.
    file: PathBuf,

    #[command(flatten)]
    input: input::InputArgs,

    #[command(flatten)]
    overlays: workflow::OverlayArgs,

    /// Print the workflow with its overlays, and don't run it.
    #[arg(long)]
    dump_merged: bool,

    #[command(flatten)]
    execute: execute::ExecuteArgs,
}

/// Runs a workflow and prints its final state.
pub(super) fn run(args: RunArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let resumption = Resumption::of(
        &resume::command(),
        matches,
        &args.file,
        args.overlays.paths(),
    );
    let source = args.overlays.source(&args.file);
    if args.dump_merged {
        return stream::print(&source.dump()?);
    }
    let workflow = workflow::load(&source, args.execute.log.quiet)?;
    let input = args.input.load_object()?;
    args.execute.execute(
        &workflow,
        execute::From::Start,
        &resumption,
        matches,
        Box::new(|workflow, pool, options| workflow.run(pool, input, options)),
    )
}
