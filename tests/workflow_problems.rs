//! What is wrong with a workflow file is said with its place, all of it, and once.

use moonfork::workflow::{LoadError, Severity, Workflow};
use rstest::rstest;

/// The problems of a file that must be refused, one a line, without hints.
#[track_caller]
fn problems(text: &str) -> Vec<String> {
    let error = Workflow::parse(text, "w.yaml").expect_err("the file should be refused");
    without_hints(&error)
}

fn without_hints(error: &LoadError) -> Vec<String> {
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let problems = error.problems().iter();
    problems
        .map(|problem| first_line(problem.to_string()))
        .collect()
}

#[rstest]
#[case::empty_file("", "w.yaml: error [INVALID_ROOT]: the file is empty")]
#[case::only_comments("# nothing\n", "w.yaml: error [INVALID_ROOT]: the file is empty")]
#[case::not_a_mapping(
    "- a\n",
    "w.yaml:1:1: error [INVALID_ROOT]: a workflow is a mapping with `nodes`, not a list"
)]
#[case::bad_yaml(
    "nodes: [\n",
    "w.yaml:2:1: error [YAML_PARSE]: while parsing a node, did not find expected node content"
)]
#[case::unknown_alias(
    "nodes: *n\n",
    "w.yaml:1:8: error [YAML_PARSE]: while parsing node, found unknown anchor"
)]
#[case::alias_of_itself(
    "nodes: &n [*n]\n",
    "w.yaml:1:12: error [YAML_PARSE]: the alias stands for a value that it is itself part of"
)]
#[case::two_documents(
    "nodes: [{name: a}]\n---\nnodes: []\n",
    "w.yaml:2:1: error [YAML_PARSE]: a second document starts here; a workflow is one document"
)]
#[case::key_twice(
    "nodes: [{name: a}]\nname: x\nname: y\n",
    "w.yaml:3:1: error [DUPLICATE_KEY]: the key `name` is there already, at 2:1"
)]
#[case::key_not_a_string(
    "nodes: [{name: a}]\ninitial_state: {1: x}\n",
    "w.yaml:2:17: error [INVALID_KEY]: a key must be a string, not a number"
)]
#[case::key_is_a_list(
    "nodes: [{name: a}]\n? [x]\n: y\n",
    "w.yaml:2:3: error [INVALID_KEY]: a key must be a string, not a list"
)]
#[case::tag(
    "nodes: [{name: !node a}]\n",
    "w.yaml:1:22: error [INVALID_VALUE]: the tag `!node` means nothing here"
)]
#[case::number_too_large(
    "nodes: [{name: a}]\ninitial_state:\n  n: 9223372036854775808\n",
    "w.yaml:3:6: error [INVALID_VALUE]: `9223372036854775808` does not fit into a 64-bit signed integer"
)]
#[case::infinity(
    "nodes: [{name: a}]\ninitial_state: {n: .inf}\n",
    "w.yaml:2:20: error [INVALID_VALUE]: `.inf` is not a number that JSON can hold"
)]
#[case::merge_of_a_list(
    "nodes: [{<<: [x], name: a}]\n",
    "w.yaml:1:15: error [INVALID_VALUE]: `<<` merges mappings, not a string"
)]
fn yaml_that_no_workflow_is_made_of(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(problems(text), [expected]);
}

