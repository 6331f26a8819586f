//! `cargo xtask isolation`: whether branches see what the one before left, for as long as one likes,
//! while the kernel moves pages about.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::toolchain::cargo;

/// Runs the test that has memory compacted for so many minutes, and prints what it did.
pub(crate) fn run(workspace: &Path, minutes: u64) -> Result<()> {
    let status = cargo()
        .current_dir(workspace)
        .args(["test", "--workspace", "--test", "isolation_compaction"])
        .args(["--", "--nocapture"])
        .env("MOONFORK_ISOLATION_SECONDS", (60 * minutes).to_string())
        .status()
        .context("running cargo test")?;
    ensure!(
        status.success(),
        "memory of an ended instance was seen, or the test didn't run"
    );
    Ok(())
}
