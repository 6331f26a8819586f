//! Machine code of translated Lua that is kept between processes, or shipped.

use std::fs;
use std::path::{Path, PathBuf};

use moonfork::{CodeOrigin, CompiledLua, Pool, PoolBuilder, Processors};

use super::has_places;

const CODE: &str = "local sum = 0 for i = 1, 1000 do sum = sum + i end return sum";
const OTHER: &str = "local sum = 1 for i = 1, 1000 do sum = sum + i * 2 end return sum";

fn builder(folder: &Path) -> PoolBuilder {
    Pool::builder().cache_dir(folder)
}

/// What became of a chunk, which gives what it should.
#[track_caller]
fn compiled(builder: PoolBuilder, code: &str, sum: i64) -> CompiledLua {
    let pool = builder.compile(code).build().unwrap();
    assert_eq!(pool.branch().unwrap().eval::<i64>(code).unwrap(), sum);
    let mut chunks = pool.compiled_lua();
    assert_eq!(chunks.len(), 1);
    chunks.remove(0)
}

#[track_caller]
fn assert_origin(lua: &CompiledLua, origin: &CodeOrigin, notes: &str) {
    let code = lua.code().unwrap();
    assert_eq!(code.origin(), origin);
    assert!(code.notes().concat().contains(notes), "{:?}", code.notes());
    assert_eq!(
        code.notes().is_empty(),
        notes.is_empty(),
        "{:?}",
        code.notes()
    );
}

/// The files of translated Lua in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_lua = |path: &PathBuf| path.extension().is_some_and(|end| end == "luacode");
    let mut files: Vec<_> = entries.filter(is_lua).collect();
    files.sort();
    files
}

#[test]
fn what_was_compiled_once_lies_ready_whatever_was_compiled_before_it() {
    if !has_places() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let first = compiled(builder(folder.path()), CODE, 500_500);
    assert_origin(&first, &CodeOrigin::Compiled, "");
    assert_eq!(files(folder.path()).len(), 1);
    let second = compiled(builder(folder.path()), CODE, 500_500);
    assert_origin(&second, &CodeOrigin::Kept, "");
    // Its functions have other places here.
    let pool = builder(folder.path())
        .compile(OTHER)
        .compile(CODE)
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    assert_eq!(branch.eval::<i64>(OTHER).unwrap(), 1_001_001);
    assert_eq!(branch.eval::<i64>(CODE).unwrap(), 500_500);
    let chunks = pool.compiled_lua();
    let origins = chunks
        .iter()
        .map(|lua| lua.code().unwrap().origin().clone());
    let mut origins: Vec<_> = origins.map(|origin| format!("{origin:?}")).collect();
    origins.sort();
    assert_eq!(origins, ["Compiled", "Kept"]);
    assert_eq!(files(folder.path()).len(), 2);
}

#[test]
fn code_of_something_else_is_not_used() {
    if !has_places() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    compiled(builder(folder.path()), CODE, 500_500);
    let code = files(folder.path()).remove(0);
    compiled(builder(folder.path()), OTHER, 1_001_001);
    let other = files(folder.path())
        .into_iter()
        .find(|path| *path != code)
        .unwrap();
    fs::rename(&code, &other).unwrap();
    let lua = compiled(builder(folder.path()), OTHER, 1_001_001);
    assert_origin(
        &lua,
        &CodeOrigin::Compiled,
        "it is the code of something else",
    );
    // It was put right.
    let lua = compiled(builder(folder.path()), OTHER, 1_001_001);
    assert_origin(&lua, &CodeOrigin::Kept, "");
}

#[test]
#[cfg(unix)]
fn what_others_can_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;

    if !has_places() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    compiled(builder(folder.path()), CODE, 500_500);
    let file = files(folder.path()).remove(0);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let lua = compiled(builder(folder.path()), CODE, 500_500);
    assert_origin(&lua, &CodeOrigin::Compiled, "others may write to it");
}

#[test]
fn what_is_damaged_is_not_used() {
    if !has_places() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    compiled(builder(folder.path()), CODE, 500_500);
    let file = files(folder.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, bytes).unwrap();
    let lua = compiled(builder(folder.path()), CODE, 500_500);
    assert_origin(&lua, &CodeOrigin::Compiled, "damaged");
}

#[test]
fn what_is_shipped_lies_beside_the_guest() {
    if !has_places() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.code");
    Pool::builder()
        .precompile(&file, Processors::LikeThisOne)
        .unwrap();
    let shipped = || Pool::builder().precompiled(&file);
    let pool = shipped().compile(CODE).build().unwrap();
    pool.precompile_lua(&file).unwrap();
    let lua = compiled(shipped(), CODE, 500_500);
    let path = files(&folder.path().join("guest.code.lua")).remove(0);
    assert_origin(&lua, &CodeOrigin::Precompiled(path), "");
    // What isn't there is compiled.
    let lua = compiled(shipped(), OTHER, 1_001_001);
    assert_origin(&lua, &CodeOrigin::Compiled, "");
}
