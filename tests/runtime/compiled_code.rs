//! Compiled code that is kept in a folder: what is loaded, what isn't, and that nothing which lies
//! there can keep a pool from being built.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use moonfork::{
    Access, CodeOrigin, CompiledCode, Folder, Grants, Limits, Pool, PoolBuilder, RunOptions,
};
use rstest::rstest;
use tempfile::TempDir;

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a folder for temporary files")
}

/// Builds a pool, sees that it runs Lua, and says where its code came from.
#[track_caller]
fn code_of(pool: PoolBuilder) -> CompiledCode {
    let pool = pool.build().expect("whatever lies there, a pool is built");
    let product = pool.branch().unwrap().eval::<i64>("6 * 7");
    assert_eq!(product.unwrap(), 42);
    pool.compiled_code().clone()
}

fn keeping(folder: &Path) -> PoolBuilder {
    Pool::builder()
        .max_branches(1)
        .max_runs(0)
        .cache_dir(folder)
}

/// A folder that a pool has kept its code in, and the file: a copy, since compiling takes long.
fn kept() -> (TempDir, PathBuf) {
    static FIRST: OnceLock<TempDir> = OnceLock::new();
    let first = FIRST.get_or_init(|| {
        let folder = temporary();
        code_of(keeping(folder.path()));
        folder
    });
    let first = only_file(first.path());
    let folder = temporary();
    let file = folder.path().join(first.file_name().unwrap());
    fs::copy(&first, &file).unwrap();
    (folder, file)
}

/// The one file of a folder.
#[track_caller]
fn only_file(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).expect("the folder can be read");
    let entry = entries.next().expect("something is there").unwrap();
    assert!(entries.next().is_none(), "more than {:?}", entry.path());
    entry.path()
}

#[track_caller]
fn assert_origin(code: &CompiledCode, origin: CodeOrigin) {
    assert_eq!(*code.origin(), origin, "{code:?}");
    assert_eq!(code.notes(), [""; 0]);
}

#[test]
fn the_first_pool_keeps_it_and_the_second_loads_it() {
    let folder = temporary();
    let folder = folder.path().join("made/here");
    assert_origin(&code_of(keeping(&folder)), CodeOrigin::Compiled);
    let file = only_file(&folder);
    let other_settings = keeping(&folder).max_branches(3).memory(8 << 20);
    assert_origin(&code_of(other_settings), CodeOrigin::Kept);
    assert_eq!(only_file(&folder), file);
    // What counts fuel is other code.
    let metered = || keeping(&folder).metered();
    assert_origin(&code_of(metered()), CodeOrigin::Compiled);
    assert_origin(&code_of(metered()), CodeOrigin::Kept);
    assert_origin(&code_of(keeping(&folder)), CodeOrigin::Kept);
}

#[test]
fn without_a_folder_nothing_is_kept() {
    let code = code_of(Pool::builder().max_branches(1));
    assert_origin(&code, CodeOrigin::Compiled);
}

#[test]
fn pools_of_a_process_share_it_whatever_their_limits_and_slots() {
    let first = Pool::builder().max_branches(1).build().unwrap();
    let settings = [
        Pool::builder().max_branches(200).max_runs(3),
        Pool::builder().max_branches(1).memory(8 << 20),
        Pool::builder().max_branches(2).limits(Limits::strict()),
        Pool::builder().max_branches(2).limits(Limits::unlimited()),
        Pool::builder().function("f", |()| Ok(1)),
    ];
    for settings in settings {
        let code = code_of(settings);
        assert!(code.is_shared());
        assert_origin(&code, CodeOrigin::Compiled);
    }
    // Whoever compiled it may go first.
    drop(first);
    assert!(code_of(Pool::builder().max_branches(1)).is_shared());
}

#[test]
fn code_is_shared_with_pools_that_stop_scripts_in_the_same_way_alone() {
    drop(Pool::builder().max_branches(1).build().unwrap());
    let branch = |pool: PoolBuilder| pool.max_branches(1).build().unwrap().branch().unwrap();
    // Not to be stopped by code that has no checks: theirs has.
    drop(branch(Pool::builder().unstoppable()));
    let mut stoppable = branch(Pool::builder().wall(Duration::from_millis(50)));
    assert!(
        stoppable
            .eval::<()>("while true do end")
            .unwrap_err()
            .is_timeout()
    );
    let metered = Limits::default().fuel(100_000);
    let mut metered = branch(Pool::builder().metered().limits(metered));
    let error = metered.eval::<()>("while true do end").unwrap_err();
    assert!(error.is_out_of_fuel());
}

