//! Files that are there as a whole or not at all, in folders that are reached through their
//! handles.
//!
//! A file is written without a name, or under a random one that nobody has, and gets its own when it
//! is complete: whoever reads it meanwhile, or ends the process, finds the one before. No link is
//! followed, neither in writing nor in reading.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions};
use cap_tempfile::TempFile;

/// Who may do what with a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// This user reads and writes it, and nobody else either.
    UserAlone,
    /// Everybody reads it, and nobody writes to it, not even by mistake.
    Reading,
}

/// Makes a folder for this user alone, and those above it, unless they are there; and opens it.
///
/// # Errors
/// If it can't be made or opened.
pub(crate) fn make_folder(path: &Path) -> io::Result<Dir> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)?;
    Dir::open_ambient_dir(path, ambient_authority())
}

/// Writes a file, in place of one that may be there: the parts one after the other.
///
/// # Errors
/// If that can't be done; then a file that was there still is.
pub(crate) fn write(dir: &Dir, name: &OsStr, whom: For, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = TempFile::new(dir)?;
    // Before anything is in it.
    permit(file.as_file(), whom)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    file.replace(name)?;
    sync(dir)
}

#[cfg(unix)]
fn permit(file: &File, whom: For) -> io::Result<()> {
    use cap_std::fs::{Permissions, PermissionsExt};
    file.set_permissions(Permissions::from_mode(match whom {
        For::UserAlone => 0o600,
        For::Reading => 0o444,
    }))
}

/// Elsewhere a user's own folders are private by default.
#[cfg(not(unix))]
fn permit(_file: &File, _whom: For) -> io::Result<()> {
    Ok(())
}

/// Makes sure that a new name in the folder is there after a power cut, too.
#[cfg(unix)]
fn sync(dir: &Dir) -> io::Result<()> {
    // The handle itself can't be: it is one for looking up names.
    dir.open(".")?.sync_all()
}

/// A folder can't be synchronised there.
#[cfg(not(unix))]
fn sync(_dir: &Dir) -> io::Result<()> {
    Ok(())
}

/// Opens a file to read it, if it is one: no link, and neither a pipe, which would wait for its
/// other end, nor a device.
///
/// # Errors
/// If it isn't there, can't be opened, or is something else.
pub(crate) fn open(dir: &Dir, name: impl AsRef<Path>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    no_links(&mut options);
    let file = dir.open_with(name, &options)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

/// Has links refused, and pipes opened without waiting.
pub(crate) fn no_links(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        cap_std::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// Whether a file's name is like that of one that was being written when the process was ended: a
/// random one, a UUID in its usual form.
pub(crate) fn is_unfinished(name: &str) -> bool {
    let mut groups = name.split('-');
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut is_next = |len| {
        groups
            .next()
            .is_some_and(|it| it.len() == len && is_hex(it))
    };
    [8, 4, 4, 4, 12].into_iter().all(&mut is_next) && groups.next().is_none()
}

/// A file's folder and its name there.
///
/// # Errors
/// If the path is that of no file.
pub(crate) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::other("it is no file"));
    };
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Ok((folder, name)),
        _ => Ok((Path::new("."), name)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        (folder, dir)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
        let (folder, dir) = folder();
        let name = OsStr::new("state");
        write(&dir, name, For::UserAlone, &[b"first"]).unwrap();
        let before = File::from_std(fs::File::open(folder.path().join("state")).unwrap());
        write(&dir, name, For::UserAlone, &[b"sec", b"ond"]).unwrap();
        let read = |mut file: File| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read(before), "first");
        assert_eq!(read(open(&dir, "state").unwrap()), "second");
        assert_eq!(names(folder.path()), ["state"]);
    }

    #[test]
    fn what_was_not_finished_is_known_by_its_name() {
        assert!(is_unfinished("67e55044-10b1-426f-9247-bb680e5fe0c8"));
        for other in [
            "",
            "67e55044",
            "67e55044-10b1-426f-9247-bb680e5fe0c8-",
            "67e55044-10b1-426f-9247-bb680e5fe0cg",
        ] {
            assert!(!is_unfinished(other), "{other}");
        }
    }

    #[test]
    fn nobody_else_reads_what_is_for_the_user_alone() {
        let (folder, dir) = folder();
        for (whom, mode) in [(For::UserAlone, 0o600), (For::Reading, 0o444)] {
            write(&dir, OsStr::new("file"), whom, &[b"x"]).unwrap();
            let metadata = fs::metadata(folder.path().join("file")).unwrap();
            assert_eq!(metadata.mode() & 0o777, mode, "{whom:?}");
        }
        let made = folder.path().join("one/two");
        make_folder(&made).unwrap();
        assert_eq!(fs::metadata(made).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn no_link_is_followed() {
        let (folder, dir) = folder();
        let victim = folder.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, folder.path().join("link")).unwrap();
        assert!(open(&dir, "link").is_err());
        assert!(open(&dir, ".").is_err());
        // The link itself is replaced.
        write(&dir, OsStr::new("link"), For::UserAlone, &[b"new"]).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(
            fs::read_to_string(folder.path().join("link")).unwrap(),
            "new"
        );
    }
}
