//! How long it takes from the first failure until the last worker is idle.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use moonfork::workflow::nats::Nats;
use moonfork::workflow::{EventKind, RunSettings, Workers, Workflow};

use crate::NO_SERVER;
use crate::crew::{self, worker};
use crate::server::Server;

/// Two branches inside of one call of a function of C, and one that fails.
const TEXT: &str = "
settings: {parallel: {fail_fast: true}}
nodes:
  - name: each
    parallel_each: [1, 2, 3]
    run: |
      if state.item == 3 then
        local n = 0
        for i = 1, 3000000 do n = n + i end
        error('no')
      end
      string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))
";

pub(crate) fn run(times: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let server = Server::start().context(NO_SERVER)?;
    let _workers = (0..3)
        .map(|_| worker(&server.url(), folder))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let workflow = Workflow::parse(TEXT, "stop.yaml")?;
    let pool = crew::pool(folder)?;
    let workers = Workers::nats(Nats::new(server.url()));
    let mut took = Vec::new();
    let began = Instant::now();
    while took.len() < times {
        if began.elapsed() > Duration::from_secs(600) {
            bail!(
                "ten minutes have passed, and there are {} times",
                took.len()
            );
        }
        let failed = Arc::new(Mutex::new(None));
        let noted = Arc::clone(&failed);
        let settings = RunSettings::new().workers(&workers).on_event(move |event| {
            if let EventKind::BranchEnd { index: 2, .. } = &event.kind
                && let Ok(mut noted) = noted.lock()
            {
                *noted = Some(Instant::now());
            }
        });
        let outcome = workflow.run(&pool, (), &settings)?;
        let ended = Instant::now();
        // Each branch that was stopped has said so, or the run would still wait for it; those that hadn't begun don't count.
        let instances = outcome.report.instances.iter();
        let all_began = instances.filter(|it| it.worker.is_some()).count() == 3;
        let failed = failed.lock().map_or(None, |failed| *failed);
        if let Some(failed) = failed.filter(|_| all_began) {
            took.push(ended - failed);
        }
    }
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "from the failure to the end of all branches, {times} times: median {median:.1?}, worst {worst:.1?}"
    );
    Ok(())
}
