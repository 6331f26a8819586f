//! `cargo xtask stress`: a test that fails one time in twenty fails here.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::toolchain::cargo;

/// Runs all tests `runs` times, and stops at the first run that fails.
pub(crate) fn run(workspace: &Path, runs: u32, args: &[String]) -> Result<()> {
    let build = tests(workspace, &["--no-run"], args).status();
    ensure!(
        build.context("running cargo test")?.success(),
        "the tests don't build"
    );

    let started = Instant::now();
    for run in 1..=runs {
        let started = Instant::now();
        let result = tests(workspace, &[], args)
            .output()
            .context("running cargo test")?;
        let output = String::from_utf8_lossy(&result.stdout);
        if !result.status.success() {
            eprint!("{output}{}", String::from_utf8_lossy(&result.stderr));
            bail!("run {run} of {runs} failed");
        }
        let (passed, seconds) = (count_passed(&output), started.elapsed().as_secs_f64());
        println!("run {run} of {runs}: {passed} tests passed in {seconds:.1} s");
    }
    println!(
        "all {runs} runs passed in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// `cargo test` for the whole workspace. The caller's own arguments come last: they may
/// contain a `--`, and then whatever follows it is for the tests.
fn tests(workspace: &Path, options: &[&str], args: &[String]) -> Command {
    let mut tests = cargo();
    tests
        .current_dir(workspace)
        .args(["test", "--workspace"])
        .args(options)
        .args(args);
    tests
}

/// Adds up the lines with which each test program ends:
/// `test result: ok. 12 passed; 0 failed; ...`
fn count_passed(output: &str) -> u64 {
    let results = output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "));
    let counts = results.filter_map(|rest| rest.split_once(" passed")?.0.parse::<u64>().ok());
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::count_passed;

    #[test]
    fn passed_tests_of_all_programs_are_counted() {
        let output = "running 2 tests\n\
            test a ... ok\n\
            test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: ok. 40 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(count_passed(output), 42);
    }
}
