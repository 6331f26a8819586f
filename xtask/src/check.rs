//! `cargo xtask guest --check`: the committed module is what its sources give.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::guest;
use crate::patch::Selection;
use crate::provenance::{MODULE, ModuleRecord, Provenance, REBUILD};
use crate::toolchain::{Toolchain, cargo};

/// Rebuilds the guest in a folder of its own, and says whether the committed module holds.
pub(crate) fn run(workspace: &Path, toolchain: &Toolchain) -> Result<()> {
    let record = Provenance::read(workspace)?;
    committed_files_agree(workspace, &record)?;

    let scratch = workspace.join("target");
    fs::create_dir_all(&scratch)?;
    let scratch = tempfile::Builder::new()
        .prefix("guest-check-")
        .tempdir_in(scratch)?;
    let target = scratch.path().join("build");
    let rebuilt = guest::build(workspace, toolchain, Selection::All, &target)?;

    let other_tools = differences(&record.tools, &guest::tools(workspace, toolchain)?);
    if other_tools.is_empty() {
        return byte_identical(&record, &rebuilt);
    }
    println!("the module was built with other tools than these:");
    for difference in other_tools {
        println!("  {difference}");
    }
    let module = scratch.path().join("moonfork-guest.wasm");
    fs::write(&module, rebuilt)?;
    test_suite(workspace, &module)
}

/// The module is the recorded one, and the record is about the present sources.
fn committed_files_agree(workspace: &Path, record: &Provenance) -> Result<()> {
    let module = fs::read(workspace.join(MODULE)).with_context(|| format!("reading {MODULE}"))?;
    record.accept(&ModuleRecord::of(&module))?;
    if let Some(message) = record.outdated(workspace)? {
        bail!(message);
    }
    ensure!(
        guest::inputs(workspace)? == record.inputs,
        "{MODULE} was built from other packages than the guest has now: run `{REBUILD}`"
    );
    println!("check: sources, locked dependencies and settings are the recorded ones");
    Ok(())
}

fn byte_identical(record: &Provenance, rebuilt: &[u8]) -> Result<()> {
    let rebuilt = ModuleRecord::of(rebuilt);
    if rebuilt != record.module {
        bail!(
            "with the recorded tools, the sources give another module than {MODULE}:\n  \
             committed: {} bytes, sha256 {}\n  rebuilt:   {} bytes, sha256 {}",
            record.module.size,
            record.module.sha256,
            rebuilt.size,
            rebuilt.sha256,
        );
    }
    println!("check: byte-identical");
    Ok(())
}

/// Other compilers give other bytes; what counts then is that the module behaves.
fn test_suite(workspace: &Path, module: &Path) -> Result<()> {
    println!("check: test suite on the rebuilt module");
    let mut tests = cargo();
    tests
        .current_dir(workspace)
        .args(["test", "--workspace"])
        .env("MOONFORK_GUEST_WASM", module);
    let status = tests.status().context("running cargo test")?;
    ensure!(status.success(), "the tests fail with the rebuilt module");
    println!("check: test suite on the rebuilt module passed");
    Ok(())
}

/// One line for each tool whose version isn't the recorded one.
fn differences(
    recorded: &BTreeMap<String, String>,
    present: &BTreeMap<String, String>,
) -> Vec<String> {
    let names: BTreeSet<_> = recorded.keys().chain(present.keys()).collect();
    let version = |tools: &BTreeMap<_, String>, name| {
        tools
            .get(name)
            .map_or_else(|| "none".to_owned(), String::clone)
    };
    let differing = names
        .into_iter()
        .filter(|name| recorded.get(*name) != present.get(*name));
    differing
        .map(|name| {
            format!(
                "{name}: recorded {}, here {}",
                version(recorded, name),
                version(present, name)
            )
        })
        .collect()
}
