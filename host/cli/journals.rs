//! `--journal`: where instances write what they did and were told.

use std::path::PathBuf;

use moonfork::quantity;
use moonfork::workflow::RunSettings;

/// Journals of a run's instances: none, unless they are asked for.
#[derive(Debug, clap::Args)]
pub(super) struct JournalArgs {
    /// The folder for journals: what each instance did and was told, to be run again by
    /// `moonfork replay`.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,

    /// How much one of them may take, as in 4MiB [default: 16MiB].
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "journal")]
    journal_size: Option<usize>,
}

impl JournalArgs {
    /// Asks for them.
    pub(super) fn apply(&self, mut options: RunSettings) -> RunSettings {
        if let Some(folder) = &self.journal {
            options = options.journal_dir(folder);
        }
        if let Some(bytes) = self.journal_size {
            options = options.journal_bytes(bytes);
        }
        options
    }
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = quantity::parse_size(text).map_err(|error| error.to_string())?;
    usize::try_from(bytes).map_err(|_| "it is more than this machine can address".to_owned())
}
