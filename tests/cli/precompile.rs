//! `moonfork precompile`: writing a file of compiled code, and looking at one.

use crate::command::{Folder, moonfork, run};

#[test]
fn what_is_written_can_be_used_by_the_pools_it_is_for() {
    let folder = Folder::new();
    let file = folder.path("guest.code");
    let precompile = |args: &[&str]| run(moonfork().arg("precompile").arg(&file).args(args));
    let said = file.to_string_lossy().into_owned();
    precompile(&["--check"]).assert_failed(1, &[&said, "No such file"]);

    let ran = precompile(&["--metered", "--all-processors"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
    let ran = precompile(&["--metered", "--check"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
    precompile(&["--check"]).assert_failed(1, &[&said, "fuel"]);

    let ran = precompile(&[]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
    let ran = precompile(&["--check"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    let file = folder.path("missing/guest.code");
    let ran = run(moonfork().arg("precompile").arg(&file));
    ran.assert_failed(1, &["can't be written", &file.to_string_lossy()]);
}

#[test]
fn what_is_looked_at_is_not_written() {
    let args = ["precompile", "file", "--check", "--all-processors"];
    run(moonfork().args(args)).assert_failed(2, &["--check", "--all-processors"]);
}
