//! `moonfork repl`, as it is when its input is a file.

use std::io::Write;
use std::process::Stdio;

use crate::command::{Ran, moonfork};

fn typed(flags: &[&str], text: &str) -> Ran {
    let mut child = moonfork()
        .arg("repl")
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn globals_last_from_line_to_line() {
    let ran = typed(&[], "x = 20\n\nx + 22\nprint(x)\n");
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "42\n", "20\n")
    );
}

#[test]
fn an_unfinished_line_goes_on_in_the_next() {
    let ran = typed(&[], "function f(n)\n  return n * 2\nend\nf(\n21)\n");
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "42\n", "")
    );
}

#[test]
fn an_error_is_said_and_the_next_line_runs() {
    let ran = typed(&[], "x = 1\nerror('boom')\nx = = 2\nx\n");
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "1\n"));
    assert!(ran.stderr.contains("error: repl:1: boom"), "{ran:?}");
    assert!(ran.stderr.contains("unexpected symbol"), "{ran:?}");
}

#[test]
fn a_line_that_is_stopped_loses_the_globals_and_says_so() {
    let ran = typed(&["--wall", "200ms"], "x = 1\nwhile true do end\nx == nil\n");
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "true\n"));
    assert!(ran.stderr.contains("longer than 200ms"), "{ran:?}");
    assert!(ran.stderr.contains("globals were lost"), "{ran:?}");
}

#[test]
fn input_that_ends_too_early_is_a_failure() {
    typed(&[], "function f()\n").assert_failed(1, &["in the middle of a statement"]);
}
