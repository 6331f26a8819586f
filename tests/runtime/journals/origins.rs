//! Instances that began with more than a fresh one has: their journals have that memory.

use moonfork::{Grants, HostError, Journal, Pool, RunOptions};
use rstest::rstest;

use super::{recording, same, taken};
use crate::common;

fn pool(metered: bool, prelude: bool) -> Pool {
    let mut builder = common::builder()
        .max_branches(4)
        .function("sub", |(a, b): (f64, f64)| Ok::<_, HostError>(a - b))
        .function("add", |(a, b): (f64, f64)| Ok::<_, HostError>(a + b));
    if metered {
        builder = builder.metered();
    }
    if prelude {
        let code = "base = {} for i = 1, 300 do base['key' .. i] = {i} end";
        builder = builder.prelude(code);
    }
    builder.build().unwrap()
}

const CODE: &str = "local n = 0 for k, v in pairs(base) do n = add(n, v[1]) + math.random(3) end
                    return {n, tostring(base), tostring {}}";

fn options() -> RunOptions {
    recording(Grants::none().function("add").seed(3))
}

#[rstest]
fn behind_a_prelude(#[values(false, true)] metered: bool) {
    let pool = pool(metered, true);
    let mut branch = pool.branch_with(&options()).unwrap();
    branch.eval::<(f64, String, String)>(CODE).unwrap();
    let replay = same(&taken(&mut branch));
    assert!(
        replay.to_string().contains("began with a memory of"),
        "{replay}"
    );
}

#[rstest]
fn a_fork_and_one_of_a_snapshot(#[values(false, true)] metered: bool) {
    let pool = pool(metered, false);
    let grants = Grants::none().function("add");
    let mut parent = pool.branch_with(&RunOptions::new().grants(grants)).unwrap();
    parent
        .exec("base = {} for i = 1, 3000 do base['key' .. i] = {add(i, 0)} end base.key7 = {nil, 'x'} base.key7[1] = 0")
        .unwrap();
    for number in 1..=2 {
        let mut fork = parent.fork_with(&options()).unwrap();
        // What it has learnt there is its own.
        parent.exec("base.key8[1] = 0").unwrap();
        fork.eval::<(f64, String, String)>(CODE).unwrap();
        fork.eval::<f64>("add(base.key8[1], 1)").unwrap();
        let replay = same(&taken(&mut fork));
        assert!(
            replay.to_string().contains("began with a memory of"),
            "{number}: {replay}"
        );
    }
    let snapshot = parent.snapshot().unwrap();
    for _ in 0..2 {
        let mut branch = snapshot.branch_with(&options()).unwrap();
        branch.eval::<(f64, String, String)>(CODE).unwrap();
        let mut grandchild = branch.fork_with(&options()).unwrap();
        grandchild.eval::<(f64, String, String)>(CODE).unwrap();
        same(&taken(&mut branch));
        same(&taken(&mut grandchild));
    }
}

#[test]
fn the_memory_is_written_once_beside_the_journals() {
    let pool = pool(false, true);
    let folder = tempfile::tempdir().unwrap();
    let files = [1, 2].map(|number| {
        let mut branch = pool.branch_with(&options()).unwrap();
        branch.eval::<(f64, String, String)>(CODE).unwrap();
        let file = folder.path().join(format!("{number}.journal"));
        taken(&mut branch).write(&file).unwrap();
        file
    });
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names.map(|it| it.unwrap().path()).collect();
    let memory = names.iter().find(|it| it.extension().unwrap() == "memory");
    assert_eq!(names.len(), 3, "{names:?}");
    for file in &files {
        same(&Journal::read(file).unwrap());
    }
    std::fs::remove_file(memory.unwrap()).unwrap();
    let error = Journal::read(&files[0]).unwrap_err().to_string();
    assert!(
        error.contains(".memory, which has to lie beside it"),
        "{error}"
    );
}
