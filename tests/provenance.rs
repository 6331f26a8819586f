//! The committed guest module belongs to the sources beside it.

#[path = "../host/build/provenance.rs"]
mod provenance;

use std::fs;
use std::path::Path;

use provenance::{MODULE, ModuleRecord, Provenance};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn record() -> Provenance {
    Provenance::read(workspace()).expect("the record is readable")
}

#[test]
fn module_is_the_recorded_one() {
    let module = fs::read(workspace().join(MODULE)).expect("the module is readable");
    record()
        .accept(&ModuleRecord::of(&module))
        .expect("the module belongs to its record");
}

#[test]
fn module_is_built_from_the_present_sources() {
    if !workspace().join("guest").exists() {
        return; // A packaged crate comes without the guest's sources.
    }
    let outdated = record()
        .outdated(workspace())
        .expect("the guest's sources are readable");
    assert_eq!(outdated, None);
}

/// Also true of a module that `MOONFORK_GUEST_WASM` puts in the place of the committed one.
#[test]
fn embedded_module_is_what_its_hash_says() {
    let module = fs::read(env!("MOONFORK_GUEST_WASM")).expect("the embedded module is readable");
    assert_eq!(
        ModuleRecord::of(&module).sha256,
        env!("MOONFORK_GUEST_SHA256")
    );
}
