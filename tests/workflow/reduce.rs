//! What `reduce` folds is the same whatever the number of workers and the order in which branches end, and
//! the same as what `merge` puts together.

use std::num::NonZeroUsize;

use moonfork::workflow::{Checkpoint, RunSettings, Workflow};
use serde_json::{Map, Value, json};

use crate::common;

/// Branches that take differently long, so that they end in another order than they begin in; their values
/// are floats that can't be added up without rounding, at sizes far apart.
fn workflow(how: &str) -> Workflow {
    let text = format!(
        "
initial_state: {{total: 0.1, log: [0], low: 1.0e+300, count: 1}}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{{{ range(200) | list }}}}'
    {how}
    run: |
      local n = 0
      for i = 1, (state.item * 7919) % 3000 do n = n + i end
      if state.item % 10 == 3 then error('no') end
      local size = 10.0 ^ (state.item % 40 - 20)
      return {{
        total = state.total + state.item / 7 * size, log = {{0, state.item}}, low = state.item / 3,
        count = state.count + 1, seen = {{state.item % 6}}, at = state.item,
      }}
"
    );
    Workflow::parse(&text, "w.yaml").unwrap_or_else(|error| panic!("{error}"))
}

const REDUCERS: &str = "{total: sum, log: append, low: min, count: sum, seen: union, at: last}";

fn run(workflow: &Workflow, workers: usize) -> Map<String, Value> {
    let pool = common::builder().max_branches(8).build().expect("a pool");
    let settings = RunSettings::new().max_workers(NonZeroUsize::new(workers).expect("some"));
    let outcome = workflow.run(&pool, (), &settings);
    outcome.unwrap_or_else(|error| panic!("{error}")).state
}

#[test]
fn the_same_bytes_whatever_the_number_of_workers_and_as_merge_has_them() {
    let mut merged = run(&workflow(&format!("merge: {REDUCERS}")), 4);
    let entries = merged.insert("parallel_results".into(), json!([]));
    assert_eq!(entries.expect("all").as_array().map(Vec::len), Some(200));
    let expected = serde_json::to_string(&merged).unwrap();
    let folded = workflow(&format!("reduce: {REDUCERS}\n    collect: none"));
    for workers in [1, 2, 3, 8] {
        let found = serde_json::to_string(&run(&folded, workers)).unwrap();
        assert_eq!(found, expected, "{workers} workers");
    }
}

#[test]
fn entries_are_those_that_are_asked_for_in_the_written_order() {
    for (collect, expected) in [("all", 200), ("errors", 20), ("none", 0)] {
        let state = run(&workflow(&format!("collect: {collect}")), 4);
        let entries = state["parallel_results"].as_array().expect("a list");
        assert_eq!(entries.len(), expected, "{collect}");
        let index = |entry: &Value| entry["index"].as_u64().expect("a number");
        assert!(entries.is_sorted_by_key(index), "{collect}");
        if collect == "errors" {
            assert!(entries.iter().all(|it| it["success"] == json!(false)));
        }
    }
}

/// Branches `a` and `b` end; `c` fails the run, unless there is `fixed`.
const RESUMED: &str = "
config: {raise_exceptions: true}
initial_state: {fixed: false, n: 1}
nodes:
  - {name: start}
  - {name: a, run: 'return {n = state.n + 10}'}
  - {name: b, run: 'return {n = state.n + 100}'}
  - {name: c, run: 'FIXED'}
  - {name: join}
edges:
  - {from: start, parallel: [a, b, c], fan_in: join, reduce: {n: sum}, collect: none}
outputs: [n]
";

#[test]
fn a_run_that_is_resumed_folds_what_branches_gave_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = RunSettings::new().checkpoint_dir(folder.path());
    let broken = RESUMED.replace("FIXED", "error(1)");
    let broken = Workflow::parse(&broken, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let error = broken
        .run(common::pool(), (), &settings)
        .expect_err("`c` fails it");
    let checkpoint = Checkpoint::load(error.checkpoint().expect("there is one")).unwrap();
    // `a` and `b` would give something else now: they are not run again.
    let fixed = RESUMED
        .replace("FIXED", "return {n = state.n + 1000}")
        .replace("+ 10}", "+ 5}")
        .replace("+ 100}", "+ 5}");
    let fixed = Workflow::parse(&fixed, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let outcome = fixed
        .resume(common::pool(), checkpoint, (), &settings.changed(true))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.state["n"], json!(1111));
    assert_eq!(outcome.state["parallel_results"], json!([]));
}

#[test]
fn branches_that_begin_as_a_fork_are_folded_too() {
    let text = "
settings: {parallel: {start: fork}}
nodes:
  - {name: set, run: base = 100}
  - {name: each, parallel_each: [1, 2, 3], reduce: {n: sum}, collect: none, run: 'return {n = base + state.item}'}
";
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(run(&workflow, 2)["n"], json!(306));
}

#[test]
fn after_a_failure_that_stops_the_others_what_had_ended_counts() {
    let text = "
nodes:
  - name: each
    parallel_each: [1, 2, 0, 4]
    max_workers: 1
    fail_fast: true
    reduce: {n: sum}
    collect: errors
    run: |
      if state.item == 0 then error('no') end
      return {n = state.item}
";
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let state = run(&workflow, 1);
    assert_eq!(state["n"], json!(3));
    let types = state["parallel_results"].as_array().expect("a list").iter();
    let types: Vec<_> = types.map(|it| it["error_type"].clone()).collect();
    assert_eq!(types, [json!("LuaError"), json!("CancelledError")]);
}
