//! A folder with files of machine code.
//!
//! Files are reached through the folder's handle, and looked at through their own: what is checked
//! is what is used, whatever happens to the paths meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
#[cfg(feature = "compile")]
use std::io::{Read, Seek};
use std::path::Path;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};

use super::{seal, trust};
use crate::private_file::{self, For};

/// How names of files with machine code end.
pub(super) const EXTENSION: &str = "code";

/// How names of files end with machine code of translated Lua.
pub(super) const LUA_EXTENSION: &str = "luacode";

/// How names of files end that version 0.1 was writing when it was ended.
const UNFINISHED: &str = "part";

/// As many files as a folder may keep: those of several settings, programs and versions.
const MOST_FILES: usize = 16;

/// As many files of translated Lua as a folder may keep, and bytes of them all.
const MOST_LUA_FILES: usize = 128;
const MOST_LUA_BYTES: u64 = 64 << 20;

/// A folder that nobody but this user and root can write to.
pub(super) struct Folder(Dir);

/// A file that holds machine code as we have written it, which nobody else can change.
pub(in crate::engine) struct Trusted(fs::File);

impl Trusted {
    pub(in crate::engine) fn into_file(self) -> fs::File {
        self.0
    }
}

impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    ///
    /// When others can write to it, or it isn't there.
    pub(super) fn open(path: &Path) -> io::Result<Folder> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        trust::check("its folder", &dir.dir_metadata()?)?;
        Ok(Folder(dir))
    }

    /// As [`open`](Self::open); makes it, for this user alone, if it isn't there.
    pub(super) fn make(path: &Path) -> io::Result<Folder> {
        private_file::make_folder(path)?;
        Folder::open(path)
    }

    /// Opens a file with code.
    ///
    /// # Errors
    ///
    /// When there is none that can be trusted.
    pub(super) fn trusted(&self, name: impl AsRef<Path>) -> io::Result<Trusted> {
        let mut file = self.0.open_with(name, &for_mapping())?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        trust::check("it", &metadata)?;
        seal::check(&mut file, metadata.len())?;
        Ok(Trusted(file.into_std()))
    }

    /// The same, for the code of what has this hash ([`keep_of`](Self::keep_of)).
    ///
    /// # Errors
    ///
    /// When there is none that can be trusted, or it is another's.
    #[cfg(feature = "compile")]
    pub(super) fn trusted_of(&self, name: impl AsRef<Path>, hash: &[u8]) -> io::Result<Trusted> {
        let Trusted(mut file) = self.trusted(name)?;
        let behind = i64::try_from(seal::LENGTH + hash.len()).map_err(io::Error::other)?;
        file.seek(io::SeekFrom::End(-behind))?;
        let mut found = vec![0; hash.len()];
        file.read_exact(&mut found)?;
        if found != hash {
            return Err(io::Error::other("it is the code of something else"));
        }
        file.rewind()?;
        Ok(Trusted(file))
    }

    /// Puts code into a file, with the hash of what it is the code of.
    ///
    /// # Errors
    ///
    /// As [`put`].
    #[cfg(feature = "compile")]
    pub(super) fn keep_of(
        &self,
        name: impl AsRef<Path>,
        code: &[u8],
        hash: &[u8],
    ) -> io::Result<()> {
        self.keep(name, &[code, hash].concat())
    }

    /// Puts code into a file.
    ///
    /// # Errors
    ///
    /// As [`put`].
    pub(super) fn keep(&self, name: impl AsRef<Path>, code: &[u8]) -> io::Result<()> {
        write(&self.0, name.as_ref().as_os_str(), code)
    }

    /// Removes all but the newest files of ours.
    pub(super) fn prune(&self) -> io::Result<()> {
        let (mut files, mut lua) = (Vec::new(), Vec::new());
        for entry in self.0.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            let path = Path::new(&name);
            if !is_ours(path) {
                continue;
            }
            let is_lua = path.extension().is_some_and(|it| it == LUA_EXTENSION);
            // Another process may be about to remove it, too.
            if let Ok(metadata) = entry.metadata() {
                let modified = metadata.modified().map(cap_std::time::SystemTime::into_std);
                let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
                let of_its_kind = if is_lua { &mut lua } else { &mut files };
                of_its_kind.push((modified, name, metadata.len()));
            }
        }
        let surplus = [
            surplus(files, MOST_FILES, u64::MAX),
            surplus(lua, MOST_LUA_FILES, MOST_LUA_BYTES),
        ];
        for name in surplus.into_iter().flatten() {
            let _ = self.0.remove_file(name);
        }
        Ok(())
    }
}

/// The names of those that there is no room for: there may be so many, and so many bytes of them, the newest first.
fn surplus(
    mut files: Vec<(SystemTime, OsString, u64)>,
    most: usize,
    most_bytes: u64,
) -> Vec<OsString> {
    files.sort_unstable_by(|one, other| other.cmp(one));
    let mut bytes: u64 = 0;
    let kept = files.iter().take(most).take_while(|(_, _, len)| {
        bytes = bytes.saturating_add(*len);
        bytes <= most_bytes
    });
    let kept = kept.count();
    files.drain(kept..).map(|(_, name, _)| name).collect()
}

/// Puts code into a file, whoever can write to its folder.
///
/// # Errors
///
/// When that can't be done; then a file that was there still is.
pub(super) fn put(path: &Path, code: &[u8]) -> io::Result<()> {
    let (folder, name) = private_file::split(path)?;
    let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
    write(&dir, name, code)
}

/// Writes code to a file, so that there is either all of it or none, also for those that read it
/// or write it at the same time. Whoever reads it maps it, so nobody is to write into it.
fn write(dir: &Dir, name: &OsStr, code: &[u8]) -> io::Result<()> {
    private_file::write(dir, name, For::Reading, &[code, &seal::of(code)])
}

/// Whether a file's name is one that we give: the folder may hold what isn't ours.
fn is_ours(name: &Path) -> bool {
    let is_number = |stem: &str| stem.len() == 16 && u64::from_str_radix(stem, 16).is_ok();
    let stem = name.file_stem().and_then(|stem| stem.to_str());
    let extension = name.extension().and_then(|extension| extension.to_str());
    match extension {
        Some(EXTENSION | UNFINISHED) => stem.is_some_and(is_number),
        Some(LUA_EXTENSION) => stem.is_some_and(|stem| {
            stem.len() == 48 && stem.bytes().all(|byte| byte.is_ascii_hexdigit())
        }),
        Some(_) => false,
        None => stem.is_some_and(private_file::is_unfinished),
    }
}

/// How a file is opened that is to be mapped: no link, and without waiting for the other end of
/// a pipe.
fn for_mapping() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    private_file::no_links(&mut options);
    #[cfg(windows)]
    {
        const GENERIC_READ_AND_EXECUTE: u32 = 0x0012_0089 | 0x0012_00a0;
        const SHARE_READ: u32 = 1;
        use cap_std::fs::OpenOptionsExt;
        options.access_mode(GENERIC_READ_AND_EXECUTE);
        options.share_mode(SHARE_READ);
    }
    options
}