#[test]
fn what_is_shared_is_kept_in_a_folder_too() {
    drop(Pool::builder().max_branches(1).build().unwrap());
    let folder = temporary();
    let code = code_of(keeping(folder.path()));
    assert!(code.is_shared());
    assert_origin(&code, CodeOrigin::Compiled);
    let kept = code_of(keeping(folder.path()));
    assert!(!kept.is_shared());
    assert_origin(&kept, CodeOrigin::Kept);
}

/// What becomes of a file's bytes.
type Spoil = fn(&mut Vec<u8>);

#[rstest]
#[case::empty(|it: &mut Vec<u8>| it.clear(), "too short")]
#[case::cut_off(|it: &mut Vec<u8>| it.truncate(it.len() / 2), "damaged")]
#[case::another_byte_of_code(|it: &mut Vec<u8>| it[100_000] ^= 1, "damaged")]
fn a_spoilt_file_is_replaced(#[case] spoil: Spoil, #[case] why: &str) {
    let (folder, file) = kept();
    let folder = folder.path();
    let mut bytes = fs::read(&file).unwrap();
    spoil(&mut bytes);
    fs::remove_file(&file).unwrap();
    fs::write(&file, bytes).unwrap();
    let code = code_of(keeping(folder));
    assert_eq!(*code.origin(), CodeOrigin::Compiled);
    let [note] = code.notes() else {
        panic!("one note, not {code:?}");
    };
    assert!(note.starts_with(&*file.to_string_lossy()), "{note}");
    assert!(note.contains(why), "{note}");
    assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
    assert_eq!(only_file(folder), file);
}

#[test]
fn code_of_other_settings_is_replaced() {
    let (folder, file) = kept();
    let folder = folder.path();
    fs::remove_file(&file).unwrap();
    code_of(keeping(folder).metered());
    fs::rename(only_file(folder), &file).unwrap();
    let code = code_of(keeping(folder));
    assert_eq!(*code.origin(), CodeOrigin::Compiled);
    assert!(code.notes()[0].contains("fuel"), "{code:?}");
    assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
}

#[test]
fn a_folder_that_cannot_be_is_done_without() {
    let parent = temporary();
    let file = parent.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let code = code_of(keeping(&file));
    assert_eq!(*code.origin(), CodeOrigin::Compiled);
    let [note] = code.notes() else {
        panic!("one note, not {code:?}");
    };
    assert!(note.contains("keeps no compiled code"), "{note}");
}

#[test]
fn a_folder_in_the_files_place_stays() {
    let (folder, file) = kept();
    let folder = folder.path();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let code = code_of(keeping(folder));
    assert_eq!(*code.origin(), CodeOrigin::Compiled);
    // Neither read nor replaced; and what was begun is cleared away.
    assert_eq!(code.notes().len(), 2, "{code:?}");
    assert!(only_file(folder).is_dir());
}

#[test]
fn several_at_once_keep_it() {
    let folder = temporary();
    let folder = folder.path().join("code");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(code_of(keeping(&folder)).notes(), [""; 0]));
        }
    });
    only_file(&folder);
    assert_origin(&code_of(keeping(&folder)), CodeOrigin::Kept);
}

#[test]
fn old_files_of_ours_are_removed_and_no_others() {
    let (folder, file) = kept();
    let folder = folder.path();
    fs::remove_file(&file).unwrap();
    for number in 0..20 {
        fs::write(folder.join(format!("{number:016x}.code")), "old").unwrap();
        fs::write(folder.join(format!("{number:016x}.part")), "unfinished").unwrap();
        let random = format!("67e55044-10b1-426f-9247-{number:012x}");
        fs::write(folder.join(random), "unfinished").unwrap();
        fs::write(folder.join(format!("{number:016x}.txt")), "not ours").unwrap();
        fs::write(folder.join(format!("{number}.code")), "not ours").unwrap();
    }
    assert_origin(&code_of(keeping(folder)), CodeOrigin::Compiled);
    let names = || fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let foreign = names().filter(|it| fs::read(it).unwrap() == b"not ours");
    assert_eq!(foreign.count(), 40);
    assert_eq!(names().count(), 40 + 16);
    assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
}