#[rstest]
#[case::no_nodes(
    "name: x\n",
    "w.yaml:1:1: error [MISSING_FIELD]: a workflow needs `nodes`"
)]
#[case::nodes_empty(
    "nodes: []\n",
    "w.yaml:1:8: error [INVALID_NODES]: a workflow needs at least one node"
)]
#[case::nodes_nothing(
    "nodes:\n",
    "w.yaml:1:6: error [INVALID_NODES]: `nodes` must be a list, not nothing"
)]
#[case::nodes_a_mapping(
    "nodes: {a: {}}\n",
    "w.yaml:1:8: error [INVALID_NODES]: `nodes` must be a list, not a mapping"
)]
#[case::node_a_string(
    "nodes: [a]\n",
    "w.yaml:1:9: error [INVALID_NODE]: a node must be a mapping, not a string"
)]
#[case::node_without_name(
    "nodes:\n  - run: return 1\n",
    "w.yaml:2:5: error [MISSING_NODE_NAME]: a node needs a name"
)]
#[case::name_a_number(
    "nodes: [{name: 5}]\n",
    "w.yaml:1:16: error [INVALID_NODE]: the name of a node must be a string, not a number"
)]
#[case::name_empty(
    "nodes: [{name: ''}]\n",
    "w.yaml:1:16: error [INVALID_NODE]: the name of a node can't be empty"
)]
#[case::name_twice(
    "nodes:\n  - name: a\n  - name: a\n",
    "w.yaml:3:11: error [DUPLICATE_NODE]: there is a node `a` already, at 2:11"
)]
#[case::name_reserved(
    "nodes: [{name: __end__}]\n",
    "w.yaml:1:16: error [INVALID_NODE]: `__end__` can't be the name of a node"
)]
#[case::run_a_list(
    "nodes: [{name: a, run: []}]\n",
    "w.yaml:1:24: error [INVALID_NODE]: `run` must be a string, not a list"
)]
#[case::run_and_script(
    "nodes: [{name: a, run: x, script: y}]\n",
    "w.yaml:1:27: error [INVALID_NODE]: `script` is another word for `run`: a node has one of them"
)]
#[case::run_without_code(
    "nodes: [{name: a, run: {type: lua}}]\n",
    "w.yaml:1:24: error [MISSING_FIELD]: `run` needs `code`"
)]
#[case::run_of_another_language(
    "nodes: [{name: a, run: {type: python, code: x}}]\n",
    "w.yaml:1:31: error [UNSUPPORTED_LANGUAGE]: `python` does not run here; `lua` does"
)]
#[case::node_of_another_language(
    "nodes: [{name: a, language: prolog}]\n",
    "w.yaml:1:29: error [UNSUPPORTED_LANGUAGE]: `prolog` does not run here; `lua` does"
)]
#[case::file_of_another_language(
    "language: python\nnodes: [{name: a}]\n",
    "w.yaml:1:11: error [UNSUPPORTED_LANGUAGE]: `python` does not run here; `lua` does"
)]
#[case::fan_in_a_name(
    "nodes: [{name: a, fan_in: b}]\n",
    "w.yaml:1:27: error [INVALID_NODE]: `fan_in` of a node must be true or false, not a string"
)]
#[case::state_a_list(
    "nodes: [{name: a}]\ninitial_state: []\n",
    "w.yaml:2:16: error [INVALID_VALUE]: `initial_state` must be a mapping, not a list"
)]
#[case::no_workers(
    "nodes: [{name: a}]\nsettings: {parallel: {max_workers: 0}}\n",
    "w.yaml:2:36: error [INVALID_VALUE]: `max_workers` must be a whole number of at least 1"
)]
fn nodes_and_settings_of_the_wrong_shape(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(problems(text), [expected]);
}

