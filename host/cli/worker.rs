//! `moonfork worker`.

use std::io;
use std::num::NonZeroUsize;
#[cfg(feature = "nats")]
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use moonfork::workflow::{self, RunSettings};

use super::end::Mistake;
use super::{journals, log, terms};
#[cfg(feature = "nats")]
use super::{nats, signal, stream};

/// The arguments of `worker`.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerArgs {
    /// Run branches for the process that started this one, which writes to its standard input and
    /// reads its standard output, until the input ends.
    #[arg(long)]
    stdio: bool,

    /// Run branches for runs anywhere, which send them to this server of NATS, until this process is told to stop:
    /// `nats://HOST:PORT`, or `tls://HOST:PORT`.
    #[cfg(feature = "nats")]
    #[arg(long, value_name = "URL", value_parser = nats::url, conflicts_with = "stdio")]
    nats: Option<String>,

    /// With --stdio, how many instances for branches there may be at a time: more than one, where branches have
    /// branches of their own (16 unless said). With --nats, how many branches run at a time (as many as there
    /// are processors), each with room for as many inside of it.
    #[arg(long, value_name = "N")]
    slots: Option<NonZeroUsize>,

    #[cfg(feature = "nats")]
    #[command(flatten)]
    served: ServedArgs,

    #[command(flatten)]
    terms: terms::TermArgs,

    #[command(flatten)]
    journals: journals::JournalArgs,

    #[command(flatten)]
    log: log::LogArgs,
}

/// How a server of NATS is served.
#[cfg(feature = "nats")]
#[derive(Debug, clap::Args)]
struct ServedArgs {
    /// The pool of workers that this one belongs to: what `pool` in `settings.parallel` names.
    #[arg(long, value_name = "NAME", requires = "nats")]
    pool: Option<String>,

    /// How long branches that run may go on when this process is told to stop (SIGTERM, Ctrl-C).
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    grace: Duration,

    #[command(flatten)]
    who: nats::NatsArgs,
}

/// What isn't handed on to workers: the run says it itself, or it is of no meaning there.
pub(super) const OWN: &[&str] = &[
    "stdio",
    "nats",
    "slots",
    "pool",
    "grace",
    "nats_creds",
    "nats_ca",
    "nats_cert",
    "nats_key",
];

/// Instances for branches that a process has which serves one branch at a time.
const STDIO_SLOTS: usize = 16;

/// Instances for a branch of a server, and those inside of it.
#[cfg(feature = "nats")]
const SLOTS_INSIDE: usize = 8;

/// Runs branches of a run in another process.
pub(super) fn worker(args: &WorkerArgs) -> anyhow::Result<()> {
    #[cfg(feature = "nats")]
    if let Some(url) = &args.nats {
        return args.serve_nats(url);
    }
    if !args.stdio {
        return Err(Mistake::error(match cfg!(feature = "nats") {
            true => "say where the worker gets its branches from: --stdio, or --nats URL",
            false => "say where the worker gets its branches from: --stdio",
        }));
    }
    #[cfg(feature = "nats")]
    args.served.who.check_unused()?;
    let options = args.journals.apply(RunSettings::new());
    let slots = args.slots.map_or(STDIO_SLOTS, NonZeroUsize::get);
    let ready = args.terms.prepare(slots, options, args.log.quiet)?;
    args.log.pool(&ready.pool)?;
    workflow::serve(&ready.pool, &ready.options, io::stdin(), io::stdout())
        .context("the run that this is a worker of")
}

#[cfg(feature = "nats")]
impl WorkerArgs {
    /// Serves a server until this process is told to stop.
    fn serve_nats(&self, url: &str) -> anyhow::Result<()> {
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let slots = self.slots.unwrap_or(processors);
        let instances = slots.get().saturating_mul(SLOTS_INSIDE);
        let options = self.journals.apply(RunSettings::new());
        let ready = self.terms.prepare(instances, options, self.log.quiet)?;
        self.log.pool(&ready.pool)?;
        let mut nats = self.served.who.nats(url);
        if let Some(pool) = &self.served.pool {
            nats = nats.pool(pool);
        }
        let worker = workflow::nats::Worker::new(&nats, &ready.pool);
        let worker = worker.map_err(|error| Mistake::error(error.to_string()))?;
        let mut worker = worker.slots(slots).grace(self.served.grace);
        if !self.log.quiet {
            worker = worker.on_note(|note| stream::note(format_args!("worker: {note}")));
        }
        let stopper = worker.stopper();
        signal::on_stop(move || stopper.stop())?;
        if self.log.verbose {
            stream::note(format_args!(
                "worker: {} serves, with {slots} slots",
                worker.id()
            ));
        }
        worker
            .serve(&ready.pool, &ready.options)
            .context("a worker")
    }
}

/// The arguments of `worker`, for who starts one.
pub(super) fn command() -> clap::Command {
    WorkerArgs::augment_args(clap::Command::new("worker"))
}
