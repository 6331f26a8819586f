//! Branches while workers, the server and the run are killed.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::NO_SERVER;
use crate::crew::{Process, worker};
use crate::server::Server;

/// How many workers there are.
const WORKERS: usize = 2;

pub(crate) fn run(branches: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let mut server = Server::start().context(NO_SERVER)?;
    let url = server.url();
    let path = folder.display().to_string();
    let count = branches.to_string();
    let coordinate = || Process::start(&["coordinate", &url, &path, &count]);
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(worker(&url, folder)?);
    }
    let mut coordinator = coordinate()?;
    let began = Instant::now();
    let (mut killed, mut servers, mut runs) = (0_u32, 0_u32, 0_u32);
    let mut next_server = began + Duration::from_secs(3);
    loop {
        std::thread::sleep(Duration::from_millis(fastrand::u64(50..300)));
        if let Some(status) = coordinator.0.try_wait()? {
            if !status.success() {
                bail!("the run has failed: {status}");
            }
            break;
        }
        let which = fastrand::usize(..WORKERS);
        workers[which].kill();
        workers[which] = worker(&url, folder)?;
        killed += 1;
        if Instant::now() >= next_server {
            server.restart();
            servers += 1;
            next_server = Instant::now() + Duration::from_millis(fastrand::u64(2000..6000));
        }
        let executed = executed(folder);
        if runs == 0 && executed > branches / 3 {
            coordinator.kill();
            coordinator = coordinate()?;
            runs += 1;
        }
        if began.elapsed() > Duration::from_secs(1800) {
            bail!("half an hour has passed");
        }
    }
    if !folder.join("done").exists() {
        bail!("the run has ended without a result");
    }
    let executed = executed(folder);
    println!(
        "{branches} branches in {:.1} s: each has one entry. Killed: {killed} workers, {servers} servers, {runs} runs; \
         executed: {executed}",
        began.elapsed().as_secs_f64()
    );
    if executed <= branches || killed == 0 {
        bail!("nothing was killed while it was at work");
    }
    Ok(())
}

fn executed(folder: &std::path::Path) -> usize {
    let ran = std::fs::read_to_string(folder.join("ran")).unwrap_or_default();
    ran.lines().count()
}
