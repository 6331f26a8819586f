//! Chunks that come again and again are compiled once, and nobody can tell but by the time.

use moonfork::testing::compiled_chunks;
use moonfork::{Chunk, Grants, Pool, RunOptions};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

/// Runs it takes until a text is no longer compiled, and one more.
const RUNS: usize = 4;

/// What a fresh branch makes of a chunk: its value, or all that there is to its error.
fn outcome(pool: &Pool, chunk: &Chunk<'_>, state: Option<&Value>) -> Result<Value, [String; 3]> {
    let mut branch = pool.branch().unwrap();
    let result = match state {
        Some(state) => branch.eval_with(chunk.clone(), state),
        None => branch.eval(chunk.clone()),
    };
    result.map_err(|error| {
        [
            error.to_string(),
            error.code().to_owned(),
            format!("{:?} {:?}", error.traceback(), error.value()),
        ]
    })
}

#[rstest]
#[case::expression("1 + 1", None)]
#[case::chunk("local t = {} for i = 1, 3 do t[i] = i end return t", None)]
#[case::state("return state.a .. state.b", Some(json!({"a": "x", "b": "y"})))]
#[case::vararg("return select('#', ...)", Some(json!(null)))]
#[case::nested(
    "local a = 1\nlocal function f() a = a + 1 return a end\nreturn f() + f()",
    None
)]
#[case::to_be_closed(
    "local x <close> = setmetatable({}, {__close = print}) return 'é\\0\\xff' == state",
    None
)]
#[case::error(
    "local function inner()\n  error('boom')\nend\n\nlocal t = {outer = function() inner() end}\nt.outer()",
    None
)]
#[case::error_value("error({code = 5})", None)]
#[case::variable_in_message("local config = {}\nreturn config.path.name", None)]
#[case::upvalue_in_message("local up\nreturn (function() return up.x end)()", None)]
#[case::global_in_message("\n\nnothing()", None)]
#[case::constant_in_message("return ('x').y.z", None)]
#[case::capability_in_message("return os.time()", None)]
#[case::error_in_state("return state.a.b.c", Some(json!({"a": 1})))]
#[case::syntax("local x = = 1", None)]
#[case::syntax_in_line_three("local a\n\nx ==", None)]
#[case::value("return print", None)]
#[case::overflow("local function deep() return 1 + deep() end return deep()", None)]
fn every_run_gives_the_same(#[case] code: &str, #[case] state: Option<Value>) {
    let pool = common::interpreting_builder().build().unwrap();
    for chunk in [Chunk::new(code), Chunk::body(code).named("node 'n'")] {
        let runs: Vec<_> = (0..RUNS)
            .map(|_| outcome(&pool, &chunk, state.as_ref()))
            .collect();
        for run in &runs {
            assert_eq!(run, &runs[0], "{chunk:?}");
        }
    }
}

#[test]
fn a_text_is_compiled_when_it_comes_again() {
    let pool = common::interpreting_builder().build().unwrap();
    let mut counts = Vec::new();
    for _ in 0..3 {
        let sum: i64 = pool.branch().unwrap().eval("return 20 + 22").unwrap();
        assert_eq!(sum, 42);
        counts.push(compiled_chunks(&pool));
    }
    assert_eq!(counts, [0, 1, 1]);
}

#[test]
fn what_does_not_parse_is_not_kept() {
    let pool = common::interpreting_builder().build().unwrap();
    for _ in 0..RUNS {
        let error = pool.branch().unwrap().eval::<Value>("1 +").unwrap_err();
        assert!(error.is_syntax());
    }
    assert_eq!(compiled_chunks(&pool), 0);
}

#[test]
fn the_same_text_under_another_name_or_in_another_role_is_another_chunk() {
    let pool = common::interpreting_builder().build().unwrap();
    let message = |chunk: Chunk<'_>, state: Option<&Value>| {
        outcome(&pool, &chunk, state).unwrap_err()[0].clone()
    };
    let state = json!({"x": 1});
    for _ in 0..RUNS {
        for name in ["one", "two"] {
            let chunk = Chunk::body("error('failed')").named(name);
            let shown = message(chunk, None);
            assert!(shown.contains(&format!("{name}:1: failed")), "{shown}");
        }
        let code = "return state.x";
        let with = outcome(&pool, &Chunk::new(code), Some(&state));
        assert_eq!(with.unwrap(), json!(1));
        assert!(message(Chunk::new(code), None).contains("global 'state'"));
        assert_eq!(outcome(&pool, &Chunk::new("2"), None).unwrap(), json!(2));
        assert!(message(Chunk::body("2"), None).contains("unexpected symbol"));
    }
}

