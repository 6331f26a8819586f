//! A reader that goes away is no failure, and no panic; a disk that is full is a failure.

use std::process::Stdio;

use crate::command::{Folder, moonfork};

/// More than a pipe holds.
const LONG: &str = "('x'):rep(1000000)";

#[test]
fn nobody_reads_the_result() {
    let mut child = moonfork()
        .args(["eval", LONG])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn nobody_reads_what_is_printed() {
    let mut child = moonfork()
        .args(["eval", &format!("print({LONG}) return 1")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    drop(child.stderr.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
}

/// Every command that prints, where what it prints can't be written.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_a_failure() {
    let folder = Folder::new();
    let workflow = folder.file("w.yaml", "nodes: [{name: a}]\n");
    let workflow = workflow.to_str().expect("it is UTF-8");
    for args in [
        &["eval", "1"] as &[&str],
        &["run", workflow],
        &["run", workflow, "--stream"],
        &["run", workflow, "--dump-merged"],
        &["validate", workflow],
        &["inspect", workflow],
        &["plugin", "list", "examples/plugins"],
        &[
            "plugin",
            "call",
            "examples/plugins",
            "log-parser",
            "parse",
            "\"x\"",
        ],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = moonfork()
            .args(args)
            .stdout(full.expect("it is there"))
            .output()
            .expect("the binary can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            said.contains("standard output: No space left"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn nobody_reads_the_events() {
    let folder = Folder::new();
    let code = "nodes: [{name: a, run: \"return {n = ('x'):rep(1000000)}\"}]\n";
    let mut child = moonfork()
        .arg("run")
        .arg(folder.file("w.yaml", code))
        .arg("--stream")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
