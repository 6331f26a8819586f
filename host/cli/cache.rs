//! The folder that keeps compiled code from one run to the next.
//!
//! What lies in it is run as machine code, so a folder that anyone else could write to is not
//! used. Having none costs a fraction of a second and is no reason to say anything.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The folder, made if it wasn't there; `None` if there is none that can be trusted.
pub(super) fn folder() -> Option<PathBuf> {
    let folder = match env::var_os("MOONFORK_CACHE_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => etcetera::choose_base_strategy()
            .ok()?
            .cache_dir()
            .join("moonfork"),
    };
    make_private(&folder).ok()?;
    is_ours_alone(&folder).ok()?.then_some(folder)
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Whether the folder is the user's own, and nobody else may write to it.
///
/// A file made in it shows who the user is to the file system, and that there can be files.
fn is_ours_alone(folder: &Path) -> io::Result<bool> {
    let mut name = OsString::from(".probe-");
    name.push(std::process::id().to_string());
    let probe = folder.join(name);
    let ours = File::create_new(&probe).and_then(|file| file.metadata());
    let removed = fs::remove_file(&probe);
    let verdict = is_private(&fs::metadata(folder)?, &ours?);
    removed.map(|()| verdict)
}

#[cfg(unix)]
fn is_private(folder: &Metadata, ours: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_MAY_WRITE: u32 = 0o022;
    folder.uid() == ours.uid() && folder.mode() & OTHERS_MAY_WRITE == 0
}

#[cfg(not(unix))]
fn is_private(_folder: &Metadata, _ours: &Metadata) -> bool {
    // The user's own cache folder is private by default there.
    true
}
