//! Picks the guest module that the library embeds.
//!
//! That is the committed one, unless the environment variable `MOONFORK_GUEST_WASM` names
//! another. The library finds its path in `env!("MOONFORK_GUEST_WASM")`, its hash in
//! `env!("MOONFORK_GUEST_SHA256")`, and what it is itself compiled for in `env!("MOONFORK_TARGET")`.

#[path = "host/build/provenance.rs"]
mod provenance;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use provenance::{MODULE, ModuleRecord, Provenance, REBUILD, RECORD};

/// The path of a module to embed instead of the committed one.
const OVERRIDE: &str = "MOONFORK_GUEST_WASM";

fn main() {
    if let Err(error) = embed() {
        // Not by returning it: the message would be lost in a backtrace.
        println!("cargo::error={error:#}");
    }
}

fn embed() -> Result<()> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    rerun_if_changed(Path::new("build.rs"));
    rerun_if_changed(Path::new("host/build/provenance.rs"));

    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("not run by cargo")?);
    let (path, module) = match env::var_os(OVERRIDE).filter(|path| !path.is_empty()) {
        Some(path) => chosen(&package.join(path))?,
        None => committed(&package)?,
    };
    println!("cargo::rustc-env=MOONFORK_GUEST_WASM={}", path.display());
    println!("cargo::rustc-env=MOONFORK_GUEST_SHA256={}", module.sha256);
    let target = env::var("TARGET").context("not run by cargo")?;
    println!("cargo::rustc-env=MOONFORK_TARGET={target}");
    Ok(())
}

/// A module that whoever builds has chosen: taken as it is.
fn chosen(path: &Path) -> Result<(PathBuf, ModuleRecord)> {
    rerun_if_changed(path);
    let module = fs::read(path).with_context(|| format!("{OVERRIDE} names {}", path.display()))?;
    Ok((path.to_path_buf(), ModuleRecord::of(&module)))
}

/// The committed module, if it is the one that its record speaks of.
fn committed(package: &Path) -> Result<(PathBuf, ModuleRecord)> {
    rerun_if_changed(Path::new(MODULE));
    rerun_if_changed(Path::new(RECORD));
    let path = package.join(MODULE);
    let advice = || format!("{MODULE} is missing or unreadable: run `{REBUILD}`");
    let module = ModuleRecord::of(&fs::read(&path).with_context(advice)?);
    let record = Provenance::read(package)
        .with_context(|| format!("{RECORD} is missing or unreadable: run `{REBUILD}`"))?;
    record.accept(&module)?;
    warn_if_outdated(package, &record)?;
    Ok((path, module))
}

/// Says so when the guest's sources have moved on. They may not be there at all: cargo leaves
/// them out of the packaged crate.
fn warn_if_outdated(package: &Path, record: &Provenance) -> Result<()> {
    if !package.join("guest").is_dir() {
        return Ok(());
    }
    for input in provenance::inputs() {
        // Cargo takes a file that isn't there for one that has changed.
        if package.join(input).exists() {
            rerun_if_changed(Path::new(input));
        }
    }
    if let Some(message) = record.outdated(package)? {
        println!("cargo::warning={message}");
    }
    Ok(())
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}
