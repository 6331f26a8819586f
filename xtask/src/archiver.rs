//! An `ar` that sorts.
//!
//! lua-src's build script compiles its C files in the order in which the file system lists
//! them, which is another on each machine. The linker lays out Lua's functions in the order
//! of the archive. So the build script gets this program for its archiver: it hands over to
//! a real one, with the objects in alphabetical order.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::toolchain::output;

/// With this environment variable, the program is an archiver. It names the real one.
pub(crate) const REAL: &str = "MOONFORK_REAL_AR";

/// Does what the command line asks of an archiver. The crate cc adds objects by
/// `cqD <archive> <objects>`, in several batches if their paths are long, and ends with
/// `sD <archive>`.
pub(crate) fn run(real: &OsString) -> Result<()> {
    let mut args = env::args_os().skip(1);
    let (Some(operation), Some(archive)) = (args.next(), args.next().map(PathBuf::from)) else {
        bail!("an archiver takes an operation, an archive and objects");
    };
    let mut objects: Vec<_> = args.map(PathBuf::from).collect();
    if !objects.is_empty() && archive.exists() {
        // Begin again with the objects of earlier batches, which cc keeps beside the archive.
        let members = output(Command::new(real).arg("t").arg(&archive))?;
        objects.extend(members.lines().map(|member| archive.with_file_name(member)));
        fs::remove_file(&archive)?;
    }
    objects.sort();
    output(Command::new(real).arg(operation).arg(archive).args(objects))?;
    Ok(())
}
