//! The committed guest module belongs to the sources beside it.
//!
//! A packaged crate comes without the guest's sources; there, only the module and its record
//! are compared.

#[path = "../../host/build/provenance.rs"]
mod recorded;

use std::fs;
use std::path::Path;

use recorded::{Inputs, MODULE, ModuleRecord, Provenance};
use rstest::rstest;
use tempfile::TempDir;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn has_guest_sources() -> bool {
    workspace().join("guest").exists()
}

fn record() -> Provenance {
    Provenance::read(workspace()).expect("the record is readable")
}

/// A record that is true of the present workspace, whether or not the committed one is.
fn present_record() -> Provenance {
    let package = |name: &str| {
        let version = recorded::locked_version(workspace(), name).expect("it is locked");
        (name.to_owned(), version)
    };
    let packages = ["mlua", "lua-src"].map(package).into();
    let inputs = Inputs::of(workspace(), &packages).expect("the inputs are readable");
    Provenance { inputs, ..record() }
}

#[test]
fn module_is_the_recorded_one() {
    let module = fs::read(workspace().join(MODULE)).expect("the module is readable");
    let accepted = record().accept(&ModuleRecord::of(&module));
    accepted.expect("the module belongs to its record");
}

#[test]
fn module_is_built_from_the_present_sources() {
    if has_guest_sources() {
        let outdated = record().outdated(workspace());
        let outdated = outdated.expect("the guest's sources are readable");
        assert_eq!(outdated, None);
    }
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

/// A copy of what the guest is built from, to be changed.
fn copied_inputs() -> TempDir {
    let copy = TempDir::new().expect("a temporary folder");
    let sources = recorded::source_files(workspace()).expect("the sources are readable");
    for file in sources
        .into_iter()
        .chain(["Cargo.lock".into(), "Cargo.toml".into()])
    {
        let to = copy.path().join(&file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder to copy to");
        fs::copy(workspace().join(file), to).expect("a file to copy");
    }
    copy
}

fn append(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder to write to");
    let before = fs::read_to_string(file).unwrap_or_default();
    fs::write(file, before + text).expect("a file to write");
}

#[rstest]
#[case::a_test_of_the_guest("guest/tests/more.rs", "// more")]
#[case::an_editors_file("guest/src/.vm.rs.swp", "x")]
#[case::a_file_of_the_host("host/lib.rs", "// more")]
#[case::a_package_that_the_guest_does_not_use(
    "Cargo.lock",
    "\n[[package]]\nname = \"other\"\nversion = \"1.0.0\"\n"
)]
#[case::a_profile_of_the_host("Cargo.toml", "\n[profile.other]\ninherits = \"dev\"\n")]
fn unrelated_changes_leave_the_module_as_it_is(#[case] file: &str, #[case] text: &str) {
    if has_guest_sources() {
        let copy = copied_inputs();
        append(&copy.path().join(file), text);
        let outdated = present_record().outdated(copy.path());
        assert_eq!(outdated.expect("the inputs are readable"), None);
    }
}

#[rstest]
#[case::code("guest/src/lib.rs", "// more", "the guest's sources")]
#[case::a_new_file("guest/src/more.lua", "", "the guest's sources")]
#[case::a_flag("guest/wasi/recipe.toml", "# more", "the guest's sources")]
#[case::a_patched_package(
    "Cargo.toml",
    "\n[patch.crates-io]\nlua-src = { path = \"lua\" }\n",
    "the guest's settings in Cargo.toml"
)]
fn related_changes_outdate_the_module(#[case] file: &str, #[case] text: &str, #[case] named: &str) {
    if has_guest_sources() {
        let copy = copied_inputs();
        append(&copy.path().join(file), text);
        assert_outdated(copy.path(), named);
    }
}

#[test]
fn another_version_of_a_package_outdates_the_module() {
    if has_guest_sources() {
        let copy = copied_inputs();
        let path = copy.path().join("Cargo.lock");
        let lock = fs::read_to_string(&path).expect("the lock file is readable");
        let version = recorded::locked_version(copy.path(), "lua-src").expect("it is locked");
        let updated = lock.replace(
            &format!("name = \"lua-src\"\nversion = \"{version}\""),
            "name = \"lua-src\"\nversion = \"999.0.0\"",
        );
        fs::write(path, updated).expect("a file to write");
        assert_outdated(copy.path(), "the guest's packages in Cargo.lock");
    }
}

#[track_caller]
fn assert_outdated(workspace: &Path, named: &str) {
    let message = present_record()
        .outdated(workspace)
        .expect("the inputs are readable");
    let message = message.expect("a message");
    assert!(message.contains(named), "{message}");
    assert!(message.contains(recorded::REBUILD), "{message}");
}
