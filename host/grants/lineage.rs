//! Which folders a folder is inside of: whether what is written to one may end up in another.

use std::io;
use std::path::{Path, PathBuf};

/// A folder and those around it, innermost first: by what they are, not by how they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    path: PathBuf,
    folders: Vec<Identity>,
}

/// What a folder is recognised by, under whichever name, link or mount it is reached.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

impl Lineage {
    /// Of the folder at a path.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn of(path: &Path) -> io::Result<Lineage> {
        let path = path.canonicalize()?;
        let folders = path.ancestors().map(identity).collect::<io::Result<_>>()?;
        Ok(Lineage { path, folders })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether one of them is the other, or inside of it.
    pub(crate) fn overlaps(&self, other: &Lineage) -> bool {
        let is_inside = |inner: &Lineage, outer: &Lineage| match outer.folders.first() {
            Some(outer) => inner.folders.contains(outer),
            None => false,
        };
        is_inside(self, other) || is_inside(other, self)
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    Ok(path.to_owned())
}
