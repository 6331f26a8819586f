//! `moonfork workers`.

use std::fmt::Write;

use anyhow::Context;
use moonfork::workflow::nats::{Overview, WorkerShown};

use super::{nats, stream};

/// The arguments of `workers`.
#[derive(Debug, clap::Args)]
pub(super) struct CrewArgs {
    /// The server, as for `run --workers`.
    #[arg(long, value_name = "URL", value_parser = nats::url)]
    nats: String,

    #[command(flatten)]
    who: nats::NatsArgs,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints who is there, busy with what, and what was given up.
pub(super) fn crew(args: &CrewArgs) -> anyhow::Result<()> {
    let overview = args.who.nats(&args.nats).overview();
    let overview =
        overview.with_context(|| format!("asking who is there, at {}", shown(&args.nats)))?;
    match args.json {
        true => stream::print(&(serde_json::to_string_pretty(&overview)? + "\n")),
        false => stream::print(&text(&overview)),
    }
}

/// An address without the password that may be in it.
fn shown(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

fn text(overview: &Overview) -> String {
    let mut text = String::new();
    if overview.workers.is_empty() {
        text.push_str("no workers\n");
    }
    for worker in &overview.workers {
        line(&mut text, &of_worker(worker));
        for busy in &worker.busy {
            let time = seconds(busy.for_ms);
            line(
                &mut text,
                &format!("  run {}, chunk {}, for {time}", busy.run, busy.chunk),
            );
        }
    }
    for backlog in &overview.backlog {
        let mut parts = Vec::new();
        for (count, what) in [
            (backlog.waiting, "chunks wait"),
            (backlog.out, "are with workers"),
            (backlog.suspects_waiting, "suspects wait"),
            (backlog.suspects_out, "suspects are with workers"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if !parts.is_empty() {
            line(
                &mut text,
                &format!("for {}: {}", backlog.crew, parts.join(", ")),
            );
        }
    }
    if overview.dead_count > 0 {
        let count = overview.dead_count;
        line(&mut text, &format!("dead letters: {count}; the last ones:"));
    }
    for dead in &overview.dead {
        line(
            &mut text,
            &format!(
                "  {}: run {}, chunk {}",
                time(dead.at),
                dead.run,
                dead.chunk
            ),
        );
    }
    text
}

fn of_worker(worker: &WorkerShown) -> String {
    format!(
        "{} in the pool {}, of version {}: {} of {} slots busy, {} branches in {}",
        worker.worker,
        worker.pool,
        worker.version,
        worker.busy.len(),
        worker.slots,
        worker.items,
        seconds(worker.up_ms),
    )
}

fn line(text: &mut String, line: &str) {
    // What workers say of themselves may hold what a terminal would obey.
    let line = line.replace(|it: char| it.is_control(), "?");
    let _ = writeln!(text, "{line}");
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

/// A time, in UTC.
fn time(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string()
}
