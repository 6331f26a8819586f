//! Snapshots in files, preludes, and what a report says of where a memory came from.

use std::fs;
use std::path::{Path, PathBuf};

use moonfork::{Error, Grants, Pool, PoolBuilder, RunOptions};
use rstest::rstest;
use tempfile::TempDir;

use crate::common::{builder, pool};

/// A folder that is this user's alone, and a file to be in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.snapshot");
    (folder, file)
}

/// Writes a snapshot in which `x` is 41 and `add` is what the pool has under that name.
fn written(file: &Path) {
    let pool = with_functions(&["sub", "add"]);
    let mut parent = pool.branch().unwrap();
    parent
        .exec("x = 41 plus = add for i = 1, 500 do _G['name' .. i] = {i} end")
        .unwrap();
    parent.snapshot().unwrap().write(file).unwrap();
}

fn with_functions(names: &[&'static str]) -> Pool {
    let mut builder = builder().grants(Grants::none().all_functions());
    for &name in names {
        builder = builder.function(name, move |(a, b): (i64, i64)| {
            Ok(if name == "add" { a + b } else { a - b })
        });
    }
    builder.build().unwrap()
}

#[test]
fn a_file_is_read_by_another_pool() {
    let (_folder, file) = place();
    written(&file);
    let pool = with_functions(&["sub", "add"]);
    let snapshot = pool.load_snapshot(&file).unwrap();
    let mut branch = snapshot.branch().unwrap();
    assert_eq!(branch.eval::<i64>("plus(x, 1) + name500[1]").unwrap(), 542);
    assert_eq!(branch.take_report().origin.parent, Some(snapshot.parent()));
    // A copy of what was read is written again.
    branch.exec("x = 5").unwrap();
    branch.snapshot().unwrap().write(&file).unwrap();
    let again = pool.load_snapshot(&file).unwrap();
    assert_eq!(again.branch().unwrap().eval::<i64>("add(x, 1)").unwrap(), 6);
}

#[rstest]
#[case::other_places(&["more", "add", "other", "sub"])]
#[case::the_other_way_around(&["add", "sub"])]
fn host_functions_are_found_by_their_names(#[case] names: &[&'static str]) {
    let (_folder, file) = place();
    written(&file);
    let pool = with_functions(names);
    let snapshot = pool.load_snapshot(&file).unwrap();
    let mut branch = snapshot.branch().unwrap();
    assert_eq!(branch.eval::<i64>("plus(x, 1) + sub(10, 4)").unwrap(), 48);
    let report = branch.take_report();
    assert_eq!((report.host_calls["add"], report.host_calls["sub"]), (1, 1));
    if names.contains(&"more") {
        assert_eq!(branch.eval::<i64>("more(10, 4)").unwrap(), 6);
        let mut fork = branch.fork().unwrap();
        assert_eq!(fork.eval::<i64>("more(1, 2) + plus(x, 1)").unwrap(), 41);
        let copy = fork.snapshot().unwrap();
        assert_eq!(
            copy.branch().unwrap().eval::<i64>("plus(x, 1)").unwrap(),
            42
        );
    }
    let few = RunOptions::new().grants(Grants::none().function("sub"));
    let mut few = snapshot.branch_with(&few).unwrap();
    assert!(few.eval::<i64>("plus(1, 2)").unwrap_err().is_denied());
}

#[test]
fn a_host_function_that_is_gone_is_refused() {
    let (_folder, file) = place();
    written(&file);
    let error = with_functions(&["add"]).load_snapshot(&file).unwrap_err();
    assert!(
        error.to_string().contains("'sub', which this pool has not"),
        "{error}"
    );
}

#[track_caller]
fn refused(file: &Path, expected: &str) {
    let error: Error = with_functions(&["sub", "add"])
        .load_snapshot(file)
        .unwrap_err();
    assert!(
        error.is_options() && error.to_string().contains(expected),
        "{error}"
    );
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let (_folder, file) = place();
    written(&file);
    let whole = fs::read(&file).unwrap();
    for at in [0, 30, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).unwrap();
        refused(&file, if at == 0 { "no snapshot" } else { "damaged" });
    }
    for len in [0, 10, 20, 40, whole.len() - 1] {
        fs::write(&file, &whole[..len]).unwrap();
        refused(&file, "can't be used: it is");
    }
    fs::write(&file, &whole).unwrap();
    with_functions(&["sub", "add"])
        .load_snapshot(&file)
        .unwrap();
    refused(&file.with_extension("none"), "can't be used");
}

/// A file as another version, or one for another guest, would have written it.
fn altered(file: &Path, from: &str, to: &str) {
    use sha2::{Digest, Sha256};
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).unwrap();
    let at = bytes
        .windows(from.len())
        .position(|it| it == from.as_bytes());
    let at = at.expect(from);
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    let end = bytes.len() - 32;
    let hash = Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&hash);
    fs::write(file, bytes).unwrap();
}

