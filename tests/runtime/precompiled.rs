//! Compiled code that is shipped in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use moonfork::{CodeOrigin, ErrorKind, Pool, PoolBuilder, Processors};
use tempfile::TempDir;

fn settings() -> PoolBuilder {
    Pool::builder().max_branches(1).max_runs(0)
}

/// A folder as an application would be shipped with: files for pools that count fuel and for
/// those that don't.
fn shipped() -> (PathBuf, PathBuf) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let write = |pool: PoolBuilder, name| {
            let file = folder.path().join(name);
            pool.precompile(file, Processors::LikeThisOne).unwrap();
        };
        write(settings(), "plain");
        write(settings().metered(), "metered");
        folder
    });
    (folder.path().join("plain"), folder.path().join("metered"))
}

#[track_caller]
fn build(pool: PoolBuilder) -> Pool {
    let pool = pool.build().expect("whatever lies there, a pool is built");
    let sum = pool.branch().unwrap().eval::<i64>("40 + 2");
    assert_eq!(sum.unwrap(), 42);
    pool
}

#[track_caller]
fn assert_loaded(pool: PoolBuilder, file: &Path) {
    let pool = build(pool);
    let code = pool.compiled_code();
    assert_eq!(*code.origin(), CodeOrigin::Precompiled(file.to_owned()));
    assert_eq!(code.notes(), [""; 0]);
}

#[track_caller]
fn assert_compiled(pool: PoolBuilder, file: &Path, why: &str) {
    let pool = build(pool);
    let code = pool.compiled_code();
    assert_eq!(*code.origin(), CodeOrigin::Compiled);
    let [note] = code.notes() else {
        panic!("one note, not {code:?}");
    };
    assert!(note.starts_with(&*file.to_string_lossy()), "{note}");
    assert!(note.contains(why), "no {why:?} in {note}");
}

#[test]
fn it_is_loaded_whatever_the_size_of_the_pool() {
    let (plain, metered) = shipped();
    assert_loaded(settings().precompiled(&plain), &plain);
    let other = settings().max_branches(5).memory(8 << 20);
    assert_loaded(other.precompiled(&plain), &plain);
    assert_loaded(settings().metered().precompiled(&metered), &metered);
}

#[test]
fn it_is_not_loaded_where_fuel_is_counted_in_another_way() {
    let (plain, metered) = shipped();
    assert_compiled(settings().metered().precompiled(&plain), &plain, "fuel");
    assert_compiled(settings().precompiled(&metered), &metered, "fuel");
}

#[test]
fn of_several_the_first_that_fits_is_loaded() {
    let (plain, metered) = shipped();
    let both = |pool: PoolBuilder| pool.precompiled(&metered).precompiled(&plain);
    let pool = build(both(settings()));
    let code = pool.compiled_code();
    assert_eq!(*code.origin(), CodeOrigin::Precompiled(plain.clone()));
    assert_eq!(code.notes().len(), 1, "{code:?}");
    assert_loaded(both(settings().metered()), &metered);
}

#[test]
fn a_file_that_is_missing_or_damaged_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    assert_compiled(settings().precompiled(&file), &file, "No such file");
    let mut code = fs::read(shipped().0).unwrap();
    let middle = code.len() / 2;
    code[middle] ^= 1;
    fs::write(&file, code).unwrap();
    assert_compiled(settings().precompiled(&file), &file, "damaged");
}

#[test]
fn what_does_not_fit_is_kept_once_it_is_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let (_, metered) = shipped();
    let pool = || {
        settings()
            .precompiled(&metered)
            .cache_dir(folder.path().join("kept"))
    };
    assert_compiled(pool(), &metered, "fuel");
    let pool = build(pool());
    assert_eq!(*pool.compiled_code().origin(), CodeOrigin::Kept);
}

#[test]
fn code_for_all_processors_runs_on_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portable");
    settings().precompile(&file, Processors::All).unwrap();
    let here = fs::read(shipped().0).unwrap();
    assert_ne!(fs::read(&file).unwrap(), here, "it is the same code");
    let pool = build(settings().precompiled(&file));
    let origin = pool.compiled_code().origin().clone();
    assert_eq!(origin, CodeOrigin::Precompiled(file));
    let rounded = "{math.floor(2.5), math.ceil(2.5), 7.5 // 2, 2^0.5 * 2^0.5 - 2 < 1e-9}";
    let rounded: serde_json::Value = pool.branch().unwrap().eval(rounded).unwrap();
    assert_eq!(rounded, serde_json::json!([2, 3, 3.0, true]));
}

#[test]
fn a_file_that_is_there_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "something else").unwrap();
    for _ in 0..2 {
        settings()
            .precompile(&file, Processors::LikeThisOne)
            .unwrap();
        assert_loaded(settings().precompiled(&file), &file);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn where_it_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for file in [folder.path().join("missing/file"), "/".into()] {
        let error = settings()
            .precompile(&file, Processors::LikeThisOne)
            .unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Setup { .. }), "{error:?}");
        assert!(error.to_string().contains(&*file.to_string_lossy()));
    }
}

/// Where the file lies, and who can write to it.
#[cfg(unix)]
mod trust {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn it_is_loaded_through_links() {
        let (plain, _) = shipped();
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(&plain, &link).unwrap();
        assert_loaded(settings().precompiled(&link), &link);
    }

    #[test]
    fn where_others_can_write_it_is_not_loaded() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("file");
        fs::copy(shipped().0, &file).unwrap();
        allow(&folder, 0o755);
        allow(&file, 0o644);
        assert_loaded(settings().precompiled(&file), &file);
        allow(&file, 0o664);
        assert_compiled(settings().precompiled(&file), &file, "others may write");
        allow(&file, 0o644);
        allow(&folder, 0o1777);
        assert_compiled(settings().precompiled(&file), &file, "others may write");
        // What is reached through a link is what counts.
        let link = parent.path().join("link");
        symlink(&file, &link).unwrap();
        assert_compiled(settings().precompiled(&link), &link, "others may write");
    }
}
