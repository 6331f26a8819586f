//! Folders that scripts may be given, and what they can do there.
//!
//! Paths are resolved by cap-std, component by component beneath the folder's own handle:
//! `..`, absolute paths and symbolic links lead out of no folder, whenever they are made.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, FileType, Metadata, OpenOptions};
use serde_json::json;

use crate::capability::Access;
use crate::grants::lineage::Lineage;
use crate::wire::Service;
use crate::{Error, Result};

/// A folder of the host's, opened to be granted to scripts. They use it through `fs`, under
/// the name it is granted by: `fs.read("name/some/file.txt")`.
///
/// The folder stays the one that was opened, wherever it is moved to. What is read or
/// written at once is held to [`Limits::value`](crate::Limits::value); how much disk space a
/// folder may take in all, only the file system can limit.
#[derive(Clone)]
pub struct Folder {
    dir: Arc<Dir>,
    access: Access,
    /// Where it is, if it may be written to and that can be told.
    lineage: Option<Arc<Lineage>>,
}

impl Folder {
    /// Opens a folder.
    ///
    /// No pool grants a folder to write to that holds compiled code of its own, or lies where it
    /// lies ([`PoolBuilder::cache_dir`](crate::PoolBuilder::cache_dir),
    /// [`PoolBuilder::precompiled`](crate::PoolBuilder::precompiled)): a script could place machine
    /// code there.
    ///
    /// # Errors
    ///
    /// `Setup` when there is none at `path`, or it can't be opened.
    pub fn open(path: impl AsRef<Path>, access: Access) -> Result<Folder> {
        let path = path.as_ref();
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| {
            Error::setup(format_args!(
                "the folder {} can't be granted: {error}",
                path.display()
            ))
            .caused_by(error)
        })?;
        let lineage = match access {
            Access::ReadOnly => None,
            Access::ReadWrite => Lineage::of(path).ok().map(Arc::new),
        };
        Ok(Folder {
            dir: Arc::new(dir),
            access,
            lineage,
        })
    }

    /// Where it is, if scripts may write to it.
    pub(crate) fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_deref()
    }

    /// What scripts may do there.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The same folder, with no more access than `access`.
    #[must_use]
    pub fn narrowed(&self, access: Access) -> Folder {
        let access = self.access.min(access);
        Folder {
            dir: Arc::clone(&self.dir),
            access,
            lineage: match access {
                Access::ReadOnly => None,
                Access::ReadWrite => self.lineage.clone(),
            },
        }
    }

    /// Does what a script asked for at `path`, inside the folder. `max` is what may be read
    /// or written in one piece.
    pub(crate) fn serve(
        &self,
        service: Service,
        path: &str,
        content: &[u8],
        max: usize,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if writes(service) && self.access == Access::ReadOnly {
            return Err(Refusal::ReadOnly);
        }
        if content.len() > max {
            return Err(Refusal::TooLarge(max));
        }
        let path = Path::new(if path.is_empty() { "." } else { path });
        let nothing = |()| None;
        Ok(match service {
            Service::Read => Some(self.read(path, max)?),
            Service::Write => self
                .write(path, content, OpenOptions::new().write(true).truncate(true))
                .map(nothing)?,
            Service::Append => self
                .write(path, content, OpenOptions::new().append(true))
                .map(nothing)?,
            Service::List => Some(self.list(path, max)?),
            Service::Stat => self.stat(path)?,
            Service::Remove => self.remove(path).map(nothing)?,
            Service::MakeFolder => self.dir.create_dir(path).map(nothing)?,
            Service::Module | Service::Time => unreachable!("neither is about files"),
        })
    }

    fn read(&self, path: &Path, max: usize) -> Result<Vec<u8>, Refusal> {
        regular(&self.dir.metadata(path)?)?;
        let mut content = Vec::new();
        let limit = (max as u64).saturating_add(1);
        self.dir.open(path)?.take(limit).read_to_end(&mut content)?;
        if content.len() > max {
            return Err(Refusal::TooLarge(max));
        }
        Ok(content)
    }

    fn write(&self, path: &Path, content: &[u8], how: &mut OpenOptions) -> Result<(), Refusal> {
        match self.dir.metadata(path) {
            Ok(metadata) => regular(&metadata)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let mut file = self.dir.open_with(path, how.create(true))?;
        Ok(file.write_all(content)?)
    }

    fn list(&self, path: &Path, max: usize) -> Result<Vec<u8>, Refusal> {
        /// Bytes that a name costs besides its own.
        const COST: usize = 32;

        let mut names = Vec::new();
        let mut left = max;
        for entry in self.dir.read_dir(path)? {
            // What isn't UTF-8 is shown so that it is seen; it can't be named in a path.
            let name = entry?.file_name().to_string_lossy().into_owned();
            left = left
                .checked_sub(name.len() + COST)
                .ok_or(Refusal::TooLarge(max))?;
            names.push(name);
        }
        names.sort_unstable();
        Ok(serde_json::to_vec(&names).map_err(io::Error::from)?)
    }

    fn stat(&self, path: &Path) -> Result<Option<Vec<u8>>, Refusal> {
        let metadata = match self.dir.metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let kind = kind_of(metadata.file_type());
        let stat = json!({"type": kind, "size": metadata.len()});
        Ok(Some(stat.to_string().into_bytes()))
    }

    fn remove(&self, path: &Path) -> Result<(), Refusal> {
        let metadata = self.dir.symlink_metadata(path)?;
        if metadata.is_dir() {
            self.dir.remove_dir(path)?;
        } else {
            self.dir.remove_file(path)?;
        }
        Ok(())
    }
}

/// Why a folder didn't do what a script asked for.
pub(crate) enum Refusal {
    /// The folder is there to be read.
    ReadOnly,
    /// The content is larger than what may pass in one piece.
    TooLarge(usize),
    /// The system says no; cap-std, when the path leads out of the folder.
    System(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal::System(error)
    }
}

fn writes(service: Service) -> bool {
    matches!(
        service,
        Service::Write | Service::Append | Service::Remove | Service::MakeFolder
    )
}

/// Refuses what isn't a file: opening a pipe would wait for its other end.
fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let kind = kind_of(metadata.file_type());
    Err(io::Error::other(format!("it is not a file but a {kind}")))
}

fn kind_of(kind: FileType) -> &'static str {
    if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "folder"
    } else {
        "special file"
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