#[rstest]
#[case::edges_a_mapping(
    "edges: {}",
    "w.yaml:2:8: error [INVALID_EDGES]: `edges` must be a list, not a mapping"
)]
#[case::edge_a_string(
    "edges: [a]",
    "w.yaml:2:9: error [INVALID_EDGE]: an edge must be a mapping, not a string"
)]
#[case::no_from(
    "edges: [{to: a}]",
    "w.yaml:2:9: error [EDGE_MISSING_FROM]: an edge needs `from`"
)]
#[case::no_to(
    "edges: [{from: a}]",
    "w.yaml:2:9: error [EDGE_MISSING_TO]: an edge needs `to` or `parallel`"
)]
#[case::from_nothing(
    "edges: [{from: q, to: a}]",
    "w.yaml:2:16: error [EDGE_FROM_UNDEFINED]: an edge from `q`, but there is no such node"
)]
#[case::to_nothing(
    "edges: [{from: a, to: q}]",
    "w.yaml:2:23: error [EDGE_TO_UNDEFINED]: an edge to `q`, but there is no such node"
)]
#[case::to_start(
    "edges: [{from: a, to: __start__}]",
    "w.yaml:2:23: error [EDGE_TO_UNDEFINED]: no edge can lead to `__start__` here"
)]
#[case::branch_to_end(
    "edges: [{from: a, parallel: [b, __end__], fan_in: c}]",
    "w.yaml:2:33: error [EDGE_TO_UNDEFINED]: no edge can lead to `__end__` here"
)]
#[case::fan_in_nothing(
    "edges: [{from: a, parallel: [b], fan_in: q}]",
    "w.yaml:2:42: error [PARALLEL_FAN_IN_UNDEFINED]: an edge with fan-in `q`, but there is no such node"
)]
#[case::to_and_parallel(
    "edges: [{from: a, to: b, parallel: [c]}]",
    "w.yaml:2:26: error [INVALID_EDGE]: an edge has `to` or `parallel`, not both"
)]
#[case::parallel_empty(
    "edges: [{from: a, parallel: []}]",
    "w.yaml:2:29: error [INVALID_EDGE]: `parallel` needs at least one branch"
)]
#[case::parallel_a_string(
    "edges: [{from: a, parallel: b}]",
    "w.yaml:2:29: error [INVALID_EDGE]: `parallel` must be a list of nodes, not a string"
)]
#[case::unknown_type(
    "edges: [{from: a, to: b, type: simple}]",
    "w.yaml:2:32: error [INVALID_EDGE]: `type` of an edge can only be `parallel`"
)]
#[case::fan_in_of_a_plain_edge(
    "edges: [{from: a, to: b, fan_in: c}]",
    "w.yaml:2:26: error [INVALID_EDGE]: `fan_in` means nothing on an edge that is not parallel"
)]
#[case::same_edge_twice(
    "edges: [{from: a, to: b}, {from: a, to: b}]",
    "w.yaml:2:27: error [INVALID_EDGE]: the edge from `a` to `b` again"
)]
#[case::same_branch_twice(
    "edges: [{from: a, parallel: [b, b], fan_in: c}]",
    "w.yaml:2:33: error [INVALID_EDGE]: there is a branch `b` already"
)]
#[case::parallel_and_not(
    "edges: [{from: a, parallel: [b], fan_in: c}, {from: a, to: c}]",
    "w.yaml:2:46: error [INVALID_EDGE]: `a` has edges that are parallel and edges that are not"
)]
#[case::two_fan_ins(
    "edges: [{from: a, to: b, type: parallel, fan_in: c}, {from: a, to: c, type: parallel, fan_in: b}]",
    "w.yaml:2:95: error [INVALID_EDGE]: the branches of one fan-out have one fan-in; an edge before this one names another"
)]
#[case::branch_at_its_fan_in(
    "edges: [{from: a, parallel: [b, c], fan_in: c}]",
    "w.yaml:2:9: error [INVALID_EDGE]: the branch `c` starts at its own fan-in"
)]
#[case::branches_that_do_not_meet(
    "edges: [{from: a, parallel: [b, c]}]",
    "w.yaml:2:9: error [PARALLEL_FAN_IN_MISSING]: the branches of this fan-out don't meet in any node"
)]
#[case::branch_around_the_fan_in(
    "edges: [{from: a, parallel: [b, c]}, {from: b, to: d}, {from: c, to: __end__}]",
    "w.yaml:2:9: error [PARALLEL_FAN_IN_MISSING]: the branches of this fan-out don't meet in any node"
)]
#[case::branch_without_end(
    "edges: [{from: a, parallel: [b], fan_in: d}, {from: b, to: c}, {from: c, to: b}]",
    "w.yaml:2:64: error [UNCONDITIONAL_CYCLE]: a branch that comes by here would never end"
)]
#[case::cycle(
    "edges: [{from: c, to: b}]",
    "w.yaml:2:9: error [UNCONDITIONAL_CYCLE]: a run would never end: b -> c -> b"
)]
#[case::cycle_of_one(
    "edges: [{from: a, to: a}]",
    "w.yaml:2:9: error [UNCONDITIONAL_CYCLE]: a run would never end: a -> a"
)]
#[case::cycle_through_a_fan_out(
    "edges: [{from: a, parallel: [b], fan_in: c}, {from: c, to: a}]",
    "w.yaml:2:46: error [UNCONDITIONAL_CYCLE]: a run would never end: a -> c -> a"
)]
fn edges_that_lead_nowhere_good(#[case] edges: &str, #[case] expected: &str) {
    let nodes = "nodes: [{name: a}, {name: b}, {name: c}, {name: d}]\n";
    assert_eq!(problems(&format!("{nodes}{edges}\n")), [expected]);
}

