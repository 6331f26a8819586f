//! What the commands have in common that are about a workflow file.

use std::path::{Path, PathBuf};

use moonfork::workflow::{Source, Workflow};

use super::stream;

/// A workflow file and the overlays on top of it.
#[derive(Debug, clap::Args)]
pub(super) struct OverlayArgs {
    /// A YAML file that changes the workflow: mappings are merged, nodes by their names, edges
    /// by where they lead. Can be given several times; a later one changes the earlier ones.
    #[arg(short = 'f', long = "overlay", value_name = "OVERLAY")]
    overlays: Vec<PathBuf>,
}

impl OverlayArgs {
    /// The workflow in `file` with the overlays.
    pub(super) fn source(&self, file: &Path) -> Source {
        self.on(Source::file(file))
    }

    /// The overlays, as they are named.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.overlays
    }

    /// These overlays on top of what is there.
    pub(super) fn on(&self, source: Source) -> Source {
        self.overlays.iter().fold(source, Source::overlay)
    }
}

/// Loads a workflow, and passes on its warnings.
///
/// # Errors
/// With all that is wrong with it.
pub(super) fn load(source: &Source, quiet: bool) -> anyhow::Result<Workflow> {
    let workflow = source.load()?;
    if !quiet {
        for warning in workflow.warnings() {
            stream::note(format_args!("{warning}"));
        }
    }
    Ok(workflow)
}
