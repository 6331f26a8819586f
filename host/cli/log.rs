//! How much is said on standard error, besides errors.

use moonfork::{CodeOrigin, Pool};

use super::{cache, stream};

/// How much is said on standard error.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct LogArgs {
    /// Leave out warnings and what scripts print.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,

    /// Say on standard error what happens, and why compiled code isn't kept where it isn't.
    #[arg(short, long)]
    pub(super) verbose: bool,
}

impl LogArgs {
    /// Says what there is to say about where the pool's compiled code comes from.
    ///
    /// # Errors
    /// If the folder for compiled code is named so that it can't be trusted.
    pub(super) fn pool(self, pool: &Pool) -> anyhow::Result<()> {
        if !self.verbose {
            return Ok(());
        }
        let code = pool.compiled_code();
        for note in code.notes() {
            stream::note(format_args!("[compiled code: {note}]"));
        }
        if cache::folder()?.is_none() && *code.origin() == CodeOrigin::Compiled {
            stream::note(format_args!(
                "[compiled code: there is no folder to keep it in; name one in MOONFORK_CACHE_DIR]"
            ));
        }
        Ok(())
    }
}
