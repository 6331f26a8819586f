//! Branches while workers, the server and the run are killed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::bail;

use crate::crew::{Process, worker};
use crate::server::Server;

/// How many workers there are.
const WORKERS: usize = 2;

pub(crate) fn run(branches: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let store = folder.join("store");
    std::fs::create_dir(&store)?;
    let mut server = Server::start(&store)?;
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
    let mut dice = Dice::new();
    let mut next_server = began + Duration::from_secs(3);
    loop {
        std::thread::sleep(Duration::from_millis(50 + dice.below(250)));
        if let Some(status) = coordinator.0.try_wait()? {
            if !status.success() {
                bail!("the run has failed: {status}");
            }
            break;
        }
        let which = dice.below(WORKERS as u64) as usize;
        workers[which].kill();
        workers[which] = worker(&url, folder)?;
        killed += 1;
        if Instant::now() >= next_server {
            server.restart()?;
            servers += 1;
            next_server = Instant::now() + Duration::from_millis(2000 + dice.below(4000));
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

/// Numbers that are another ones each time.
struct Dice(u64);

impl Dice {
    fn new() -> Dice {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Dice(now.as_nanos() as u64 | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        // Knuth's multiplier.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}
