//! Workers: processes of this program.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use anyhow::Context;
use moonfork::workflow::RunSettings;
use moonfork::workflow::nats::{Nats, Worker};
use moonfork::{Grants, Pool};

/// A pool that has what branches call: `ran(index)` writes down that a branch was executed.
pub(crate) fn pool(folder: &Path) -> anyhow::Result<Pool> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("ran"))?;
    let file = Mutex::new(file);
    let pool = Pool::builder()
        .max_branches(8)
        // Compiled once: a run waits some seconds for workers, and in a development build they'd take longer to compile.
        .cache_dir(folder.join("code"))
        .function(
            "ran",
            move |(index,): (u64,)| -> Result<(), moonfork::HostError> {
                let mut file = file.lock().map_err(|error| error.to_string())?;
                // One line in one piece, whoever else writes.
                let line = format!("{index}\n");
                file.write_all(line.as_bytes())
                    .map_err(|error| error.to_string())?;
                Ok(())
            },
        )
        .grants(Grants::none().all_functions());
    pool.build().context("a pool")
}

/// Serves, until whoever started this is gone.
pub(crate) fn serve(url: &str, folder: &Path) -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let pool = pool(folder)?;
    Worker::new(&Nats::new(url), &pool)?.serve(&pool, &RunSettings::new())?;
    Ok(())
}

/// A process of this program, with these arguments; it ends with this one, or when it is dropped.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> anyhow::Result<Process> {
        let child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .context("a process of this program")?;
        Ok(Process(child))
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A worker.
pub(crate) fn worker(url: &str, folder: &Path) -> anyhow::Result<Process> {
    Process::start(&["worker", url, &folder.display().to_string()])
}
