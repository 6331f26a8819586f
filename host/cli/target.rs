//! Where results and reports go: files that are opened before the run, so that a run isn't wasted
//! on a path that can't be written to.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::end::Mistake;
use super::stream;

/// The argument that says where the result goes.
#[derive(Debug, clap::Args)]
pub(super) struct ResultArgs {
    /// Where to write the result, in place of standard output. What is there stays until there is
    /// a result.
    #[arg(short, long, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

impl ResultArgs {
    /// Whether it goes to a file.
    pub(super) fn is_file(&self) -> bool {
        self.output_file.is_some()
    }
}

/// The argument that says where the report goes.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// Where to write what ran and what it cost, as JSON, also when it fails.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Where the result goes and where the report goes.
#[derive(Debug)]
pub(super) struct Targets {
    result: Option<Target>,
    report: Option<Target>,
}

/// A file that is open, with what it held, until there is something to write.
#[derive(Debug)]
struct Target {
    what: &'static str,
    path: PathBuf,
    file: File,
    /// Whether it is there only because it was opened here.
    is_new: bool,
}

impl Targets {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// If one can't be written to, or both are the same.
    pub(super) fn open(result: &ResultArgs, report: &ReportArgs) -> anyhow::Result<Targets> {
        let (result, report) = (&result.output_file, &report.report);
        let is_device = |path: &Path| path.exists() && !path.is_file();
        if result == report && result.as_deref().is_some_and(|path| !is_device(path)) {
            return Err(Mistake::error(
                "--output-file and --report can't be the same file",
            ));
        }
        let open = |what, path: &Option<PathBuf>| {
            let target = path.as_ref().map(|path| Target::open(what, path));
            target.transpose()
        };
        Ok(Targets {
            result: open("the result", result)?,
            report: open("the report", report)?,
        })
    }

    /// Whether the result goes to a file.
    pub(super) fn has_result_file(&self) -> bool {
        self.result.is_some()
    }

    /// Writes the result: to its file, or else to standard output.
    pub(super) fn write_result(&mut self, result: &impl Serialize) -> anyhow::Result<()> {
        match self.result.take() {
            Some(target) => target.write(result),
            None => stream::print_json(result),
        }
    }

    /// Writes the report, if it is asked for.
    pub(super) fn write_report(&mut self, report: &impl Serialize) -> anyhow::Result<()> {
        self.report.take().map_or(Ok(()), |it| it.write(report))
    }
}

impl Target {
    fn open(what: &'static str, path: &Path) -> anyhow::Result<Target> {
        let new = File::options().write(true).create_new(true).open(path);
        let (file, is_new) = match new {
            Ok(file) => (Ok(file), true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let mut options = File::options();
                (options.write(true).create(true).open(path), false)
            }
            Err(error) => (Err(error), false),
        };
        Ok(Target {
            file: file.with_context(|| format!("{what}: {}", path.display()))?,
            what,
            path: path.to_owned(),
            is_new,
        })
    }

    /// Replaces what the file holds by the value as JSON.
    fn write(mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.is_new = false;
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        let written = (|| {
            // Neither a pipe nor a device can be cut.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(text.as_bytes())?;
            self.file.flush()
        })();
        written.with_context(|| format!("{}: {}", self.what, self.path.display()))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_new {
            // Nothing was written to it, and it was not there before.
            let _ = fs::remove_file(&self.path);
        }
    }
}