#[test]
fn a_script_that_ruins_its_own_branch_ruins_no_other() {
    let pool = common::interpreting_builder().build().unwrap();
    let code = "local sum = 0 for _, v in ipairs({1, 2, 3}) do sum = sum + v end \
        local before = _G.ruined ruined = true \
        ipairs = nil load = nil setmetatable(_G, {__index = function() return 0 end}) \
        getmetatable('').__index = nil math.random = nil string.format = nil \
        return {sum, before == nil}";
    for _ in 0..RUNS {
        let first: (i64, bool) = pool.branch().unwrap().eval(code).unwrap();
        assert_eq!(first, (6, true));
    }
    assert_eq!(compiled_chunks(&pool), 1);
}

#[test]
fn bytecode_is_never_taken_for_a_text() {
    let pool = common::interpreting_builder().build().unwrap();
    for text in ["\x1bLua", "\x1bLuaT\0\x19\r\n"] {
        for _ in 0..RUNS {
            let error = pool.branch().unwrap().eval::<Value>(text).unwrap_err();
            assert!(error.is_syntax(), "{error}");
            let mut branch = pool.branch().unwrap();
            let loaded: Vec<Option<bool>> = branch
                .eval_with(
                    "return {load(state) == nil, load(state, 'x', 'bt') == nil}",
                    text,
                )
                .unwrap();
            assert_eq!(loaded, [Some(true), Some(true)]);
        }
    }
    assert_eq!(compiled_chunks(&pool), 1, "the one that tries it");
}

#[test]
fn compiling_takes_no_branch() {
    let pool = common::interpreting_builder()
        .max_branches(1)
        .build()
        .unwrap();
    let mut only = pool.branch().unwrap();
    for run in 0..RUNS {
        assert_eq!(only.eval::<i64>("40 + 2").unwrap(), 42);
        assert_eq!(pool.live_count(), 1, "after run {run}");
    }
    assert_eq!(compiled_chunks(&pool), 1);
}

#[test]
fn nothing_that_is_granted_is_used_for_it() {
    let pool = common::interpreting_builder()
        .function("count", |(): ()| Ok(1))
        .module("m", "return 1")
        .grants(Grants::none().function("count").all_modules())
        .build()
        .unwrap();
    for _ in 0..RUNS {
        let mut branch = pool.branch().unwrap();
        assert_eq!(branch.eval::<i64>("count() + require('m')").unwrap(), 2);
        let report = branch.take_report();
        assert_eq!((report.calls, report.host_calls.len()), (1, 2));
    }
}

#[test]
fn where_fuel_is_metered_every_run_burns_the_same() {
    let pool = common::interpreting_builder().metered().build().unwrap();
    let burnt: Vec<_> = (0..RUNS)
        .map(|_| {
            let mut branch = pool.branch().unwrap();
            branch.eval::<i64>("return 1 + 1").unwrap();
            branch.take_report().fuel.unwrap()
        })
        .collect();
    assert_eq!(burnt, vec![burnt[0]; RUNS]);
    assert_eq!(compiled_chunks(&pool), 0);
}

#[test]
fn limits_hold_for_what_was_compiled_before() {
    let pool = common::interpreting_builder().build().unwrap();
    let code = "return ('x'):rep(state)";
    for _ in 0..RUNS {
        let text: String = pool.branch().unwrap().eval_with(code, &3).unwrap();
        assert_eq!(text, "xxx");
    }
    let narrow = RunOptions::new().memory(8 << 20).value(1 << 10);
    let mut branch = pool.branch_with(&narrow).unwrap();
    let error = branch.eval_with::<_, String>(code, &(1 << 11)).unwrap_err();
    assert!(error.is_value(), "{error}");
    let error = branch.eval_with::<_, String>(code, &(1 << 24)).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
}
