//! Random calls, errors and yields: native Lua, the interpreter and translated Lua write the same.

use moonfork::{Chunk, Limits};
use rstest::rstest;

use super::{compiling, has_places};
use crate::common;

/// Runs the programs of these seeds, which `generator` runs, everywhere.
#[track_caller]
fn assert_same(generator: &str, seeds: std::ops::Range<i64>) {
    let code = format!("function run(...) {generator} end");
    let lua = mlua::Lua::new();
    lua.load(&*code).set_name("=script").exec().unwrap();
    let natively: mlua::Function = lua.globals().get("run").unwrap();
    let pools = [common::interpreting_builder(), compiling()];
    let pools = pools.map(|builder| builder.limits(Limits::unlimited()).build().unwrap());
    let mut branches = pools.each_ref().map(|pool| pool.branch().unwrap());
    for branch in &mut branches {
        let code = Chunk::body(&*code).named("script");
        branch.exec(code).unwrap();
    }
    assert!(!has_places() || pools[1].compiled_lua()[0].functions() > 20);
    for seed in seeds {
        let native: String = natively.call(seed).unwrap();
        for (branch, way) in branches.iter_mut().zip(["interpreted", "translated"]) {
            let ours: String = branch.call("run", &[seed]).unwrap();
            for (line, (ours, native)) in ours.lines().zip(native.lines()).enumerate() {
                assert_eq!(ours, native, "{way}, seed {seed}, line {line}");
            }
            assert_eq!(ours, native, "{way}, seed {seed}");
        }
    }
}

/// Seeds that `MOONFORK_TEST_SEEDS` says, as a number to begin with and how many, or few.
fn seeds(few: i64) -> std::ops::Range<i64> {
    let Ok(text) = std::env::var("MOONFORK_TEST_SEEDS") else {
        return 0..few;
    };
    let (first, count) = text.split_once(',').unwrap();
    let (first, count): (i64, i64) = (first.parse().unwrap(), count.parse().unwrap());
    first..first + count
}

#[rstest]
fn of_errors_and_yields() {
    assert_same(include_str!("../caught_errors/random.lua"), seeds(200));
}
