//! `cargo xtask guest`: the guest's sources become `host/prebuilt/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::compile::{PACKAGE, compile};
use crate::layout;
use crate::patch::Selection;
use crate::places;
use crate::provenance::{self, Inputs, ModuleRecord, Provenance};
use crate::recipe::Recipe;
use crate::snapshot;
use crate::stacks;
use crate::state;
use crate::toolchain::{TARGET, Toolchain, cargo, output};

/// Builds the guest and writes the module and its record.
pub(crate) fn run(workspace: &Path, toolchain: &Toolchain) -> Result<()> {
    let started = Instant::now();
    let inputs = inputs(workspace)?;
    let target = workspace.join("target/guest");
    let module = build(workspace, toolchain, Selection::All, &target)?;
    ensure!(
        inputs == self::inputs(workspace)?,
        "the guest has changed while it was built: try again"
    );
    let record = Provenance {
        module: ModuleRecord::of(&module),
        inputs,
        route: toolchain.route.to_string(),
        tools: tools(workspace, toolchain)?,
    };

    let path = workspace.join(provenance::MODULE);
    fs::create_dir_all(path.parent().unwrap_or(workspace))?;
    fs::write(&path, &module).with_context(|| format!("writing {}", path.display()))?;
    record.write(workspace)?;
    println!(
        "{}: {} bytes, sha256 {}, built by route {} in {:.1} s",
        provenance::MODULE,
        record.module.size,
        record.module.sha256,
        record.route,
        started.elapsed().as_secs_f64(),
    );
    Ok(())
}

/// Where the module goes whose Lua has no changes for speed, relative to the workspace.
const WITHOUT_SPEED: &str = "target/guest-without-speed.wasm";

/// Builds a module without what is changed in Lua for speed. It isn't for anybody to use: the
/// tests that pass with it show that those changes change nothing else.
pub(crate) fn without_speed(workspace: &Path, toolchain: &Toolchain) -> Result<()> {
    let target = workspace.join("target/guest-without-speed");
    let module = build(workspace, toolchain, Selection::Contract, &target)?;
    let path = workspace.join(WITHOUT_SPEED);
    fs::write(&path, &module).with_context(|| format!("writing {}", path.display()))?;
    println!(
        "{WITHOUT_SPEED}: {} bytes. To test it:\n  \
         MOONFORK_GUEST_WASM={WITHOUT_SPEED} cargo test --workspace",
        module.len()
    );
    Ok(())
}

/// What the guest would be built from now.
pub(crate) fn inputs(workspace: &Path) -> Result<Inputs> {
    let mut tree = cargo();
    tree.current_dir(workspace);
    tree.args(["tree", "--locked", "--package", PACKAGE, "--target", TARGET]);
    tree.args(["--edges=normal,build", "--prefix=none", "--format={p}"]);
    let tree = output(&mut tree)?;
    // Lines such as `serde_derive v1.0.229 (proc-macro)`.
    let packages = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        (name != PACKAGE).then(|| (name.to_owned(), version.to_owned()))
    });
    Inputs::of(workspace, &packages.collect())
}

/// Everything whose version decides what the module looks like.
pub(crate) fn tools(workspace: &Path, toolchain: &Toolchain) -> Result<BTreeMap<String, String>> {
    let mut tools = toolchain.versions.clone();
    let wizer = provenance::locked_version(workspace, "wasmtime-wizer")?;
    tools.insert("wasmtime-wizer".into(), wizer);
    Ok(tools)
}

/// Builds the module, with `target` as cargo's folder for what comes up on the way.
pub(crate) fn build(
    workspace: &Path,
    toolchain: &Toolchain,
    selection: Selection,
    target: &Path,
) -> Result<Vec<u8>> {
    let recipe = Recipe::read(workspace)?;
    let linked = compile(workspace, toolchain, &recipe, selection, target)?;
    let linked = fs::read(&linked).with_context(|| format!("reading {}", linked.display()))?;
    let (arranged, stacks) = layout::arrange(&linked, &recipe.memory).context("moving its data")?;
    let checked = stacks::split(&arranged, stacks).context("checking its stacks")?;
    let module = snapshot::preinitialise(workspace, &checked, &recipe.snapshot)
        .context("pre-initialising the guest")?;
    let module = places::reserve(&module, recipe.table.reserved)
        .context("making places for translated functions")?;
    state::check(&module).context("looking for what changes while it runs")?;
    Ok(module)
}
