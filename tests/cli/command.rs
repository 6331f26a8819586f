//! Runs the binary and looks at what comes out of it.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The binary, with a cache that all tests share: compiling is most of what a run costs.
pub(crate) fn moonfork() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moonfork"));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("moonfork-cache");
    command
        .env("MOONFORK_CACHE_DIR", cache)
        .stdin(Stdio::null());
    command
}

/// What a run of the binary left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary can be started");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}

impl Ran {
    /// The JSON on standard output of a run that succeeded.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it failed with this code, said all of this, and printed no result.
    #[track_caller]
    pub(crate) fn assert_failed(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for part in said {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
    }
}

/// A folder for the files of one test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().expect("a folder for temporary files"))
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the file can be written");
        path
    }

    /// The path of a file, whether it is there or not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