#[rstest]
#[case::goto(
    "{name: a, goto: a}",
    "w.yaml:1:19: error [NOT_SUPPORTED]: `goto` of a node is not supported yet"
)]
#[case::retry(
    "{name: a, retry: {max_retries: 1}}",
    "w.yaml:1:19: error [NOT_SUPPORTED]: `retry` of a node is not supported yet"
)]
#[case::while_loop(
    "{name: a, type: while_loop, condition: x, max_iterations: 3, body: []}",
    "w.yaml:1:19: error [NOT_SUPPORTED]: a node of type `while_loop` is not supported yet"
)]
#[case::dynamic_parallel(
    "{name: a, type: dynamic_parallel, items: x, fan_in: b}",
    "w.yaml:1:19: error [NOT_SUPPORTED]: a node of type `dynamic_parallel` is not supported yet"
)]
fn nodes_of_the_full_contract_are_refused(#[case] node: &str, #[case] expected: &str) {
    assert_eq!(problems(&format!("nodes: [{node}]\n")), [expected]);
}

#[rstest]
#[case::when(
    "edges: [{from: a, to: b, when: x}]",
    "w.yaml:2:26: error [NOT_SUPPORTED]: `when` of an edge is not supported yet"
)]
#[case::condition(
    "edges: [{from: a, to: b, condition: x}]",
    "w.yaml:2:26: error [NOT_SUPPORTED]: `condition` of an edge is not supported yet"
)]
#[case::targets(
    "edges: [{from: a, targets: {x: b}}]",
    "w.yaml:2:19: error [NOT_SUPPORTED]: `targets` of an edge is not supported yet"
)]
#[case::to_a_list(
    "edges: [{from: a, to: [b, c]}]",
    "w.yaml:2:23: error [NOT_SUPPORTED]: a list in `to` is not supported yet"
)]
#[case::parallel_true(
    "edges: [{from: a, to: b, parallel: true, fan_in: c}]",
    "w.yaml:2:26: error [NOT_SUPPORTED]: `parallel: true` is not supported yet"
)]
#[case::several_edges(
    "edges: [{from: a, to: b}, {from: a, to: c}]",
    "w.yaml:2:27: error [NOT_SUPPORTED]: a second edge from `a` is not supported yet"
)]
#[case::nested_fan_out(
    "edges: [{from: __start__, parallel: [a], fan_in: c}, {from: a, parallel: [b], fan_in: c}]",
    "w.yaml:2:54: error [NOT_SUPPORTED]: a fan-out inside of a branch is not supported yet"
)]
#[case::state_schema(
    "state_schema: {x: string}",
    "w.yaml:2:1: error [NOT_SUPPORTED]: `state_schema` of a workflow is not supported yet"
)]
#[case::config(
    "config: {raise_exceptions: true}",
    "w.yaml:2:1: error [NOT_SUPPORTED]: `config` of a workflow is not supported yet"
)]
#[case::max_iterations(
    "settings: {max_iterations: 5}",
    "w.yaml:2:12: error [NOT_SUPPORTED]: `max_iterations` of `settings` is not supported yet"
)]
#[case::merge_strategy(
    "settings: {parallel: {merge_strategy: isolated}}",
    "w.yaml:2:23: error [NOT_SUPPORTED]: `merge_strategy` of `settings.parallel` is not supported yet"
)]
fn the_rest_of_the_full_contract_is_refused(#[case] text: &str, #[case] expected: &str) {
    let nodes = "nodes: [{name: a}, {name: b}, {name: c}]\n";
    assert_eq!(problems(&format!("{nodes}{text}\n")), [expected]);
}

#[test]
fn all_problems_are_found_in_one_go_and_in_the_order_of_the_file() {
    let text = "
nam: typo
nodes:
  - name: a
    rnu: return 1
  - name: a
    goto: nowhere
edges:
  - from: a
    to: missing
setings: {}
";
    assert_eq!(
        problems(text),
        [
            "w.yaml:2:1: error [UNKNOWN_KEY]: a workflow has no key `nam`",
            "w.yaml:5:5: error [UNKNOWN_KEY]: a node has no key `rnu`",
            "w.yaml:6:11: error [DUPLICATE_NODE]: there is a node `a` already, at 4:11",
            "w.yaml:7:5: error [NOT_SUPPORTED]: `goto` of a node is not supported yet",
            "w.yaml:10:9: error [EDGE_TO_UNDEFINED]: an edge to `missing`, but there is no such node",
            "w.yaml:11:1: error [UNKNOWN_KEY]: a workflow has no key `setings`",
        ]
    );
}

