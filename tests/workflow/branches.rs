//! What the fan-in gets from the branches, those that failed included.

use std::time::Duration;

use moonfork::Pool;
use moonfork::workflow::{RunResult, RunSettings, Workflow};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::common;

#[track_caller]
fn run_on(pool: &Pool, text: &str) -> RunResult {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    workflow
        .run(pool, Map::new(), &RunSettings::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The entry of a branch whose first node runs `code`, next to one that does nothing.
fn entry_of(pool: &Pool, code: &str) -> Value {
    let workflow = json!({
        "nodes": [{"name": "tried", "run": code}, {"name": "other"}, {"name": "join"}],
        "edges": [{"from": "__start__", "parallel": ["tried", "other"], "fan_in": "join"}],
    });
    let mut outcome = run_on(pool, &workflow.to_string());
    let results = outcome.state["parallel_results"].take();
    assert_eq!(results[1]["success"], json!(true), "{results}");
    results[0].clone()
}

#[test]
fn a_branch_that_succeeds_gives_its_whole_state() {
    let outcome = run_on(
        common::pool(),
        "
initial_state: {n: 1}
nodes:
  - {name: a1, run: 'return {n = state.n + 1}'}
  - {name: a2, run: 'return {m = state.n * 10}'}
  - {name: join, run: 'return {got = #state.parallel_results}'}
edges:
  - {from: __start__, to: a1, type: parallel, fan_in: join}
  - {from: a1, to: a2}
  - {from: a2, to: __end__}
",
    );
    let entry = &outcome.state["parallel_results"][0];
    assert_eq!(entry["branch"], json!("a1"));
    assert_eq!(entry["success"], json!(true));
    assert_eq!(entry["state"], json!({"n": 2, "m": 20}));
    assert_eq!(entry["error"], Value::Null);
    assert_eq!(entry["error_type"], Value::Null);
    assert_eq!(entry["timeout"], json!(false));
    assert_eq!(entry["retry_count"], json!(0));
    assert!(entry["timing_ms"].is_f64());
    // The state is as it was before the fan-out, and goes on from there.
    assert_eq!(outcome.state["n"], json!(1));
    assert_eq!(outcome.state["got"], json!(1));
}

#[rstest]
#[case::raised("error('boom')", "LuaError", "node 'tried':1: boom")]
#[case::no_function("nothing()", "LuaError", "node 'tried':1: attempt to call a nil value")]
#[case::no_json("return {f = print}", "ValueError", "node 'tried': ")]
#[case::two_values("return 1, 2", "ValueError", "node 'tried': ")]
fn a_branch_that_fails_is_an_entry(
    #[case] code: &str,
    #[case] error_type: &str,
    #[case] message: &str,
) {
    let entry = entry_of(common::pool(), code);
    assert_eq!(entry["success"], json!(false));
    assert_eq!(entry["state"], Value::Null);
    assert_eq!(entry["error_type"], json!(error_type), "{entry}");
    assert_eq!(entry["timeout"], json!(false));
    let error = entry["error"].as_str().unwrap_or_default();
    assert!(error.starts_with(message), "{error}");
    assert_eq!(entry["report"]["nodes"][0]["outcome"], json!("failed"));
}

#[test]
fn a_branch_that_runs_too_long_is_an_entry() {
    let pool = common::builder()
        .wall(Duration::from_millis(700))
        .build()
        .expect("a pool");
    let entry = entry_of(&pool, "while true do end");
    assert_eq!(entry["error_type"], json!("TimeoutError"));
    assert_eq!(entry["timeout"], json!(true));
    let error = entry["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("node 'tried': "), "{error}");
}

#[test]
fn a_branch_that_takes_too_much_memory_is_an_entry() {
    let pool = common::builder().memory(16 << 20).build().expect("a pool");
    let entry = entry_of(
        &pool,
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
    );
    assert_eq!(entry["error_type"], json!("MemoryError"), "{entry}");
}

#[test]
fn a_branch_that_gets_no_instance_is_an_entry_without_a_report() {
    let pool = common::builder()
        .max_branches(1)
        .slot_timeout(Duration::from_millis(50))
        .build()
        .expect("a pool");
    let occupied = pool.branch().expect("the only branch");
    let workflow = "
nodes: [{name: a}, {name: join}]
edges: [{from: __start__, parallel: [a], fan_in: join}]
";
    let outcome = run_on(&pool, workflow);
    drop(occupied);
    let entry = &outcome.state["parallel_results"][0];
    assert_eq!(entry["error_type"], json!("BusyError"));
    assert_eq!(entry["report"], Value::Null);
    assert_eq!(outcome.report.instances.len(), 1);
}

#[test]
fn a_failed_node_ends_its_branch() {
    let outcome = run_on(
        common::pool(),
        "
nodes:
  - {name: a1, run: error('boom')}
  - {name: a2, run: return 1}
  - {name: join}
edges:
  - {from: __start__, parallel: [a1], fan_in: join}
  - {from: a1, to: a2}
",
    );
    let nodes = &outcome.report.instances[1].nodes;
    assert_eq!(nodes.len(), 1);
}

#[test]
fn a_second_fan_out_replaces_the_results_of_the_first() {
    let outcome = run_on(
        common::pool(),
        "
nodes: [{name: a}, {name: middle}, {name: b}, {name: join}]
edges:
  - {from: __start__, parallel: [a], fan_in: middle}
  - {from: middle, parallel: [b], fan_in: join}
",
    );
    let results = &outcome.state["parallel_results"];
    assert_eq!(results.as_array().map(Vec::len), Some(1));
    assert_eq!(results[0]["branch"], json!("b"));
}
