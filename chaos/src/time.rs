//! How long small branches take.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use moonfork::workflow::nats::Nats;
use moonfork::workflow::{RunSettings, Workers, Workflow};
use serde_json::json;

use crate::NO_SERVER;
use crate::crew::{self, worker};
use crate::server::Server;

/// What a run listens for.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum Hear {
    #[default]
    Nothing,
    Warnings,
    Events,
}

/// Branches of a fan-out: a template's range has no more elements.
const MOST: usize = 100_000;

/// A workflow of so many branches, in as few fan-outs as can be.
fn workflow(branches: usize) -> anyhow::Result<Workflow> {
    let mut text = "nodes:\n".to_owned();
    for first in (0..branches).step_by(MOST) {
        let count = MOST.min(branches - first);
        text.push_str(&format!(
            "
  - name: each_{first}
    type: dynamic_parallel
    items: '{{{{ range({count}) | list }}}}'
    reduce: {{n: sum}}
    collect: none
    run: return {{n = (state.n or 0) + 1}}
"
        ));
    }
    Ok(Workflow::parse(&text, "time.yaml")?)
}

pub(crate) fn run(branches: usize, hear: Hear, only_away: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let server = Server::start().context(NO_SERVER)?;
    let workflow = workflow(branches)?;
    let pool = crew::pool(folder)?;
    let time = |settings: &RunSettings| {
        let began = Instant::now();
        let outcome = workflow.run(&pool, (), settings)?;
        if outcome.state.get("n") != Some(&json!(branches)) {
            bail!("the sum is {:?}", outcome.state.get("n"));
        }
        Ok(began.elapsed().as_secs_f64())
    };
    if !only_away {
        let here = time(&RunSettings::new())?;
        println!(
            "{branches} branches on threads: {here:.2} s, peak {} MB",
            peak()
        );
    }
    let _workers = [
        worker(&server.url(), folder)?,
        worker(&server.url(), folder)?,
    ];
    let workers = Workers::nats(Nats::new(server.url()));
    let settings = RunSettings::new().workers(&workers);
    let settings = match hear {
        Hear::Nothing => settings,
        Hear::Warnings => settings.on_warning(|_| {}),
        Hear::Events => settings.on_event(|_| {}),
    };
    // So that both are there, and have the workflow compiled.
    for _ in 0..2 {
        self::workflow(100)?.run(&pool, (), &settings)?;
    }
    let before = server.traffic();
    let stored = std::sync::atomic::AtomicU64::new(0);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let away = std::thread::scope(|scope| {
        use std::sync::atomic::Ordering::Relaxed;
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                stored.fetch_max(size(&server.store()), Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let away = time(&settings);
        is_over.store(true, Relaxed);
        away
    })?;
    let passed = server.traffic();
    println!(
        "{branches} branches by way of the server, 2 workers of 1 slot: {away:.2} s, peak {} MB, at most {} KB on the server; \
         {} messages and {} KB passed in and out of it",
        peak(),
        stored.into_inner() / 1024,
        passed.messages - before.messages,
        (passed.bytes - before.bytes) / 1024
    );
    Ok(())
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(it) if it.is_dir() => size(&entry.path()),
        Ok(it) => it.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// The most memory that this process has had, in megabytes, where the system says so.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}
