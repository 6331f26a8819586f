//! What there is to pay before a script runs: making pools, and starting the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use moonfork::Pool;

use crate::Result;
use crate::measure::{median, once};
use crate::table::{Goal, Table};

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    pools(table)?;
    second_start(table)
}

/// Processes that each make pools.
const PROCESSES: usize = 5;

fn pools(table: &mut Table) -> Result<()> {
    let names = [
        "first pool of a process",
        "second pool of a process, with other limits",
    ];
    if !names.iter().any(|name| table.wants(name)) {
        return Ok(());
    }
    let mut times = [vec![], vec![]];
    for _ in 0..PROCESSES {
        let output = Command::new(std::env::current_exe()?)
            .arg("--pools")
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        for (times, line) in times.iter_mut().zip(text.lines()) {
            times.push(line.parse()?);
        }
    }
    for (name, times) in names.into_iter().zip(times) {
        if times.len() < PROCESSES {
            return Err(format!("{name}: a process made none").into());
        }
        table.add_alone(name, median(times), "ms");
    }
    Ok(())
}

/// Makes two pools and prints how many milliseconds each took.
pub(crate) fn make_pools() -> Result<()> {
    for settings in [
        Pool::builder(),
        Pool::builder().max_branches(8).memory(16 << 20),
    ] {
        let start = Instant::now();
        let pool = settings.build()?;
        println!("{}", start.elapsed().as_secs_f64() * 1e3);
        // The next one is to be a second one beside it.
        std::mem::forget(pool);
    }
    Ok(())
}

fn second_start(table: &mut Table) -> Result<()> {
    let name = "second start of `moonfork eval 'return 1'`";
    if !table.wants(name) {
        return Ok(());
    }
    let native = native_eval()?;
    let cache = tempfile::tempdir()?;
    let ours = || {
        let mut moonfork = Command::new(env!("CARGO_BIN_EXE_moonfork"));
        // Where the binary keeps compiled code; the first start fills it.
        moonfork.env("XDG_CACHE_HOME", cache.path());
        run(moonfork.args(["eval", "return 1"]))
    };
    ours()?;
    table.time(
        name,
        Goal::AtMost(4.0),
        &mut once(ours),
        &mut once(|| run(Command::new(&native).arg("return 1"))),
    )
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if output.status.success() && output.stdout == b"1\n" {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Err(format!("{command:?}: {}, {text:?}", output.status).into())
}

/// The example `native_eval`, which cargo builds to a folder beside this program's.
fn native_eval() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent);
    let example = folder.ok_or("this program has no folder")?;
    let example = example.join("examples/native_eval");
    if example.exists() {
        return Ok(example);
    }
    Err(format!(
        "there is no {}: run `cargo xtask perf`, or `cargo build --profile bench \
         --example native_eval` first",
        example.display()
    )
    .into())
}