#[rstest]
#[case("nodes: [{name: a, rnu: x}]\n", Some("did you mean `run`?"))]
#[case("nodes: [{name: a}]\nsetings: {}\n", Some("did you mean `settings`?"))]
#[case("nodes: [{name: a, completely_else: x}]\n", None)]
#[case(
    "nodes: [{name: fetch}]\nedges: [{from: fecth, to: __end__}]\n",
    Some("did you mean `fetch`?")
)]
fn the_nearest_name_is_a_hint(#[case] text: &str, #[case] hint: Option<&str>) {
    let error = Workflow::parse(text, "w.yaml").expect_err("the file should be refused");
    assert_eq!(error.problems()[0].hint(), hint);
}

#[test]
fn a_missing_file_is_named() {
    let error = Workflow::load("no/such/file.yaml").expect_err("there is no such file");
    let text = error.to_string();
    assert!(
        text.starts_with("no/such/file.yaml: error [FILE_UNREADABLE]: "),
        "{text}"
    );
}

#[test]
fn keys_of_the_edge_agent_without_use_here_are_warned_about_once() {
    let text = "
nodes:
  - name: a
    uses: http.get
    metadata: {anything: goes}
settings:
  trace_file: x
  llm: {}
x-own: [1, 2]
";
    let workflow = Workflow::parse(text, "w.yaml").expect("warnings don't refuse a file");
    let warnings: Vec<_> = workflow
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "w.yaml:4:5: warning [IGNORED_KEY]: `uses` of a node has no effect here",
            "w.yaml:7:3: warning [IGNORED_KEY]: `trace_file` of `settings` has no effect here",
            "w.yaml:8:3: warning [IGNORED_KEY]: `llm` of `settings` has no effect here",
        ]
    );
}

#[test]
fn nodes_that_run_where_nobody_expects_it_are_warned_about() {
    let text = "
nodes: [{name: split}, {name: join}, {name: left}, {name: lost}]
edges:
  - {from: split, parallel: [left], fan_in: join}
  - {from: left, to: __end__}
";
    let workflow = Workflow::parse(text, "w.yaml").expect("warnings don't refuse a file");
    let warnings: Vec<_> = workflow.warnings().iter().collect();
    assert!(
        warnings
            .iter()
            .all(|warning| warning.severity() == Severity::Warning)
    );
    let codes: Vec<_> = warnings
        .iter()
        .map(|warning| warning.code().as_str())
        .collect();
    assert_eq!(codes, ["BRANCH_NODE_IN_SEQUENCE", "UNREFERENCED_NODE"]);
}

#[test]
fn depth_and_aliases_are_bounded() {
    let deep = format!("nodes: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(problems(&deep).len(), 1);
    let deep_blocks = format!("nodes:\n{}", "- ".repeat(5_000));
    assert_eq!(problems(&deep_blocks).len(), 1);

    let mut laughs = String::from("x-a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        laughs.push_str(&format!("x-a{level}: &a{level} [{before}]\n"));
    }
    let found = problems(&laughs);
    assert_eq!(
        found,
        ["w.yaml:5:47: error [YAML_PARSE]: aliases stand for more than 100000 values"]
    );
}

#[test]
fn a_mistake_that_two_branches_come_upon_is_said_once() {
    let text = "
nodes: [{name: a}, {name: b}, {name: x}, {name: y}, {name: join}]
edges:
  - {from: __start__, parallel: [a, b], fan_in: join}
  - {from: a, to: x}
  - {from: b, to: x}
  - {from: x, parallel: [y], fan_in: join}
";
    assert_eq!(
        problems(text),
        ["w.yaml:7:5: error [NOT_SUPPORTED]: a fan-out inside of a branch is not supported yet"]
    );
}

#[test]
fn a_mark_without_effect_is_warned_about() {
    let workflow = Workflow::parse("nodes: [{name: a, fan_in: true}]\n", "w.yaml")
        .expect("warnings don't refuse a file");
    let warnings: Vec<_> = workflow
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "w.yaml:1:16: warning [UNUSED_FAN_IN]: `a` is marked as a fan-in, but no branches meet there"
        ]
    );
}

#[test]
fn long_workflows_are_planned_in_no_time() {
    let mut text = String::from("nodes:\n");
    for node in 0..20_000 {
        text.push_str(&format!("- {{name: n{node}}}\n"));
    }
    assert!(Workflow::parse(&text, "w.yaml").is_ok());
}
