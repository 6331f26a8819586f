//! What instances of a run begin with: a prelude, and what the instance has that a fan-out begins on.

use std::collections::BTreeSet;

use moonfork::workflow::{RunError, RunResult, RunSettings, Workflow};
use moonfork::{Clock, Grants};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::common;

fn run(text: &str) -> Result<RunResult, RunError> {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    workflow.run(common::pool(), Map::new(), &RunSettings::new())
}

#[track_caller]
fn key(text: &str, key: &str) -> Value {
    let result = run(text).unwrap_or_else(|error| panic!("{error}"));
    result.state[key].clone()
}

/// A workflow whose branches say what they see of `seen` and change it; each twice.
fn branches(head: &str) -> String {
    format!(
        "{head}
nodes:
  - {{name: more, run: 'seen = (seen or 0) + 10'}}
  - name: each
    type: dynamic_parallel
    items: [1, 2, 3]
    steps:
      - {{name: see, run: 'local was = seen seen = state.item return {{was = was or null}}'}}
      - {{name: again, run: 'return {{again = seen}}'}}
  - name: join
    run: |
      local all = {{}}
      for i, entry in ipairs(state.parallel_results) do all[i] = {{entry.state.was, entry.state.again}} end
      return {{all = all, main = seen}}
"
    )
}

#[rstest]
#[case::nothing("", json!([[null, 1], [null, 2], [null, 3]]), 10)]
#[case::prelude("prelude: seen = 1", json!([[1, 1], [1, 2], [1, 3]]), 11)]
#[case::fork("settings: {parallel: {start: fork}}", json!([[10, 1], [10, 2], [10, 3]]), 10)]
#[case::fresh("settings: {parallel: {start: fresh}}", json!([[null, 1], [null, 2], [null, 3]]), 10)]
#[case::both("prelude: seen = 1\nsettings: {parallel: {start: fork}}", json!([[11, 1], [11, 2], [11, 3]]), 11)]
fn what_branches_begin_with(#[case] head: &str, #[case] all: Value, #[case] main: i64) {
    let result = run(&branches(head)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (&result.state["all"], &result.state["main"]),
        (&all, &json!(main))
    );
}

#[test]
fn branches_of_branches_begin_with_their_own_branch() {
    let text = "
settings: {parallel: {start: fork}}
nodes:
  - {name: split, run: who = 'main'}
  - name: a
    run: who = who .. ' a'
  - {name: a1, run: 'return {who = who}'}
  - {name: a2, run: 'who = nil'}
  - {name: inner, run: 'return {inner = state.parallel_results[1].state.who .. tostring(who)}'}
  - {name: b, run: 'return {who = who}'}
  - {name: join, run: 'local r = state.parallel_results return {all = {r[1].state.inner, r[2].state.who}}'}
edges:
  - {from: split, parallel: [a, b], fan_in: join}
  - {from: a, parallel: [a1, a2], fan_in: inner}
";
    assert_eq!(key(text, "all"), json!(["main amain a", "main"]));
}

#[test]
fn instances_say_which_one_they_began_with() {
    let parents = |head: &str| {
        let result = run(&branches(head)).unwrap_or_else(|error| panic!("{error}"));
        let instances = &result.report.instances;
        let main = instances.iter().find(|it| it.branch.is_none()).unwrap();
        let branches = instances.iter().filter(|it| it.branch.is_some());
        let ids: BTreeSet<_> = instances.iter().map(|it| it.store_id).collect();
        assert_eq!(ids.len(), 4, "no instance is used twice");
        branches
            .map(|it| it.parent.map(|parent| parent == main.store_id))
            .collect::<Vec<_>>()
    };
    assert_eq!(parents(""), [None; 3]);
    assert_eq!(parents("prelude: x = 1"), [Some(true); 3]);
    assert_eq!(
        parents("settings: {parallel: {start: fork}}"),
        [Some(true); 3]
    );
}

#[test]
fn an_instance_that_takes_the_place_of_a_stopped_one_begins_alike() {
    let text = "
prelude: seen = 1
nodes:
  - {name: stopped, timeout: 100ms, on_error: {mode: graceful}, run: 'seen = 2 while true do end'}
  - {name: after, run: 'return {main = seen}'}
  - name: each
    type: dynamic_parallel
    items: [1]
    steps:
      - {name: stopped_too, timeout: 100ms, on_error: {mode: graceful}, run: 'seen = 3 while true do end'}
      - {name: after_too, run: 'return {branch = seen}'}
  - {name: join, run: 'return {branch = state.parallel_results[1].state.branch}'}
";
    let result = run(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (&result.state["main"], &result.state["branch"]),
        (&json!(1), &json!(1))
    );
}

#[rstest]
#[case::error(
    "prelude: |\n  local x\n  x.y = 1\n",
    "prelude:3: attempt to index a nil value"
)]
#[case::limit(
    "settings: {limits: {wall: 200ms}}\nprelude: while true do end\n",
    "200ms"
)]
#[case::state("prelude: return state.x.y\n", "prelude:1: ")]
fn a_prelude_that_fails_fails_the_run(#[case] head: &str, #[case] message: &str) {
    let error = run(&format!("{head}nodes: [{{name: a}}]\n")).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(error.node(), None);
}

#[rstest]
#[case::no_lua("prelude: x = = 1", "the prelude doesn't parse")]
#[case::expression("prelude: {type: expression, value: '1'}", "is Lua, and no expression")]
#[case::file("prelude: {file: none.lua}", "none.lua")]
#[case::start(
    "settings: {parallel: {start: forked}}",
    "`start` is `fresh` or `fork`, not `forked`"
)]
#[case::comment("prelude: n = #_G # all", "YAML takes for a comment")]
fn mistakes_are_found_before_the_run(#[case] head: &str, #[case] message: &str) {
    let text = format!("{head}\nnodes: [{{name: a}}]\n");
    let said = match Workflow::parse(&text, "w.yaml") {
        Err(error) => error.to_string(),
        Ok(workflow) => {
            let result = workflow.run(common::pool(), Map::new(), &RunSettings::new());
            result.map(|_| ()).unwrap_err().to_string()
        }
    };
    assert!(said.contains(message), "{said}");
}

#[test]
fn a_subgraph_has_no_prelude_of_its_own() {
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: [1]
    subgraph: {prelude: x = 1, nodes: [{name: a}]}
";
    let said = Workflow::parse(text, "w.yaml").unwrap_err().to_string();
    assert!(said.contains("a subgraph has no prelude"), "{said}");
}

#[test]
fn a_prelude_has_what_the_run_is_granted() {
    let workflow = Workflow::parse(
        "{prelude: then_ = os.time(), nodes: [{name: a, run: 'return {t = then_}'}]}",
        "w.yaml",
    );
    let workflow = workflow.unwrap_or_else(|error| panic!("{error}"));
    let granted = RunSettings::new()
        .grants(Grants::none().clock(Clock::fixed(std::time::Duration::from_secs(7))));
    let result = workflow
        .run(common::pool(), Map::new(), &granted)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(result.state["t"], json!(7));
    let error = workflow
        .run(common::pool(), Map::new(), &RunSettings::new())
        .unwrap_err();
    assert!(error.to_string().contains("'clock'"), "{error}");
}
