//! A C compiler that compiles patched copies of Lua's sources.
//!
//! lua-src's build script compiles Lua's sources as they are in the package. It gets this
//! program for its compiler, which hands over to the real one, with the copy that
//! [`patch`](crate::patch) has made in place of each source file.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// With this environment variable, the program is a compiler. It names the real one.
pub(crate) const REAL: &str = "MOONFORK_REAL_CC";

/// Names the folder of Lua's sources.
pub(crate) const SOURCES: &str = "MOONFORK_LUA_SOURCES";

/// Names the folder of their patched copies.
pub(crate) const PATCHED: &str = "MOONFORK_LUA_PATCHED";

/// Names the file that [`write_flags`] has written.
pub(crate) const FLAGS: &str = "MOONFORK_LUA_FLAGS";

/// Whether the command line is a compiler's: an archiver's begins with an operation.
pub(crate) fn is_called() -> bool {
    let first = env::args_os().nth(1).unwrap_or_default();
    first.to_string_lossy().starts_with('-')
}

/// Writes what the compiler is told besides, by the name of the source file.
pub(crate) fn write_flags(path: &Path, flags: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let text = serde_json::to_vec(flags)?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Compiles as the command line says, each file of Lua's from its patched copy.
pub(crate) fn run(real: &OsString) -> Result<()> {
    let variable = |name| {
        let value = env::var_os(name).with_context(|| format!("{name} is not set"));
        value.map(PathBuf::from)
    };
    let (sources, patched) = (variable(SOURCES)?, variable(PATCHED)?);
    let flags = variable(FLAGS)?;
    let text = fs::read(&flags).with_context(|| format!("reading {}", flags.display()))?;
    let mut flags: BTreeMap<String, Vec<String>> = serde_json::from_slice(&text)?;

    let mut compiler = Command::new(real);
    for arg in env::args_os().skip(1) {
        let source = Path::new(&arg);
        match source.file_name() {
            Some(name) if source.is_file() && source.parent() == Some(&sources) => {
                let flags = flags.remove(&*name.to_string_lossy());
                compiler.args(flags.unwrap_or_default());
                compiler.arg(patched.join(name));
            }
            _ => {
                compiler.arg(arg);
            }
        }
    }
    let status = compiler
        .status()
        .with_context(|| format!("running {}", real.display()))?;
    ensure!(status.success(), "{} ended with {status}", real.display());
    Ok(())
}
