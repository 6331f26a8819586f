//! Chores of the workspace, run as `cargo xtask <chore>`.
//!
//! This program doesn't depend on the package `moonfork`, so that it also builds while there
//! is no guest module to embed, or none that fits.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

mod archiver;
mod check;
mod closed;
mod compile;
mod compiler;
mod guest;
mod isolation;
mod layers;
mod layout;
mod licenses;
mod patch;
mod perf;
mod places;
#[path = "../../host/build/provenance.rs"]
mod provenance;
mod recipe;
mod snapshot;
mod stacks;
mod state;
mod stress;
mod toolchain;
mod world;

use toolchain::{Route, Toolchain};

/// Chores of the moonfork workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build the guest module and its provenance into host/prebuilt/.
    Guest {
        /// Change nothing: rebuild elsewhere and compare. With the recorded tools the modules
        /// have to be byte-identical; with others, all tests are run on the rebuilt one.
        #[arg(long)]
        check: bool,

        /// Build without those changes to Lua that are for speed, to a file beside cargo's own,
        /// and say how to run the tests with it. Nothing is written to host/prebuilt/.
        #[arg(long, conflicts_with = "check")]
        without_speed: bool,

        /// The tools to build with; without this, the first of the two that is installed.
        #[arg(long, value_enum)]
        route: Option<Route>,
    },

    /// Check that imports in host/ run one way, and print which folder needs which.
    Layers,

    /// Write the notices of what is in the guest's module to host/prebuilt/LICENSES.txt.
    Licenses {
        /// Change nothing: say whether they are up to date.
        #[arg(long)]
        check: bool,
    },

    /// Run all tests again and again, until one fails or N runs have passed.
    Stress {
        /// How many times.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,

        /// Passed on to `cargo test --workspace`.
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },

    /// Look for memory of ended instances in the ones after them, while the kernel is made to move
    /// pages about. Needs Linux and root.
    Isolation {
        /// For how long.
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
        minutes: u64,
    },

    /// Time moonfork and native Lua states side by side, and print a table of ratios.
    Perf {
        /// Fewer and shorter rounds, for a look.
        #[arg(long)]
        quick: bool,

        /// Only the rows whose names contain this.
        #[arg(long, value_name = "TEXT")]
        only: Option<String>,

        /// Write the rows to this file too, as JSON.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let tool = |variable| std::env::var_os(variable);
    let result = match (tool(compiler::REAL), tool(archiver::REAL)) {
        (Some(real), _) if compiler::is_called() => compiler::run(&real),
        (_, Some(real)) => archiver::run(&real),
        _ => run(Cli::parse()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by returning it: that would add a backtrace when RUST_BACKTRACE is set.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let workspace = workspace()?;
    match cli.chore {
        Chore::Guest {
            check,
            without_speed,
            route,
        } => {
            let toolchain = Toolchain::find(route)?;
            match (check, without_speed) {
                (true, _) => check::run(&workspace, &toolchain),
                (_, true) => guest::without_speed(&workspace, &toolchain),
                _ => guest::run(&workspace, &toolchain),
            }
        }
        Chore::Isolation { minutes } => isolation::run(&workspace, minutes),
        Chore::Layers => layers::run(&workspace),
        Chore::Licenses { check } => licenses::run(&workspace, check),
        Chore::Stress { runs, args } => stress::run(&workspace, runs, &args),
        Chore::Perf { quick, only, json } => {
            perf::run(&workspace, quick, only.as_deref(), json.as_deref())
        }
    }
}

/// The folder of the workspace: the one above this package's.
fn workspace() -> Result<PathBuf> {
    // Cargo sets the variable when it runs us. What it was at compile time is out of date
    // after the checkout has been moved.
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let workspace = package.parent().map(Path::to_path_buf);
    workspace.context("the package xtask has no folder above it")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Why it should is said in xtask/Cargo.toml.
    #[test]
    fn xtask_depends_on_every_development_dependency() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dependencies = |manifest: &str, kind: &str| {
            let text = std::fs::read_to_string(package.join(manifest)).expect("a manifest");
            let manifest: toml::Table = text.parse().expect("a manifest in TOML");
            manifest[kind]
                .as_table()
                .expect("a list of packages")
                .clone()
        };
        let ours = dependencies("Cargo.toml", "dependencies");
        for manifest in ["../Cargo.toml", "../guest/Cargo.toml"] {
            for (name, _) in dependencies(manifest, "dev-dependencies") {
                assert!(
                    name == "moonfork" || ours.contains_key(&name),
                    "{name} is a development dependency: add it to xtask/Cargo.toml"
                );
            }
        }
    }

    /// What the library needs without its cargo features is what a host that only runs Lua builds.
    #[test]
    fn the_core_needs_no_command_line_no_templates_and_no_yaml() {
        let needed = |features: &[&str]| {
            let mut tree = crate::toolchain::cargo();
            tree.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
            tree.args(["tree", "--locked", "--offline", "--package", "moonfork"]);
            tree.args(["--edges=normal", "--prefix=none", "--format={p}"]);
            let tree = crate::toolchain::output(tree.args(features)).expect("cargo tree");
            let name = |line: &str| line.split(' ').next().map(str::to_owned);
            tree.lines().filter_map(name).collect::<BTreeSet<_>>()
        };
        let (all, core) = (needed(&[]), needed(&["--no-default-features"]));
        for package in [
            "clap",
            "minijinja",
            "rustyline",
            "saphyr-parser",
            "serde_yaml",
            "toml",
        ] {
            assert!(all.contains(package), "the list is out of date: {package}");
            assert!(!core.contains(package), "the core needs {package}");
        }
    }
}
