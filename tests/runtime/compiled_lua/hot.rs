//! Chunks that much time goes into are translated in the background, and nobody can tell but by the time.

use std::time::{Duration, Instant};

use moonfork::testing::{has_translated_what_is_hot, translated_chunks_of};
use moonfork::{Branch, Chunk, CompiledLua, Pool, RunOptions};
use rstest::rstest;
use serde_json::{Value, json};

use super::has_places;
use crate::common;

/// Longer than anything here takes, on whatever machine.
const LATE: Duration = Duration::from_secs(300);

/// What takes some milliseconds, and then does something else.
fn chunk(rest: &str) -> Chunk<'static> {
    let code = format!(
        "local sum = 0
         for i = 1, 200000 do sum = sum + i % 7 end
         {rest}"
    );
    Chunk::body(code).named("work").first_line(3)
}

fn pool() -> Pool {
    common::interpreting_builder()
        .compile_hot()
        .build()
        .unwrap()
}

fn hot(pool: &Pool) -> Vec<CompiledLua> {
    assert!(has_translated_what_is_hot(pool, LATE));
    pool.compiled_lua()
}

/// Does `run` until so many chunks are translated.
#[track_caller]
fn until_hot(pool: &Pool, chunks: usize, mut run: impl FnMut()) {
    let late = Instant::now() + LATE;
    while hot(pool).len() < chunks {
        assert!(Instant::now() < late, "{:?}", pool.compiled_lua());
        run();
    }
}

/// What a branch makes of a chunk: its value, or all that there is to its error.
fn outcome(branch: &mut Branch, chunk: &Chunk<'_>, state: Option<&Value>) -> Result<Value, String> {
    let result = match state {
        Some(state) => branch.eval_with(chunk.clone(), state),
        None => branch.eval(chunk.clone()),
    };
    result.map_err(|error| {
        let [text, code] = [error.to_string(), error.code().to_owned()];
        format!("{code} {text} {:?} {:?}", error.traceback(), error.value())
    })
}

#[rstest]
#[case::value("return sum", None)]
#[case::state("return sum + state.x", Some(json!({"x": 5})))]
#[case::global("seen = (seen or 0) + sum return type(seen)", None)]
#[case::error("local t = {}\nreturn t.x.y", None)]
#[case::error_value("error({code = sum})", None)]
#[case::error_in_a_function("local function f()\nerror('no')\nend\nf()", None)]
#[case::error_in_state("return state.a.b.c", Some(json!({"a": 1})))]
fn a_chunk_becomes_translated_in_instances_that_are_there_and_in_new_ones(
    #[case] rest: &str,
    #[case] state: Option<Value>,
) {
    if !has_places() {
        return;
    }
    let (pool, chunk, state) = (pool(), chunk(rest), state.as_ref());
    let mut kept = pool.branch().unwrap();
    let interpreted = outcome(&mut kept, &chunk, state);
    until_hot(&pool, 1, || {
        assert_eq!(outcome(&mut kept, &chunk, state), interpreted);
    });
    assert_eq!(translated_chunks_of(&kept), 0);
    let lua = hot(&pool).remove(0);
    assert!(lua.was_hot() && lua.functions() > 0 && lua.code_bytes() > 0);
    assert_eq!(lua.name(), "work");
    for branch in [&mut kept, &mut pool.branch().unwrap()] {
        for _ in 0..2 {
            assert_eq!(outcome(branch, &chunk, state), interpreted);
            assert_eq!(translated_chunks_of(branch), 1);
        }
    }
    // The same text under another name is another chunk.
    let mut other = pool.branch().unwrap();
    let _ = outcome(&mut other, &chunk.named("other"), state);
    assert_eq!(translated_chunks_of(&other), 0);
}

#[test]
fn a_chunk_that_is_run_once_is_not_translated_however_long_it_takes() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let once = |n: usize| chunk(&format!("for i = 1, 2000000 do sum = sum + {n} end"));
    for n in 0..10 {
        pool.branch().unwrap().exec(once(n)).unwrap();
    }
    assert!(hot(&pool).is_empty());
    // From its second run on it is known, and two of these are compared; later where compiling it took too long.
    pool.branch().unwrap().exec(once(3)).unwrap();
    assert!(hot(&pool).is_empty());
    until_hot(&pool, 1, || pool.branch().unwrap().exec(once(3)).unwrap());
    assert_eq!(hot(&pool).len(), 1);
}

#[test]
fn what_scripts_load_and_what_is_called_is_not_translated() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    let define = "function work() for i = 1, 3000000 do end end";
    branch.exec(define).unwrap();
    for _ in 0..10 {
        branch.call::<_, ()>("work", &()).unwrap();
    }
    assert!(hot(&pool).is_empty());
    let load = "local code = 'for i = 1, 3000000 do end' load(code, 'loaded')()";
    until_hot(&pool, 1, || branch.exec(load).unwrap());
    let names: Vec<_> = hot(&pool).iter().map(|it| it.name().to_owned()).collect();
    assert_eq!(names, ["eval"]);
    assert_eq!(hot(&pool)[0].functions(), 1);
}

