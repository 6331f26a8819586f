//! Lua that is translated to WebAssembly does what it does in the interpreter, and natively.

mod campaign;
mod copies;
mod generator;
mod hot;
mod kept;
mod limits;
mod random;
mod short_cuts;
mod suite;
mod translator;

use moonfork::{Chunk, Limits, Pool, PoolBuilder};
use rstest::rstest;

use crate::common;
use crate::interpreter::{LOG, assert_same_log};

/// Whether the guest has places for translated functions, which only what makes Lua faster gives it. Without
/// them, everything is interpreted.
fn has_places() -> bool {
    env!("MOONFORK_GUEST_WASM").ends_with("host/prebuilt/moonfork-guest.wasm")
}

/// Settings for a pool in which all Lua is translated.
fn compiling() -> PoolBuilder {
    common::interpreting_builder().compile_all()
}

/// A pool with these settings, for scripts that take long.
fn unlimited(builder: PoolBuilder) -> Pool {
    builder
        .max_branches(1)
        .limits(Limits::unlimited())
        .build()
        .unwrap()
}

/// What a script gives natively.
fn natively<R: mlua::FromLuaMulti>(script: &str) -> R {
    let lua = mlua::Lua::new();
    lua.load(script).set_name("=eval").eval().unwrap()
}

/// Nothing of what `pool` has run was left to the interpreter.
#[track_caller]
fn assert_all_translated(pool: &Pool) {
    if !has_places() {
        return;
    }
    let chunks = pool.compiled_lua();
    assert!(!chunks.is_empty());
    for chunk in chunks {
        assert_eq!(chunk.interpreted().collect::<Vec<_>>(), [], "{chunk:?}");
        assert!(chunk.functions() > 0 && chunk.code_bytes() > 0, "{chunk:?}");
    }
}

macro_rules! programs {
    ($($name:ident)*) => {
        [$((stringify!($name), include_str!(concat!("../../../benches/programs/", stringify!($name), ".lua")))),*]
    };
}

/// The programs of the bench.
const PROGRAMS: [(&str, &str); 15] = programs!(
    recursion nbody mandelbrot spectral_norm sorting trees strings closures coroutines objects json_text
    markdown csv matrix interpreter
);

#[test]
fn programs_give_what_they_give_natively() {
    for (name, code) in PROGRAMS {
        let pool = unlimited(compiling());
        let ours: serde_json::Value = pool.branch().unwrap().eval(code).unwrap();
        let lua = mlua::Lua::new();
        let native: mlua::Value = lua.load(code).eval().unwrap();
        assert_eq!(ours, serde_json::to_value(native).unwrap(), "{name}");
        assert_all_translated(&pool);
    }
}

#[rstest]
#[case::operators(include_str!("../interpreter/operators.lua"))]
#[case::tables(include_str!("../interpreter/tables.lua"))]
#[case::calls(include_str!("../interpreter/calls.lua"))]
#[case::loops(include_str!("../interpreter/loops.lua"))]
#[case::collector(include_str!("../interpreter/collector.lua"))]
#[case::patterns(include_str!("../interpreter/patterns.lua"))]
#[case::texts(include_str!("../interpreter/texts.lua"))]
#[case::frames(include_str!("frames.lua"))]
fn a_script_gives_what_it_gives_natively(#[case] script: &str) {
    let script = format!("{LOG}{script}");
    let pool = unlimited(compiling());
    let ours: String = pool.branch().unwrap().eval(&*script).unwrap();
    let native: String = natively(&script);
    assert_same_log(&ours, &native, 20);
    assert!(!has_places() || pool.compiled_lua()[0].functions() > 1);
}

#[test]
fn only_what_was_asked_for_is_translated() {
    if !has_places() {
        return;
    }
    let sum = "local sum = 0 for i = 1, 100 do sum = sum + i end return sum";
    let other = "local sum = 0 for i = 1, 101 do sum = sum + i end return sum";
    let pool = common::interpreting_builder()
        .compile(sum)
        .metered()
        .build()
        .unwrap();
    let fuel = |chunk: Chunk<'_>| {
        let mut branch = pool.branch().unwrap();
        branch.eval::<i64>(chunk).unwrap();
        branch.take_report().fuel.unwrap()
    };
    let translated = fuel(sum.into());
    for interpreted in [
        fuel(other.into()),
        fuel(Chunk::new(sum).named("other")),
        fuel(Chunk::new(sum).first_line(2)),
    ] {
        assert!(
            translated < interpreted / 2,
            "{translated} of {interpreted}"
        );
    }
    assert_eq!(translated, fuel(sum.into()));
    assert_eq!(pool.compiled_lua().len(), 1);
}

#[test]
fn a_chunk_that_does_not_parse_ends_the_build() {
    if !has_places() {
        return;
    }
    let error = common::interpreting_builder()
        .compile("local x = = 1")
        .build()
        .unwrap_err();
    assert!(error.is_syntax(), "{error}");
    assert_eq!(error.position().unwrap().to_string(), "eval:1");
}

#[test]
fn what_can_not_be_translated_is_interpreted_and_counted() {
    if !has_places() {
        return;
    }
    let large = format!(
        "local x = 0 {} return x",
        "x = x + #tostring(x) ".repeat(400)
    );
    let into_a_loop = "local function odd(n)
          local i = 0
          goto check
          ::again::
          i = i + 1
          ::check::
          if i < n then goto again end
          return i
        end
        return odd(5)";
    let pool = common::interpreting_builder()
        .compile(&*large)
        .compile(into_a_loop);
    let pool = pool.build().unwrap();
    let interpreted = pool.compiled_lua().into_iter().map(|chunk| {
        let interpreted: Vec<_> = chunk.interpreted().collect();
        (chunk.functions(), interpreted)
    });
    let mut interpreted: Vec<_> = interpreted.collect();
    interpreted.sort();
    let why = |line, why: &str| vec![(line, why.to_owned())];
    let expected = [
        (0, why(0, "it is too large")),
        (1, why(1, "it jumps into a loop")),
    ];
    assert_eq!(interpreted, expected);
    let mut branch = pool.branch().unwrap();
    assert_eq!(
        branch.eval::<i64>(&*large).unwrap(),
        natively::<i64>(&large)
    );
    assert_eq!(branch.eval::<i64>(into_a_loop).unwrap(), 5);
}
