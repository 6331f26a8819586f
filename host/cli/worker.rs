//! `moonfork worker`.

use std::io;
use std::num::NonZeroUsize;

use anyhow::Context;
use clap::Args;
use moonfork::workflow::{self, RunSettings};

use super::end::Mistake;
use super::{journals, log, terms};

/// The arguments of `worker`.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerArgs {
    /// Run branches for the process that started this one, which writes to its standard input and
    /// reads its standard output, until the input ends.
    #[arg(long)]
    stdio: bool,

    /// How many instances for branches there may be at a time: more than one, where branches have
    /// branches of their own.
    #[arg(long, value_name = "N", default_value = "16")]
    slots: NonZeroUsize,

    #[command(flatten)]
    terms: terms::TermArgs,

    #[command(flatten)]
    journals: journals::JournalArgs,

    #[command(flatten)]
    log: log::LogArgs,
}

/// What isn't handed on to workers: the run says it itself.
pub(super) const OWN: &[&str] = &["stdio", "slots"];

/// Runs branches of a run in another process.
pub(super) fn worker(args: &WorkerArgs) -> anyhow::Result<()> {
    if !args.stdio {
        return Err(Mistake::error(
            "say where the worker gets its branches from: --stdio",
        ));
    }
    let options = args.journals.apply(RunSettings::new());
    let ready = args
        .terms
        .prepare(args.slots.get(), options, args.log.quiet)?;
    args.log.pool(&ready.pool)?;
    workflow::serve(&ready.pool, &ready.options, io::stdin(), io::stdout())
        .context("the run that this is a worker of")
}

/// The arguments of `worker`, for who starts one.
pub(super) fn command() -> clap::Command {
    WorkerArgs::augment_args(clap::Command::new("worker"))
}
