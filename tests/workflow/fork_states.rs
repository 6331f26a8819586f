//! Branches that begin as a fork have the state of the fan-out without having it passed. What they do with it
//! is what they do with one that passes to them.

use moonfork::workflow::{RunResult, RunSettings, Workflow};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::common;

fn state(rows: usize) -> Map<String, Value> {
    let row = |id: usize| json!({"id": id, "name": format!("row {id}"), "tags": ["a", "b"]});
    let Value::Object(state) = json!({
        "rows": (0..rows).map(row).collect::<Value>(),
        "deep": {"a": {"b": {"c": [1, [2, [3, {}]]]}}},
        "nulls": [1, null, 3, null],
        "no_rows": [],
        "nothing": {},
        "long": "long ".repeat(100),
        "short": "short",
        "number": 1.5,
    }) else {
        unreachable!("it is an object");
    };
    state
}

/// Runs branches that each take these steps, and gives what they leave.
fn run(pool: &moonfork::Pool, start: &str, steps: &[&str], rows: usize) -> RunResult {
    let steps: String = (0..)
        .zip(steps)
        .map(|(step, code)| {
            let code = code.replace('\n', "\n          ");
            format!("      - name: step{step}\n        run: |\n          {code}\n")
        })
        .collect();
    let text = format!(
        "
settings: {{parallel: {{start: {start}}}}}
nodes:
  - {{name: before, run: 'local rows = state.rows rows[1].id = 77 return {{rows = rows}}'}}
  - name: each
    type: dynamic_parallel
    items: [1, 2, 3]
    steps:
{steps}
  - name: join
    run: |
      local all = {{}}
      for i, entry in ipairs(state.parallel_results) do
        assert(entry.success, entry.error)
        all[i] = entry.state
      end
      return {{all = all, first = state.rows[1].id, count = #state.rows}}
"
    );
    let workflow = Workflow::parse(&text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let result = workflow.run(pool, state(rows), &RunSettings::new());
    result.unwrap_or_else(|error| panic!("{error}"))
}

const SEES_CHANGES: &str =
    "return {again = #state.rows, id = state.rows[1].id, c = #state.deep.a.b.c}";

#[rstest]
#[case::looks(&["return {n = #state.rows, name = state.rows[3].name, item = state.item}"])]
#[case::goes_through(&["local s = 0 for i, row in ipairs(state.rows) do s = s + row.id * i end return {s = s}"])]
#[case::changes(&["state.rows[1].id = state.item table.insert(state.rows, {id = 0}) state.deep.a.b.c[1] = nil", SEES_CHANGES])]
#[case::returns_changes(&["state.rows[1].id = state.item table.remove(state.rows) return {rows = state.rows}", SEES_CHANGES])]
#[case::returns_it_all(&["return state", SEES_CHANGES])]
#[case::returns_parts(&["return {kept = state.rows, part = state.deep.a, list = {state.nulls, state.long}}", SEES_CHANGES])]
#[case::replaces(&["return {rows = {1, 2}, deep = null}", "return {n = #state.rows, deep = type(state.deep)}"])]
#[case::empty_and_null(&["return {a = state.no_rows, b = state.nothing, c = state.nulls, d = {state.nulls[3]}}"])]
#[case::json(&["return {text = json.encode(state.deep) .. json.encode(state.nulls) .. json.encode(state.no_rows)}"])]
#[case::keys(&["local keys = {} for key in pairs(state) do keys[#keys + 1] = key end table.sort(keys) return {keys = keys}"])]
#[case::metatable(&["setmetatable(state.rows, {__len = function() return 7 end}) return {n = #state.rows}", SEES_CHANGES])]
#[case::holds_it(&["held = state.rows held[1].id = 5 return {n = 1}", "return {held = held[1].id, own = state.rows[1].id}"])]
#[case::collects(&["state = nil local t for i = 1, 20000 do t = {{i}} end return {n = 1}", SEES_CHANGES])]
fn a_branch_does_the_same_with_a_state_that_it_begins_with(#[case] steps: &[&str]) {
    let [fresh, fork] = ["fresh", "fork"].map(|start| run(common::pool(), start, steps, 20).state);
    assert_eq!(fork["all"], fresh["all"]);
    assert_eq!(fork["all"].as_array().unwrap().len(), 3);
    // Nor has the main path lost anything, or got anything.
    for state in [&fresh, &fork] {
        assert_eq!((&state["first"], &state["count"]), (&json!(77), &json!(20)));
    }
}

/// What is converted for each branch costs fuel there.
#[test]
fn a_large_state_is_converted_once() {
    let pool = common::builder().metered().build().unwrap();
    let fuel = |start: &str, rows: usize| {
        let result = run(&pool, start, &["return {n = #state.rows}"], rows);
        assert_eq!(result.state["all"][0]["n"], json!(rows));
        let instances = result.report.instances.iter();
        let branches: Vec<u64> = instances
            .filter(|instance| instance.branch.is_some())
            .map(|instance| instance.fuel.unwrap())
            .collect();
        assert_eq!(branches.len(), 3);
        branches[0]
    };
    let (small, large) = (fuel("fork", 10), fuel("fork", 5_000));
    assert!(large < 2 * small, "{large} for 5,000 rows, {small} for 10");
    let fresh = fuel("fresh", 5_000);
    assert!(
        fresh > 20 * large,
        "{fresh} where it passes, {large} where not"
    );
}

#[test]
fn an_instance_that_takes_the_place_of_a_stopped_one_has_the_state() {
    let text = "
settings: {parallel: {start: fork}}
nodes:
  - name: each
    type: dynamic_parallel
    items: [1, 2]
    steps:
      - {name: stopped, timeout: 100ms, on_error: {mode: graceful}, run: 'state.rows[1].id = 3 while true do end'}
      - {name: after, run: 'return {id = state.rows[1].id, n = #state.rows}'}
  - {name: join, run: 'local s = state.parallel_results[2].state return {id = s.id, n = s.n}'}
";
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let result = workflow
        .run(common::pool(), state(9), &RunSettings::new())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (&result.state["id"], &result.state["n"]),
        (&json!(0), &json!(9))
    );
}

#[test]
fn branches_of_branches_have_the_state_of_their_branch() {
    let text = "
settings: {parallel: {start: fork}}
nodes:
  - {name: split, run: 'return {who = {name = \"main\"}}'}
  - name: a
    run: 'return {who = {name = state.who.name .. \" a\"}, more = {state.rows}}'
  - {name: a1, run: 'return {seen = state.who.name .. #state.rows .. #state.more[1]}'}
  - {name: a2, run: 'state.who.name = 0 state.rows[1] = nil return {seen = state.rows[2].id}'}
  - name: inner
    run: |
      local r = state.parallel_results
      return {inner = {r[1].state.seen, r[2].state.seen, state.who.name, #state.rows}}
  - {name: b, run: 'return {seen = state.who.name}'}
  - {name: join, run: 'local r = state.parallel_results return {all = {r[1].state.inner, r[2].state.seen}}'}
edges:
  - {from: split, parallel: [a, b], fan_in: join}
  - {from: a, parallel: [a1, a2], fan_in: inner}
";
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let result = workflow
        .run(common::pool(), state(4), &RunSettings::new())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        result.state["all"],
        json!([["main a44", 1, "main a", 4], "main"])
    );
}

/// A state that leaves no room in the instance that it is put into passes to each branch as before.
#[test]
fn a_state_that_does_not_pass_in_one_piece_fails_as_it_does_without() {
    let pool = common::builder()
        .limits(moonfork::Limits::default().value(1 << 20))
        .build()
        .unwrap();
    let said = |start: &str| {
        let text = format!(
            "
settings: {{parallel: {{start: {start}}}}}
nodes:
  - {{name: each, type: dynamic_parallel, items: [1], run: 'return {{n = 1}}'}}
  - {{name: join, run: 'return {{error = state.parallel_results[1].error}}'}}
"
        );
        let workflow = Workflow::parse(&text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
        let mut state = Map::new();
        state.insert("large".into(), json!("x".repeat(3 << 20)));
        match workflow.run(&pool, state, &RunSettings::new()) {
            Ok(result) => result.state["error"].to_string(),
            Err(error) => error.to_string(),
        }
    };
    // How many bytes they are depends on how long the branch took.
    let without_digits = |said: String| said.replace(|it: char| it.is_ascii_digit(), "");
    let [fork, fresh] = ["fork", "fresh"].map(|start| without_digits(said(start)));
    assert!(fork.contains("more than the"), "{fork}");
    assert_eq!(fork, fresh);
}

/// Their instances hold it from the start, for which it has to be compiled beforehand: a text that is run once isn't.
#[rstest]
#[case::edges(
    "
  - {name: a, run: 'return {n = 1}'}
  - {name: b, steps: [{name: inner, run: 'return {n = 2}'}]}
  - {name: join, fan_in: true, run: 'return {}'}
edges: [{from: __start__, parallel: [a, b], fan_in: join}]
",
    2
)]
#[case::each(
    "
  - {name: each, parallel_each: [1], run: 'return {n = 1}'}
  - {name: join, run: 'return {}'}
",
    1
)]
#[case::steps(
    "
  - name: each
    type: dynamic_parallel
    items: [1]
    steps:
      - {name: one, run: 'return {n = 1}'}
      - {name: two, run: 'return {n = 2}'}
",
    2
)]
#[case::a_loop("
  - {name: a, type: while_loop, condition: 'not state.n', max_iterations: 2, body: [{name: twice, run: 'return {n = 2}'}]}
  - {name: join, fan_in: true, run: 'return {}'}
edges: [{from: __start__, parallel: [a], fan_in: join}]
", 1)]
fn branches_do_not_load_what_they_run(#[case] nodes: &str, #[case] expected: usize) {
    for (start, expected) in [("fork", expected), ("fresh", 0)] {
        let pool = common::interpreting_builder().build().unwrap();
        let text = format!("settings: {{parallel: {{start: {start}}}}}\nnodes:{nodes}");
        let workflow = Workflow::parse(&text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
        workflow
            .run(&pool, state(1), &RunSettings::new())
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            moonfork::testing::compiled_chunks(&pool),
            expected,
            "{start}"
        );
    }
}
