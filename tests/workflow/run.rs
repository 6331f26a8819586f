//! What nodes see, what they return, and what becomes of the state.

use moonfork::workflow::{RunError, RunResult, RunSettings, Workflow};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::common;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

fn run(text: &str, input: Value) -> Result<RunResult, RunError> {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    workflow.run(common::pool(), object(input), &RunSettings::default())
}

#[track_caller]
fn state(text: &str, input: Value) -> Value {
    let outcome = run(text, input).unwrap_or_else(|error| panic!("{error}"));
    Value::Object(outcome.state)
}

#[test]
fn each_node_sees_what_those_before_it_returned() {
    let text = "
nodes:
  - name: add
    run: 'return {sum = state.a + state.b}'
  - name: double
    script: 'return {sum = state.sum * 2}'
  - name: tell
    run: {type: lua, code: 'return {text = \"sum: \" .. state.sum}'}
";
    assert_eq!(
        state(text, json!({"a": 5, "b": 10})),
        json!({"a": 5, "b": 10, "sum": 30, "text": "sum: 30"})
    );
}

#[test]
fn input_overlays_the_initial_state_key_by_key() {
    let text = "
initial_state: {kept: 1, replaced: {deep: true}}
nodes: [{name: nothing}]
";
    assert_eq!(
        state(text, json!({"replaced": {"other": 2}, "added": null})),
        json!({"kept": 1, "replaced": {"other": 2}, "added": null})
    );
}

#[rstest]
#[case::keys_replace("return {n = {only = 'this'}}", json!({"n": {"only": "this"}, "list": []}))]
#[case::nothing("local x = 1", json!({"n": {"f": 5.0}, "list": []}))]
#[case::empty_table("return {}", json!({"n": {"f": 5.0}, "list": []}))]
#[case::null_key("return {n = null}", json!({"n": null, "list": []}))]
#[case::scalar("return 7", json!({"n": {"f": 5.0}, "list": [], "result": 7}))]
#[case::array("return {1, 2}", json!({"n": {"f": 5.0}, "list": [], "result": [1, 2]}))]
#[case::in_place("state.n = 1", json!({"n": {"f": 5.0}, "list": []}))]
#[case::in_place_returned("state.list[1] = 'x' return state", json!({"n": {"f": 5.0}, "list": ["x"]}))]
fn what_a_node_returns_updates_the_state(#[case] code: &str, #[case] expected: Value) {
    let node = json!({"nodes": [{"name": "node", "run": code}]}).to_string();
    assert_eq!(state(&node, json!({"n": {"f": 5.0}, "list": []})), expected);
}

#[test]
fn keys_that_were_not_returned_keep_their_exact_value() {
    let text = "
initial_state: {float: 5.0, tiny: 1.0e-7, int: 9007199254740993, list: [], map: {}, nulls: [null, 1, null]}
nodes: [{name: other, run: 'return {x = 1}'}]
";
    let state = state(text, json!({}));
    assert_eq!(
        state.to_string(),
        "{\"float\":5.0,\"int\":9007199254740993,\"list\":[],\"map\":{},\
         \"nulls\":[null,1,null],\"tiny\":1e-7,\"x\":1}"
    );
}

#[test]
fn several_values_are_refused() {
    let error = run("nodes: [{name: pair, run: 'return 1, 2'}]\n", json!({})).unwrap_err();
    assert!(error.to_string().contains("one table"), "{error}");
}

#[test]
fn variables_are_a_global_of_lua() {
    let text = "
variables: {limit: 1}
nodes: [{name: look, run: 'return {seen = variables.limit, other = limit}'}]
";
    assert_eq!(state(text, json!({})), json!({"seen": 1}));
}

#[test]
fn a_failing_node_fails_the_run_and_says_where() {
    let text = "\
nodes:
  - name: fine
    run: print('so far') return {a = 1}
  - name: broken
    run: |
      local function deep()
        error('boom')
      end
      deep()
  - name: never
";
    let error = run(text, json!({})).unwrap_err();
    assert_eq!(error.to_string(), "w.yaml:7: node 'broken': boom");
    assert_eq!(error.node(), Some("broken"));
    assert_eq!(error.failure().error_type, "LuaError");
    let traceback = error.failure().traceback.as_deref().unwrap_or_default();
    assert!(traceback.contains("deep"), "{traceback}");

    let nodes = &error.report().instances[0].nodes;
    let ran: Vec<_> = nodes.iter().map(|node| &*node.node).collect();
    assert_eq!(ran, ["fine", "broken"]);
    assert_eq!(nodes[0].output, "so far\n");
    assert!(nodes[1].error.is_some());
}

