//! A C compiler that patches Lua.
//!
//! lua-src's build script compiles Lua's sources as they are in the package. It gets this
//! program for its compiler, which hands over to the real one, with a patched copy in place of
//! each file that guest/wasi/patches.toml names.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::patch::Patches;

/// With this environment variable, the program is a compiler. It names the real one.
pub(crate) const REAL: &str = "MOONFORK_REAL_CC";

/// Names the file with the patches.
pub(crate) const PATCHES: &str = "MOONFORK_PATCHES";

/// Names the folder for patched copies.
pub(crate) const PATCHED: &str = "MOONFORK_PATCHED";

/// Whether the command line is a compiler's: an archiver's begins with an operation.
pub(crate) fn is_called() -> bool {
    let first = env::args_os().nth(1).unwrap_or_default();
    first.to_string_lossy().starts_with('-')
}

/// Compiles as the command line says, what has to be patched from its patched copy.
pub(crate) fn run(real: &OsString) -> Result<()> {
    let variable = |name| env::var_os(name).with_context(|| format!("{name} is not set"));
    let patches = Patches::read(Path::new(&variable(PATCHES)?))?;
    let folder = PathBuf::from(variable(PATCHED)?);
    let mut compiler = Command::new(real);
    for arg in env::args_os().skip(1) {
        let source = Path::new(&arg);
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        match (source.parent(), patches.of(&name)) {
            (Some(parent), Some(patches)) if source.is_file() => {
                let text = fs::read_to_string(source)
                    .with_context(|| format!("reading {}", source.display()))?;
                let text = patches.apply(&text).with_context(|| format!("in {name}"))?;
                fs::create_dir_all(&folder)?;
                let patched = folder.join(&*name);
                fs::write(&patched, text)?;
                compiler.args(&patches.flags);
                // Where the copy's own `#include`s are.
                compiler.arg("-iquote").arg(parent).arg(patched);
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
