//! `moonfork validate`.

use std::path::PathBuf;

use moonfork::workflow::Workflow;

use super::stream;

/// The arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// The workflow, a YAML file.
    file: PathBuf,
}

/// Looks for mistakes in a workflow. None of its Lua is run, nor even parsed.
pub(super) fn validate(args: ValidateArgs) -> anyhow::Result<()> {
    let workflow = Workflow::load(&args.file)?;
    for warning in workflow.warnings() {
        stream::note(format_args!("{warning}"));
    }
    let (nodes, edges) = (workflow.nodes(), workflow.edges());
    stream::print(&format!(
        "{}: ok ({nodes} nodes, {edges} edges; no Lua was run)\n",
        args.file.display()
    ))
}
