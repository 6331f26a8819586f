//! `moonfork validate`.

use std::path::PathBuf;

use super::{stream, workflow};

/// The arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// The workflow, a YAML file.
    file: PathBuf,

    #[command(flatten)]
    overlays: workflow::OverlayArgs,
}

/// Looks for mistakes in a workflow. None of its Lua is run, nor even parsed.
pub(super) fn validate(args: ValidateArgs) -> anyhow::Result<()> {
    let source = args.overlays.source(&args.file);
    let workflow = workflow::load(&source, false)?;
    let (nodes, edges) = (workflow.node_count(), workflow.edge_count());
    stream::print(&format!(
        "{}: ok ({nodes} nodes, {edges} edges; no Lua was run)\n",
        args.file.display()
    ))
}
