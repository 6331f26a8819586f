//! `cargo xtask perf`: the table of docs/performance.md.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::toolchain::cargo;

/// Variables that make every Lua error capture a backtrace, on either side.
const BACKTRACES: [&str; 2] = ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];

/// Builds what is compared, and runs the benches.
pub(crate) fn run(
    workspace: &Path,
    quick: bool,
    only: Option<&str>,
    json: Option<&Path>,
) -> Result<()> {
    let mut native = cargo();
    // With the benches' profile, to be optimised as they are.
    native.args(["build", "--workspace", "--profile", "bench"]);
    native.args(["--example", "native_eval"]);
    succeed(native.current_dir(workspace))?;

    let mut bench = cargo();
    bench.args(["bench", "--workspace", "--bench", "perf", "--"]);
    if quick {
        bench.arg("--quick");
    }
    if let Some(only) = only {
        bench.arg("--only").arg(only);
    }
    if let Some(json) = json {
        // Benches run in the package's folder, wherever this was called from.
        bench.arg("--json").arg(std::path::absolute(json)?);
    }
    succeed(bench.current_dir(workspace))
}

fn succeed(command: &mut Command) -> Result<()> {
    for variable in BACKTRACES {
        command.env_remove(variable);
    }
    let status = command
        .status()
        .with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
