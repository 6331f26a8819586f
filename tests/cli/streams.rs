//! A reader that goes away is no failure, and no panic.

use std::process::Stdio;

use crate::command::moonfork;

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