#[test]
fn another_version_and_another_guest_are_refused() {
    let (_folder, file) = place();
    written(&file);
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    altered(&file, &version, &version.replace("0.1", "9.9"));
    refused(&file, "version 9.9");

    written(&file);
    let guest = pool().branch().unwrap().take_report().origin.guest_sha256;
    altered(&file, &guest, &"0".repeat(64));
    refused(&file, "another guest module");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_could_have_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, file) = place();
    written(&file);
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    permit(&file, 0o620);
    refused(&file, "others may write to it");
    permit(&file, 0o600);
    permit(folder.path(), 0o777);
    refused(&file, "others may write to its folder");
    permit(folder.path(), 0o700);
    with_functions(&["sub", "add"])
        .load_snapshot(&file)
        .unwrap();
}

#[test]
fn a_snapshot_larger_than_the_pool_allows_is_refused() {
    let (_folder, file) = place();
    let mut parent = pool().branch().unwrap();
    parent.exec("x = ('x'):rep(4 << 20)").unwrap();
    parent.snapshot().unwrap().write(&file).unwrap();
    let small = builder().memory(4 << 20).build().unwrap();
    let error = small.load_snapshot(&file).unwrap_err();
    assert!(error.is_options(), "{error}");
    let large = builder().memory(16 << 20).build().unwrap();
    let mut branch = large.load_snapshot(&file).unwrap().branch().unwrap();
    assert_eq!(branch.eval::<usize>("#x").unwrap(), 4 << 20);
}

fn preluded() -> PoolBuilder {
    builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .module("tax", "loads = (loads or 0) + 1 return {rate = 0.19}")
        .grants(Grants::none().all_functions().all_modules())
        .prelude("tax = require('tax') names = {} for i = 1, 20000 do names[i] = 'n' .. i end")
        .prelude("function total(n) return add(n, #names) end")
}

#[test]
fn a_prelude_runs_once_and_all_instances_begin_behind_it() {
    let pool = preluded().build().unwrap();
    assert_eq!(pool.live_count(), 0);
    let check = "{total(1), loads, tax.rate == require('tax').rate}";
    let expected = (20_001, 1, true);
    let mut main = pool.main().unwrap();
    assert_eq!(main.eval::<(i64, i64, bool)>(check).unwrap(), expected);
    main.exec("names = {} loads = 7").unwrap();
    let mut run = pool.run_main().unwrap();
    assert_eq!(run.eval::<(i64, i64, bool)>(check).unwrap(), expected);
    let mut branch = pool.branch().unwrap();
    assert_eq!(branch.eval::<(i64, i64, bool)>(check).unwrap(), expected);
    let bare = RunOptions::new().grants(Grants::none());
    let mut bare = pool.branch_with(&bare).unwrap();
    assert!(bare.eval::<i64>("total(1)").unwrap_err().is_denied());
    assert_eq!(bare.eval::<f64>("tax.rate").unwrap(), 0.19);
    let narrow = RunOptions::new().memory(2 << 20);
    assert!(pool.branch_with(&narrow).unwrap_err().is_options());

    let quick = RunOptions::new().wall(std::time::Duration::from_millis(50));
    assert!(main.with(&quick).exec("while true do end").is_err());
    let mut main = pool.main().unwrap();
    assert!(main.replaces().is_some());
    assert_eq!(main.eval::<(i64, i64, bool)>(check).unwrap(), expected);
}

#[test]
fn chunks_that_come_again_are_compiled_beside_a_prelude() {
    let pool = preluded().build().unwrap();
    for _ in 0..5 {
        assert_eq!(
            pool.branch()
                .unwrap()
                .eval::<i64>("return total(2)")
                .unwrap(),
            20_002
        );
    }
}

#[test]
fn a_prelude_that_fails_is_an_error_of_the_build() {
    let error = builder().prelude("local x =").build().unwrap_err();
    assert!(
        error.is_syntax() && error.to_string().contains("prelude:1:"),
        "{error}"
    );
    let error = builder()
        .prelude("x = 1")
        .prelude("error('no')")
        .build()
        .unwrap_err();
    assert!(
        error.is_script() && error.to_string().contains("prelude:1: no"),
        "{error}"
    );
    let error = builder()
        .prelude("while true do end")
        .wall(std::time::Duration::from_millis(30))
        .build()
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn a_report_says_where_a_memory_came_from() {
    let pool = builder().build().unwrap();
    let mut parent = pool.branch().unwrap();
    let origin = parent.take_report().origin;
    assert_eq!((origin.parent, &origin.snapshot_sha256), (None, &None));
    assert_eq!(origin.guest_sha256.len(), 64);
    let of_fork = parent.fork().unwrap().take_report();
    assert_eq!(of_fork.origin.parent, Some(parent.store_id()));
    assert_eq!(of_fork.origin.snapshot_sha256, None);
    let snapshot = parent.snapshot().unwrap();
    let mut branch = snapshot.branch().unwrap();
    let of_branch = branch.take_report().origin;
    assert_eq!(of_branch.parent, Some(parent.store_id()));
    let hex: String = snapshot
        .hash()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    assert_eq!(of_branch.snapshot_sha256.as_ref(), Some(&hex));
    let of_fork = branch.fork().unwrap().take_report().origin;
    assert_eq!(of_fork.parent, Some(branch.store_id()));
    assert_eq!(of_fork.snapshot_sha256, Some(hex));
    // Also of one that was stopped.
    let quick = RunOptions::new().wall(std::time::Duration::from_millis(20));
    branch.with(&quick).exec("while true do end").unwrap_err();
    assert_eq!(branch.take_report().origin.parent, Some(parent.store_id()));
}
