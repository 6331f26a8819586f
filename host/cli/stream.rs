//! Standard output and standard error.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use serde::Serialize;

/// Prints the result: pretty JSON and a line feed.
///
/// # Errors
/// If it can't be written. That nobody reads any further (`| head`) is no error.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}

/// Prints text to standard output, as [`print_json`] does.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the result can't be written to standard output")
        }
        _ => Ok(()),
    }
}

/// Prints an event as one line of JSON, at once, as [`print_json`] does.
pub(super) fn print_event(event: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    print(&line)
}

/// Writes a line to standard error. If that is closed, there is nobody to tell.
pub(super) fn note(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Passes on what a script prints, as it is printed.
pub(super) fn pass_on_bytes(text: &[u8]) {
    let _ = io::stderr().lock().write_all(text);
}

/// Says that output was cut off.
pub(super) fn note_truncated() {
    note(format_args!("{TRUNCATED}"));
}

const TRUNCATED: &str = "warning: more was printed than the limit lets through";
