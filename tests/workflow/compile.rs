//! Workflows whose Lua is translated to WebAssembly: they do the same.

use std::time::{Duration, Instant};

use moonfork::Pool;
use moonfork::testing::has_translated_what_is_hot;
use moonfork::workflow::{RunResult, RunSettings, Workflow};
use serde_json::json;

use crate::common;

/// Whether the guest has places for translated functions: see `tests/runtime/compiled_lua`.
fn has_places() -> bool {
    env!("MOONFORK_GUEST_WASM").ends_with("host/prebuilt/moonfork-guest.wasm")
}

const TEXT: &str = "
settings: {parallel: {start: START}}
nodes:
  - name: before
    run: |
      function sum(n) local sum = 0 for i = 1, n do sum = sum + i end return sum end
      return {rows = {sum(10), sum(100), sum(1000)}}
  - name: each
    type: dynamic_parallel
    items: '{{ state.rows }}'
    steps:
      - name: double
        run: |
          local n = 0
          for i = 1, state.item do n = n + 2 end
          return {double = n}
      - {name: more, run: 'if state.item == 5050 then error(\"not this one\", 0) end return {more = state.double + 1}'}
  - name: join
    run: |
      local all = {}
      for i, entry in ipairs(state.parallel_results) do
        all[i] = entry.success and entry.state.more or entry.error
      end
      return {all = all}
";

fn run(pool: &Pool, start: &str, settings: &RunSettings) -> RunResult {
    let text = TEXT.replace("START", start);
    let workflow = Workflow::parse(&text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let result = workflow.run(pool, json!({}), settings);
    result.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_run_does_the_same_translated() {
    if !has_places() {
        return;
    }
    for start in ["fresh", "fork"] {
        let [interpreting, compiling] =
            [(); 2].map(|()| common::interpreting_builder().build().unwrap());
        let interpreted = run(&interpreting, start, &RunSettings::new());
        assert_eq!(interpreting.compiled_lua().len(), 0);
        for _ in 0..2 {
            let translated = run(&compiling, start, &RunSettings::new().compile(true));
            for key in ["all", "rows"] {
                assert_eq!(translated.state[key], interpreted.state[key], "{start}");
            }
        }
        // Once for both runs.
        let chunks = compiling.compiled_lua();
        let mut names: Vec<_> = chunks
            .iter()
            .map(|chunk| (chunk.name(), chunk.functions()))
            .collect();
        names.sort_unstable();
        let expected = [
            ("node 'before'", 2),
            ("node 'double'", 1),
            ("node 'join'", 1),
            ("node 'more'", 1),
        ];
        assert_eq!(names, expected);
        let all = interpreted.state["all"].as_array().unwrap();
        assert_eq!((&all[0], &all[2]), (&json!(111), &json!(1_001_001)));
        assert!(all[1].as_str().unwrap().contains("not this one"), "{all:?}");
    }
}

/// What nodes burn tells that it is their translation which runs.
#[test]
fn nodes_are_run_translated() {
    if !has_places() {
        return;
    }
    let fuel = |compile: bool| {
        let pool = common::interpreting_builder().metered().build().unwrap();
        let result = run(&pool, "fresh", &RunSettings::new().compile(compile));
        let report = serde_json::to_value(&result.report).unwrap();
        fuel_of(&report)
    };
    let (interpreted, translated) = (fuel(false), fuel(true));
    assert!(
        translated < interpreted / 2,
        "{translated} of {interpreted}"
    );
}

/// All fuel that a report says.
fn fuel_of(report: &serde_json::Value) -> u64 {
    match report {
        serde_json::Value::Object(keys) => {
            let own = keys
                .get("fuel")
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0);
            own + keys.values().map(fuel_of).sum::<u64>()
        }
        serde_json::Value::Array(items) => items.iter().map(fuel_of).sum(),
        _ => 0,
    }
}

/// Branches hold the chunks that they run from the start, until these are translated.
#[test]
fn nodes_that_take_long_are_translated_where_the_pool_has_that_done() {
    const LATE: Duration = Duration::from_secs(300);
    const TEXT: &str = "
settings: {parallel: {start: START}}
nodes:
  - {name: before, run: 'return {rows = {300000, 300001, 300002}}'}
  - name: each
    type: dynamic_parallel
    items: '{{ state.rows }}'
    steps:
      - name: double
        run: |
          local n = 0
          for i = 1, state.item do n = n + 2 end
          return {double = n}
  - name: join
    run: |
      local all = {}
      for i, entry in ipairs(state.parallel_results) do all[i] = entry.state.double end
      return {all = all}
";

    if !has_places() {
        return;
    }
    for start in ["fresh", "fork"] {
        let pool = common::interpreting_builder()
            .compile_hot()
            .build()
            .unwrap();
        let workflow = Workflow::parse(&TEXT.replace("START", start), "w.yaml").unwrap();
        let run = || {
            let result = workflow.run(&pool, json!({}), &RunSettings::new()).unwrap();
            assert_eq!(result.state["all"], json!([600_000, 600_002, 600_004]));
        };
        let late = Instant::now() + LATE;
        while pool.compiled_lua().is_empty() {
            assert!(Instant::now() < late);
            run();
            assert!(has_translated_what_is_hot(&pool, LATE));
        }
        assert_eq!(pool.compiled_lua()[0].name(), "node 'double'");
        run();
    }
}