#[test]
fn who_keeps_a_journal_interprets_and_counts_for_nothing() {
    if !has_places() {
        return;
    }
    let (pool, chunk) = (pool(), chunk("return sum"));
    let options = RunOptions::new().journal(1 << 20);
    let mut recorded = pool.branch_with(&options).unwrap();
    let sum: i64 = recorded.eval(chunk.clone()).unwrap();
    for _ in 0..100 {
        assert_eq!(recorded.eval::<i64>(chunk.clone()).unwrap(), sum);
    }
    assert!(hot(&pool).is_empty());
    until_hot(&pool, 1, || {
        let mut branch = pool.branch().unwrap();
        assert_eq!(branch.eval::<i64>(chunk.clone()).unwrap(), sum);
    });
    assert_eq!(recorded.eval::<i64>(chunk).unwrap(), sum);
    assert_eq!(translated_chunks_of(&recorded), 0);
}

#[test]
fn copies_that_were_made_before_have_it_as_well() {
    if !has_places() {
        return;
    }
    let (pool, chunk) = (pool(), chunk("calls = (calls or 0) + 1 return calls"));
    let mut parent = pool.branch().unwrap();
    assert_eq!(parent.eval::<i64>(chunk.clone()).unwrap(), 1);
    let snapshot = parent.snapshot().unwrap();
    let mut fork = parent.fork().unwrap();
    until_hot(&pool, 1, || {
        let mut branch = pool.branch().unwrap();
        assert_eq!(branch.eval::<i64>(chunk.clone()).unwrap(), 1);
    });
    let mut begun = snapshot.branch().unwrap();
    for branch in [&mut parent, &mut fork, &mut begun] {
        assert_eq!(translated_chunks_of(branch), 0);
        assert_eq!(branch.eval::<i64>(chunk.clone()).unwrap(), 2);
        assert_eq!(translated_chunks_of(branch), 1);
        let mut later = branch.snapshot().unwrap().branch().unwrap();
        let mut fork = branch.fork().unwrap();
        for copy in [&mut later, &mut fork] {
            assert_eq!(translated_chunks_of(copy), 1);
            assert_eq!(copy.eval::<i64>(chunk.clone()).unwrap(), 3);
        }
    }
}

#[test]
fn many_threads_see_the_same_before_and_after() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let chunks = [1, 2, 3].map(|n| chunk(&format!("return sum + {n}")));
    let run = || {
        let mut branch = pool.branch().unwrap();
        [0, 1, 2].map(|n| branch.eval::<i64>(chunks[n].clone()).unwrap())
    };
    let expected = run();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| until_hot(&pool, 3, || assert_eq!(run(), expected)));
        }
    });
    assert_eq!(hot(&pool).len(), 3, "each once");
    assert_eq!(run(), expected);
}

#[test]
fn what_can_not_be_translated_is_told_and_not_tried_again() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let into_a_loop =
        chunk("goto check ::again:: sum = sum + 1 ::check:: if sum < 0 then goto again end");
    let mut branch = pool.branch().unwrap();
    until_hot(&pool, 1, || branch.exec(into_a_loop.clone()).unwrap());
    for _ in 0..20 {
        branch.exec(into_a_loop.clone()).unwrap();
    }
    let lua = hot(&pool);
    assert_eq!(
        (lua.len(), lua[0].functions(), lua[0].code_bytes()),
        (1, 0, 0)
    );
    let why: Vec<_> = lua[0].interpreted().collect();
    assert_eq!(why, [(0, "it jumps into a loop".to_owned())]);
    // It takes the place of no other.
    assert_eq!(translated_chunks_of(&branch), 0);
}

#[test]
fn a_pool_has_so_many_places_and_nothing_is_hot_behind_them() {
    if !has_places() {
        return;
    }
    let functions = |count: usize| {
        let one = |n: usize| format!("all[{n}] = function() return {n} end ");
        let all: String = (1..=count).map(one).collect();
        Chunk::body(format!("local all = {{}} {all} return #all"))
    };
    let run = |places: usize| {
        let builder = common::interpreting_builder().compile_hot();
        // The chunk itself is too large to take one.
        let pool = builder.compile(functions(512 - places)).build().unwrap();
        let mut branch = pool.branch().unwrap();
        // More than any chunk of that size needs to be hot.
        let long = chunk("for i = 1, 2000000 do sum = sum + 1 end");
        for _ in 0..10 {
            branch.exec(long.clone()).unwrap();
        }
        let hot = hot(&pool).into_iter().filter(CompiledLua::was_hot);
        hot.map(|lua| lua.functions()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), [1]);
    assert_eq!(run(0), [0; 0]);
}

#[test]
fn a_pool_that_counts_fuel_can_not_have_it() {
    let error = Pool::builder().compile_hot().metered().build().unwrap_err();
    assert!(error.is_options(), "{error:?}");
    insta::assert_snapshot!(
        error,
        @"the run can't be done as asked for: a pool that counts fuel can't have hot chunks compiled in the background (`compile_hot`): compiled Lua burns other fuel, and what a run burns would be up to when that was done; name the chunks (`compile`), or build the pool without `metered`"
    );
}