#[test]
fn a_workflow_with_lua_that_does_not_parse_does_not_begin() {
    let text = "nodes:\n  - {name: fine, run: x = 1}\n  - name: broken\n    run: 'return ('\n";
    let error = run(text, json!({})).unwrap_err();
    let message = "w.yaml:4: error [LUA_SYNTAX]: the Lua of `broken` doesn't parse: unexpected symbol near <eof>";
    assert_eq!(error.to_string(), message);
    assert_eq!(error.problems().len(), 1);
    assert!(error.report().instances.is_empty());
}

/// Before anything runs, and all of them at once.
#[test]
fn integers_that_lua_can_not_hold_are_refused() {
    let text = "nodes: [{name: one, run: \"error('it ran')\"}]";
    let input =
        json!({"big": u64::MAX, "list": [{"n": 9_223_372_036_854_775_808_u64}], "fits": i64::MAX});
    let error = run(text, input).unwrap_err();
    assert_eq!(error.failure().error_type, "ValueError");
    let message = error.to_string();
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 2, "{message}");
    assert!(lines[0].starts_with("state.big: 18446744073709551615 is too large"));
    assert!(lines[1].starts_with("state.list[1].n: 9223372036854775808 is too large"));
    assert!(
        message.ends_with("; quote it, to pass it as text"),
        "{message}"
    );
}

/// What the file says, not what was left of it.
#[rstest]
#[case::of_a_node(
    "nodes: [{name: a, run: 'while true do end', timeout: 60ms}]",
    "longer than 60ms"
)]
#[case::of_a_node_s_limits(
    "nodes: [{name: a, run: 'while true do end', timeout: 9s, limits: {wall: 50ms}}]",
    "longer than 50ms"
)]
#[case::of_the_run(
    "{settings: {limits: {wall: 300ms}}, nodes: [{name: a, run: 'return {}'}, {name: b, run: 'while true do end', timeout: 9s}]}",
    "longer than 300ms"
)]
#[case::of_the_run_in_a_node_with_more(
    "{settings: {limits: {wall: 300ms}}, nodes: [{name: a, run: 'while true do end', timeout: 9s}]}",
    "longer than 300ms"
)]
fn a_limit_is_told_as_it_was_written(#[case] text: &str, #[case] said: &str) {
    let message = run(text, json!({})).unwrap_err().to_string();
    assert!(message.contains(said), "{message}");
}

#[test]
fn totals_are_told_as_they_were_written() {
    let pool = common::builder().metered().build().unwrap();
    let text = "
settings: {limits: {fuel: 2000000}}
nodes:
  - {name: a, run: 'for i = 1, 100000 do end'}
  - {name: b, run: 'while true do end'}
";
    let workflow = Workflow::parse(text, "w.yaml").unwrap();
    let error = workflow.run(&pool, Map::new(), &RunSettings::default());
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("more than 2000000 units of fuel"),
        "{message}"
    );
}

#[derive(serde::Serialize)]
struct Order {
    count: i64,
}

#[test]
fn the_input_is_anything_that_serializes_to_an_object() {
    let text =
        "initial_state: {count: 2}\nnodes: [{name: a, run: 'return {twice = state.count * 2}'}]";
    let workflow = Workflow::parse(text, "w.yaml").unwrap();
    let pool = common::pool();
    let settings = RunSettings::new();
    let twice = |result: Result<RunResult, RunError>| result.unwrap().state["twice"].clone();
    assert_eq!(twice(workflow.run(pool, Order { count: 5 }, &settings)), 10);
    assert_eq!(
        twice(workflow.run(pool, json!({"count": 6}), &settings)),
        12
    );
    assert_eq!(twice(workflow.run(pool, (), &settings)), 4);
    for (input, said) in [
        (
            json!([1]),
            "the input of a workflow is an object, not a list",
        ),
        (
            json!("x"),
            "the input of a workflow is an object, not a string",
        ),
    ] {
        let error = workflow.run(pool, input, &settings).unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(error.report().instances.is_empty());
    }
    let error = workflow.run(pool, u128::MAX, &settings).unwrap_err();
    assert!(
        error.to_string().starts_with("the input can't be had"),
        "{error}"
    );
}
