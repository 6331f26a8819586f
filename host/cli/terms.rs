//! What a run may use, and the pool for that: of `run`, of those that look at one, and of its workers.

use moonfork::Pool;
use moonfork::workflow::RunSettings;

use super::{actions, grants, hint, limits, secrets, stream};

/// What a run may use.
#[derive(Debug, clap::Args)]
pub(super) struct TermArgs {
    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    grants: grants::GrantArgs,

    #[command(flatten)]
    secrets: secrets::SecretArgs,
}

/// What a run needs, ready.
pub(super) struct Ready {
    pub(super) pool: Pool,
    pub(super) options: RunSettings,
}

impl TermArgs {
    /// A pool with room for so many branches, and the options with what is granted.
    pub(super) fn prepare(
        &self,
        branches: usize,
        options: RunSettings,
        quiet: bool,
    ) -> anyhow::Result<Ready> {
        let (pool, grants) = self.grants.apply(self.limits.builder(branches)?)?;
        let own = actions::OwnPool::default();
        let (pool, mut grants) = actions::install(pool, grants, &self.grants, &own)?;
        if !quiet {
            grants = grants.output(stream::pass_on_bytes);
        }
        let options = actions::describe(self.secrets.apply(options)?);
        let options = options.advise(hint::to_grant).grants(grants);
        let pool = pool.build()?;
        let _ = own.set(pool.clone());
        Ok(Ready { pool, options })
    }
}
