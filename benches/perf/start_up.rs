//! From the start of a process to a script's result.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::measure::once;
use crate::table::{Goal, Table};

pub fn rows(table: &mut Table) -> Result<()> {
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
        "there is no {}: run `cargo xtask perf`, or `cargo build --release --example native_eval` \
         first",
        example.display()
    )
    .into())
}