/// Who may have written what is run.
#[cfg(unix)]
mod trust {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_is_made_for_the_user_alone_and_nobody_is_to_change_the_file() {
        let folder = temporary();
        let folder = folder.path().join("code");
        code_of(keeping(&folder));
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&only_file(&folder)) & 0o222, 0);
    }

    #[rstest]
    #[case::others(0o702)]
    #[case::group(0o720)]
    fn a_folder_that_others_can_write_to_is_not_used(#[case] open: u32) {
        let (folder, file) = kept();
        let folder = folder.path();
        allow(folder, open);
        let written = || fs::metadata(&file).unwrap().modified().unwrap();
        let before = written();
        let code = code_of(keeping(folder));
        assert_eq!(*code.origin(), CodeOrigin::Compiled);
        assert!(code.notes()[0].contains("others may write"), "{code:?}");
        assert_eq!(written(), before);
        allow(folder, 0o755);
        assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
    }

    #[rstest]
    #[case::others(0o602)]
    #[case::group(0o620)]
    fn a_file_that_others_can_write_to_is_replaced(#[case] open: u32) {
        let (folder, file) = kept();
        let folder = folder.path();
        allow(&file, open);
        let code = code_of(keeping(folder));
        assert_eq!(*code.origin(), CodeOrigin::Compiled);
        assert!(code.notes()[0].contains("others may write"), "{code:?}");
        assert_eq!(mode(&file) & 0o222, 0);
        assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
    }

    #[test]
    fn a_link_in_the_files_place_is_replaced() {
        let (folder, file) = kept();
        let folder = folder.path();
        let target = folder.join("elsewhere");
        fs::rename(&file, &target).unwrap();
        symlink(&target, &file).unwrap();
        let code = code_of(keeping(folder));
        assert_eq!(*code.origin(), CodeOrigin::Compiled);
        assert_eq!(code.notes().len(), 1, "{code:?}");
        assert!(!file.is_symlink());
        assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
    }

    #[test]
    fn a_pipe_in_the_files_place_is_replaced() {
        let (folder, file) = kept();
        let folder = folder.path();
        fs::remove_file(&file).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&file).status();
        assert!(made.expect("mkfifo is there").success());
        let code = code_of(keeping(folder));
        assert!(code.notes()[0].contains("no file"), "{code:?}");
        assert_origin(&code_of(keeping(folder)), CodeOrigin::Kept);
    }

    /// Only root can give a file away, so that this says something only where root runs it.
    #[test]
    fn what_belongs_to_another_user_is_not_used() {
        const SOMEBODY: Option<u32> = Some(54_321);
        let (folder, file) = kept();
        let folder = folder.path();
        for what in [&*file, folder] {
            let given = chown(what, SOMEBODY, None);
            let code = code_of(keeping(folder));
            if given.is_err() {
                assert_origin(&code, CodeOrigin::Kept);
                continue;
            }
            assert_eq!(*code.origin(), CodeOrigin::Compiled);
            assert!(code.notes()[0].contains("another user"), "{code:?}");
        }
    }
}

/// A script that could write there could place machine code.
#[test]
fn a_folder_to_write_to_is_not_where_code_is_kept() {
    let folder = temporary();
    let (cache, data) = (folder.path().join("cache"), folder.path().join("data"));
    fs::create_dir(&data).unwrap();
    let pool = keeping(&cache).build().unwrap();
    let inside = cache.join("inside");
    fs::create_dir(&inside).unwrap();
    let grant =
        |path: &Path, access| Grants::none().folder("d", Folder::open(path, access).unwrap());
    let branch = |grants: Grants| {
        pool.branch_with(&RunOptions::new().grants(grants))
            .map(drop)
    };
    for held in [folder.path(), &cache, &inside] {
        let error = branch(grant(held, Access::ReadWrite)).unwrap_err();
        assert!(
            error.to_string().contains("is granted for writing"),
            "{error}"
        );
        assert!(branch(grant(held, Access::ReadOnly)).is_ok());
        let narrowed = Folder::open(held, Access::ReadWrite)
            .unwrap()
            .narrowed(Access::ReadOnly);
        assert!(branch(Grants::none().folder("d", narrowed)).is_ok());
        let pool = keeping(&cache)
            .grants(grant(held, Access::ReadWrite))
            .build();
        assert!(
            pool.unwrap_err()
                .to_string()
                .contains("is granted for writing")
        );
    }
    assert!(branch(grant(&data, Access::ReadWrite)).is_ok());
    assert!(
        keeping(&cache)
            .grants(grant(&data, Access::ReadWrite))
            .build()
            .is_ok()
    );
}

/// Whoever made the folder that the process works in could have put code there.
#[test]
fn a_relative_path_keeps_nothing() {
    let code = code_of(keeping(Path::new("moonfork-relative-cache")));
    assert!(
        code.notes()[0].contains("it is no absolute path"),
        "{code:?}"
    );
    assert!(!Path::new("moonfork-relative-cache").exists());
}
