//! What is wrong with a workflow file is said with its place, all of it, and once.

use moonfork::diagnostics::{LoadError, Severity};
use moonfork::workflow::{Source, Workflow};
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
    "w.yaml:3:6: error [INVALID_VALUE]: initial_state.n: 9223372036854775808 is too large for an integer (-9223372036854775808 to 9223372036854775807); quote it, to pass it as text"
)]
#[case::infinity(
    "nodes: [{name: a}]\ninitial_state: {n: .inf}\n",
    "w.yaml:2:20: error [INVALID_VALUE]: initial_state.n: .inf is no number that JSON can hold; quote it, to pass it as text"
)]
#[case::a_number_in_a_list(
    "nodes: [{name: a, metadata: {ids: [1, 1e999]}}]\n",
    "w.yaml:1:39: error [INVALID_VALUE]: nodes[1].metadata.ids[2]: 1e999 is too large for a number (up to 1.7976931348623157e308); quote it, to pass it as text"
)]
#[case::a_number_in_a_mapping_in_a_list(
    "nodes: [{name: a}]\nvariables: {list: [[1], {'a b': 18446744073709551616}]}\n",
    "w.yaml:2:33: error [INVALID_VALUE]: variables.list[2][\"a b\"]: 18446744073709551616 is too large for an integer (-9223372036854775808 to 9223372036854775807); quote it, to pass it as text"
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
#[case::name_too_long(
    &format!("nodes: [{{name: {}}}]\n", "x".repeat(257)),
    "w.yaml:1:16: error [INVALID_NODE]: the name of a node has 257 bytes, and at most 256 are allowed"
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
    "w.yaml:1:24: error [MISSING_FIELD]: `run` needs `code`, or `file`"
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
    "w.yaml:2:23: error [EDGE_TO_UNDEFINED]: an edge to `__start__`, which is no node"
)]
#[case::branch_to_end(
    "edges: [{from: a, parallel: [b, __end__], fan_in: c}]",
    "w.yaml:2:33: error [EDGE_TO_UNDEFINED]: an edge to `__end__`, which is no node"
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
    "w.yaml:2:32: error [INVALID_EDGE]: `type` of an edge can be `parallel`, `entry`, `finish` or `normal`"
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
#[case::parallel_to_the_end(
    "edges: [{from: a, to: b}, {from: a, to: __end__}]",
    "w.yaml:2:27: error [INVALID_EDGE]: several edges from `a` without conditions are branches, and none can start at `__end__`"
)]
#[case::condition_twice(
    "edges: [{from: a, to: b, when: x, condition: y}]",
    "w.yaml:2:26: error [INVALID_EDGE]: `condition` is another word for `when`: an edge has one of them"
)]
#[case::condition_does_not_parse(
    "edges: [{from: a, to: b, when: 'state.x ~= 3'}]",
    "w.yaml:2:32: error [INVALID_CONDITION]: `when` doesn't parse: unexpected `=`"
)]
#[case::condition_a_number(
    "edges: [{from: a, to: b, when: 3}]",
    "w.yaml:2:32: error [INVALID_CONDITION]: `when` must be an expression, not a number"
)]
#[case::target_to_nothing(
    "edges: [{from: a, when: x, targets: {yes: b, no: q}}]",
    "w.yaml:2:50: error [EDGE_TO_UNDEFINED]: a target `q`, but there is no such node"
)]
#[case::targets_and_to(
    "edges: [{from: a, to: b, targets: {yes: b}}]",
    "w.yaml:2:19: error [INVALID_EDGE]: an edge with `targets` has no `to`"
)]
#[case::targets_a_list(
    "edges: [{from: a, targets: [b]}]",
    "w.yaml:2:28: error [INVALID_EDGE]: `targets` must be a mapping of results to nodes, not a list"
)]
fn edges_that_lead_nowhere_good(#[case] edges: &str, #[case] expected: &str) {
    let nodes = "nodes: [{name: a}, {name: b}, {name: c}, {name: d}]\n";
    assert_eq!(problems(&format!("{nodes}{edges}\n")), [expected]);
}

#[rstest]
#[case::goto_nowhere(
    "{name: a, goto: q}",
    "w.yaml:1:25: error [GOTO_UNDEFINED]: `goto` leads to `q`, but there is no such node"
)]
#[case::goto_a_number(
    "{name: a, goto: 5}",
    "w.yaml:1:25: error [INVALID_NODE]: `goto` must be the name of a node or a list of rules, not a number"
)]
#[case::rule_without_to(
    "{name: a, goto: [{if: x}]}",
    "w.yaml:1:26: error [MISSING_FIELD]: a rule of `goto` needs `to`"
)]
#[case::rule_never_reached(
    "{name: a, goto: [{to: a}, {if: x, to: a}]}",
    "w.yaml:1:35: error [INVALID_NODE]: no run comes to this rule: the one before it has no `if`"
)]
#[case::rule_with_condition(
    "{name: a, goto: [{condition: x, to: a}]}",
    "w.yaml:1:27: error [UNKNOWN_KEY]: `condition` means nothing on a rule of `goto`: write `if`"
)]
#[case::rule_with_if_and_when(
    "{name: a, goto: [{if: x, when: y, to: a}]}",
    "w.yaml:1:34: error [INVALID_NODE]: `when` is another word for `if`: a rule has one of them"
)]
#[case::rule_with_to_and_then(
    "{name: a, goto: [{if: x, to: a, then: a}]}",
    "w.yaml:1:41: error [INVALID_NODE]: `then` is another word for `to`: a rule has one of them"
)]
#[case::fallback_nowhere(
    "{name: a, fallback: q}",
    "w.yaml:1:29: error [GOTO_UNDEFINED]: `fallback` leads to `q`, but there is no such node"
)]
#[case::retry_negative(
    "{name: a, retry: {max_retries: -1}}",
    "w.yaml:1:40: error [INVALID_VALUE]: `max_retries` must be a whole number between 0 and 1000000"
)]
#[case::on_error_mode(
    "{name: a, on_error: {mode: ignore}}",
    "w.yaml:1:36: error [INVALID_VALUE]: `mode` is `raise`, `graceful` or `retry`, not `ignore`"
)]
#[case::retried_twice(
    "{name: a, retry: {}, on_error: {mode: retry}}",
    "w.yaml:1:40: error [INVALID_NODE]: `retry` and `on_error: {mode: retry}` both say how often to try again"
)]
#[case::timeout_a_word(
    "{name: a, timeout: soon}",
    "w.yaml:1:28: error [INVALID_VALUE]: `timeout` must be a duration: a number of seconds, or text such as `300ms`"
)]
#[case::timeout_of_nothing(
    "{name: a, timeout: 0}",
    "w.yaml:1:28: error [INVALID_VALUE]: `timeout` must be a duration: a number of seconds, or text such as `300ms`"
)]
#[case::memory_a_word(
    "{name: a, limits: {memory: much}}",
    "w.yaml:1:36: error [INVALID_VALUE]: `memory` must be a size: a number of bytes, or text such as `64MiB`"
)]
#[case::interrupt_during(
    "{name: a, interrupt: during}",
    "w.yaml:1:30: error [INVALID_NODE]: `interrupt` of a node is `before` or `after`"
)]
#[case::unknown_type(
    "{name: a, type: loop}",
    "w.yaml:1:25: error [INVALID_NODE]: there is no type of node `loop`; there are `while_loop` and `dynamic_parallel`"
)]
#[case::loop_without_condition(
    "{name: a, type: while_loop, max_iterations: 3, body: [{run: x}]}",
    "w.yaml:1:9: error [INVALID_LOOP]: a while_loop needs `condition`"
)]
#[case::loop_too_long(
    "{name: a, type: while_loop, condition: x, max_iterations: 1001, body: [{run: x}]}",
    "w.yaml:1:67: error [INVALID_VALUE]: `max_iterations` must be a whole number between 1 and 1000"
)]
#[case::loop_in_a_loop(
    "{name: a, type: while_loop, condition: x, max_iterations: 3, body: [{type: while_loop}]}",
    "w.yaml:1:78: error [INVALID_NODE]: a while_loop can't be inside of another node"
)]
#[case::loop_with_code(
    "{name: a, type: while_loop, run: x, condition: x, max_iterations: 3, body: [{run: x}]}",
    "w.yaml:1:37: error [UNKNOWN_KEY]: `run` means nothing on a while_loop: what it repeats are the nodes of `body`"
)]
#[case::body_of_a_plain_node(
    "{name: a, body: []}",
    "w.yaml:1:19: error [UNKNOWN_KEY]: `body` means nothing on a node: it belongs to a node of `type: while_loop`"
)]
#[case::goto_in_a_body(
    "{name: a, type: while_loop, condition: x, max_iterations: 3, body: [{goto: a}]}",
    "w.yaml:1:78: error [UNKNOWN_KEY]: `goto` means nothing on a step: nodes in here follow each other as they are written"
)]
#[case::dynamic_without_items(
    "{name: a, type: dynamic_parallel, run: x}",
    "w.yaml:1:9: error [DYN_PARALLEL_MISSING_ITEMS]: a dynamic_parallel needs `items`, a list or a template that gives one"
)]
#[case::dynamic_without_work(
    "{name: a, type: dynamic_parallel, items: []}",
    "w.yaml:1:9: error [DYN_PARALLEL_MODE]: there is nothing to run: say it with one of `run`, `steps`, `action` or `subgraph`"
)]
#[case::dynamic_with_too_much_work(
    "{name: a, type: dynamic_parallel, items: [], run: x, steps: [{run: x}]}",
    "w.yaml:1:62: error [INVALID_NODE]: a node has `run` or `steps`, not both"
)]
#[case::dynamic_fan_in_nowhere(
    "{name: a, type: dynamic_parallel, items: [], run: x, fan_in: q}",
    "w.yaml:1:70: error [DYN_PARALLEL_FAN_IN_UNDEFINED]: the fan-in is `q`, but there is no such node"
)]
#[case::items_without_braces(
    "{name: a, type: dynamic_parallel, items: state.list, run: x}",
    "w.yaml:1:50: error [INVALID_TEMPLATE]: `state.list` is no list; a template is written with `{{ }}`"
)]
#[case::items_that_do_not_parse(
    "{name: a, type: dynamic_parallel, items: '{{ state. }}', run: x}",
    "w.yaml:1:50: error [INVALID_TEMPLATE]: the template doesn't parse: unexpected end of input, expected identifier or integer"
)]
#[case::matrix_a_list(
    "{name: a, strategy: {matrix: [1]}, run: x}",
    "w.yaml:1:38: error [INVALID_NODE]: `matrix` must be a mapping with a list of values under each key"
)]
#[case::with_of_nothing(
    "{name: a, run: x, with: {y: 1}}",
    "w.yaml:1:27: error [INVALID_NODE]: `with` is what a host function is given: it needs `uses`"
)]
#[case::subgraph_missing(
    "{name: a, type: dynamic_parallel, items: [], subgraph: no/such/file.yaml}",
    "w.yaml:1:64: error [INVALID_SUBGRAPH]: the subgraph no/such/file.yaml can't be read: No such file or directory (os error 2)"
)]
fn nodes_that_contradict_themselves(#[case] node: &str, #[case] expected: &str) {
    assert_eq!(problems(&format!("nodes: [{node}]\n")), [expected]);
}

#[rstest]
#[case::schema_type(
    "state_schema: {x: strin}",
    "w.yaml:2:19: error [INVALID_VALUE]: there is no type `strin`"
)]
#[case::interrupt_nowhere(
    "config: {interrupt_before: [q]}",
    "w.yaml:2:29: error [INTERRUPT_UNDEFINED]: an interrupt at `q`, but there is no such node"
)]
#[case::interrupt_in_a_branch(
    "edges: [{from: a, parallel: [b], fan_in: c}]\nconfig: {interrupt_after: [b]}",
    "w.yaml:1:27: error [INTERRUPT_IN_BRANCH]: `b` runs in a branch, where a run can't be interrupted"
)]
#[case::no_iterations(
    "settings: {max_iterations: 0}",
    "w.yaml:2:28: error [INVALID_VALUE]: `max_iterations` must be a whole number between 1 and 4294967295"
)]
#[case::merge_strategy(
    "settings: {parallel: {merge_strategy: any}}",
    "w.yaml:2:39: error [INVALID_VALUE]: there is no merge strategy `any`; there are `isolated`, `last_write_wins`, `merge_deep`, `fail_on_conflict`"
)]
#[case::cycle_where_none_is_allowed(
    "settings: {allow_cycles: false}\nedges: [{from: b, to: a, when: x}]",
    "w.yaml:3:9: error [CYCLE_NOT_ALLOWED]: `allow_cycles` is false, but here is one: a -> b -> a"
)]
fn the_rest_of_a_file(#[case] text: &str, #[case] expected: &str) {
    let nodes = "nodes: [{name: a}, {name: b}, {name: c}]\n";
    assert_eq!(problems(&format!("{nodes}{text}\n")), [expected]);
}

#[rstest]
#[case::by_goto("nodes: [{name: a, goto: a}]", "1:25", "a -> a")]
#[case::by_an_edge(
    "nodes: [{name: a}, {name: b}, {name: c}]\nedges: [{from: c, to: b}]",
    "2:9",
    "b -> c -> b"
)]
#[case::in_a_branch(
    "nodes: [{name: a}, {name: b}, {name: c}]\nedges: [{from: __start__, parallel: [a], fan_in: c}, {from: a, to: b}, {from: b, to: a}]",
    "2:72",
    "a -> b -> a"
)]
#[case::through_a_fan_out(
    "nodes: [{name: a}, {name: b}, {name: c}]\nedges: [{from: a, parallel: [b], fan_in: c}, {from: c, to: a}]",
    "2:46",
    "a -> c -> a"
)]
fn loops_without_end_are_warned_about(
    #[case] text: &str,
    #[case] place: &str,
    #[case] names: &str,
) {
    let workflow = Workflow::parse(text, "w.yaml").expect("warnings don't refuse a file");
    let warnings: Vec<_> = workflow
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = format!(
        "w.yaml:{place}: warning [UNCONDITIONAL_CYCLE]: nothing but an error ends this loop: \
         {names}\n  hint: the run fails after 1000 nodes"
    );
    assert_eq!(warnings, [expected]);
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
            "w.yaml:7:11: error [GOTO_UNDEFINED]: `goto` leads to `nowhere`, but there is no such node",
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

/// A file with 3,000 nodes whose names have this many bytes, and a `goto` of each to a name that
/// is one slip away from one of them.
fn misspelt_names(len: usize) -> String {
    let names: Vec<String> = (0..3000).map(|n| format!("{n:0len$}")).collect();
    let node = |name: &String| format!("  - {{name: '{name}', goto: 'x{}'}}\n", &name[1..]);
    format!("nodes:\n{}", names.iter().map(node).collect::<String>())
}

#[rstest]
#[case::short(8, true)]
#[case::as_long_as_names_may_be(256, false)]
fn hints_are_for_the_first_problems_and_for_names_of_a_usual_length(
    #[case] len: usize,
    #[case] some: bool,
) {
    let error = Workflow::parse(&misspelt_names(len), "w.yaml").expect_err("it is refused");
    let hints: Vec<bool> = error
        .problems()
        .iter()
        .map(|it| it.hint().is_some())
        .collect();
    assert_eq!(hints.len(), 3000);
    let first_without = hints.iter().position(|hint| !hint).expect("most have none");
    assert_eq!(first_without > 0, some);
    assert!(hints[first_without..].iter().all(|hint| !hint));
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
    streams: {}
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
            "w.yaml:4:5: warning [IGNORED_KEY]: `streams` of a node has no effect here",
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
        [
            "w.yaml:5:57: error [YAML_PARSE]: anchors and aliases stand for more than 8 MiB, each of them for a copy"
        ]
    );
}

#[test]
fn a_mistake_that_two_branches_come_upon_is_said_once() {
    let text = "
nodes: [{name: a}, {name: b}, {name: x}, {name: y, interrupt: before}, {name: join}]
edges:
  - {from: __start__, parallel: [a, b], fan_in: join}
  - {from: a, to: x}
  - {from: b, to: x}
  - {from: x, parallel: [y], fan_in: join}
";
    assert_eq!(
        problems(text),
        [
            "w.yaml:2:49: error [INTERRUPT_IN_BRANCH]: `y` runs in a branch, where a run can't be interrupted"
        ]
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

/// A file in which one thing is wrong, however much hangs on it, and what is said of it.
#[rstest]
#[case::loop_without_a_limit(
    "{name: b, type: while_loop, condition: state.n < 3, body: [{run: return 1}]}",
    "INVALID_LOOP"
)]
#[case::dynamic_without_items(
    "{name: b, type: dynamic_parallel, run: return 1}",
    "DYN_PARALLEL_MISSING_ITEMS"
)]
#[case::two_ways_to_run("{name: b, run: return 1, uses: f}", "INVALID_NODE")]
#[case::condition_that_does_not_parse("{name: b, goto: [{if: 'x >', to: a}]}", "INVALID_CONDITION")]
#[case::misspelt_run("{name: b, rnu: return 1}", "UNKNOWN_KEY")]
#[case::misspelt_name("{nam: b, run: return 1}", "UNKNOWN_KEY")]
#[case::no_name("{run: return 1}", "MISSING_NODE_NAME")]
#[case::misspelt_type(
    "{name: b, typ: while_loop, condition: 'true', max_iterations: 1, body: [{run: return 1}]}",
    "UNKNOWN_KEY"
)]
#[case::misspelt_word(
    "{name: b, type: while_lop, condition: 'true', max_iterations: 1, body: [{run: return 1}]}",
    "INVALID_NODE"
)]
#[case::misspelt_items(
    "{name: b, type: dynamic_parallel, itms: [1], run: return 1}",
    "UNKNOWN_KEY"
)]
#[case::misspelt_body(
    "{name: b, type: while_loop, condition: 'true', max_iterations: 1, bdy: [{run: return 1}]}",
    "UNKNOWN_KEY"
)]
#[case::misspelt_strategy("{name: b, stategy: {matrix: {x: [1]}}, run: return 1}", "UNKNOWN_KEY")]
#[case::misspelt_code("{name: b, run: {typ: lua, code: return 1}}", "UNKNOWN_KEY")]
#[case::number_for_a_limit(
    "{name: b, type: while_loop, condition: 'true', max_iterations: 99999999999999999999, body: [{run: return 1}]}",
    "INVALID_VALUE"
)]
#[case::number_for_code("{name: b, run: 99999999999999999999}", "INVALID_VALUE")]
#[case::a_string("b", "INVALID_NODE")]
fn one_mistake_in_a_node_is_one_problem(#[case] node: &str, #[case] code: &str) {
    let text = format!(
        "nodes:\n  - {{name: a, run: return 1}}\n  - {node}\n\
         edges:\n  - {{from: a, to: b}}\n  - {{from: b, to: __end__}}\n"
    );
    let error = Workflow::parse(&text, "w.yaml").expect_err("the file should be refused");
    let codes: Vec<_> = error
        .problems()
        .iter()
        .map(|it| it.code().as_str())
        .collect();
    assert_eq!(codes, [code], "{error}");
}

#[rstest]
#[case::misspelt_from("{form: a, to: b}", "UNKNOWN_KEY")]
#[case::misspelt_to("{from: a, ot: b}", "UNKNOWN_KEY")]
#[case::misspelt_parallel("{from: a, paralel: [b, c], fan_in: d}", "UNKNOWN_KEY")]
#[case::misspelt_type("{from: a, to: b, typ: parallel, fan_in: d}", "UNKNOWN_KEY")]
#[case::misspelt_kind("{from: a, to: b, type: parallell, fan_in: d}", "INVALID_EDGE")]
#[case::misspelt_node("{from: a, to: bb}", "EDGE_TO_UNDEFINED")]
#[case::misspelt_targets("{from: a, when: state.x, target: {b: b}}", "UNKNOWN_KEY")]
fn one_mistake_in_an_edge_is_one_problem(#[case] edge: &str, #[case] code: &str) {
    let text = format!(
        "nodes: [{{name: a}}, {{name: b}}, {{name: c}}, {{name: d}}]\nedges:\n  - {edge}\n"
    );
    let error = Workflow::parse(&text, "w.yaml").expect_err("the file should be refused");
    let codes: Vec<_> = error
        .problems()
        .iter()
        .map(|it| it.code().as_str())
        .collect();
    assert_eq!(codes, [code], "{error}");
}

#[rstest]
#[case::misspelt("nods: [{name: a}]\nedges: [{from: a, to: __end__}]\n", "UNKNOWN_KEY")]
#[case::a_mapping("nodes: {a: {}}\nedges: [{from: a, to: __end__}]\n", "INVALID_NODES")]
#[case::missing("edges: [{from: a, to: __end__}]\n", "MISSING_FIELD")]
fn one_mistake_about_all_nodes_is_one_problem(#[case] text: &str, #[case] code: &str) {
    let error = Workflow::parse(text, "w.yaml").expect_err("the file should be refused");
    let codes: Vec<_> = error
        .problems()
        .iter()
        .map(|it| it.code().as_str())
        .collect();
    assert_eq!(codes, [code], "{error}");
}

#[rstest]
#[case::nothing("")]
#[case::comments("# nothing to change here\n")]
#[case::null("~\n")]
fn an_overlay_without_anything_changes_nothing(#[case] overlay: &str) {
    let base = "name: a\nnodes:\n- name: x\n  run: return {}\n";
    let source = Source::text(base, "base.yaml").overlay_text(overlay, "overlay.yaml");
    assert_eq!(source.dump().expect("it is fine"), base);
    assert!(source.load().expect("it is fine").warnings().is_empty());
}

#[test]
fn what_an_overlay_deletes_in_vain_is_a_warning() {
    let overlay = "nodes: [{name: y, __delete__: true}]\nsettings: {__delete__: true}\n";
    let workflow = Source::text("nodes: [{name: x}]\n", "base.yaml")
        .overlay_text(overlay, "overlay.yaml")
        .load()
        .expect("it is accepted");
    let warnings: Vec<_> = workflow
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        [
            "overlay.yaml:1:9: warning [INVALID_OVERLAY]: `__delete__`, but there is no such entry in the file below",
            "overlay.yaml:2:11: warning [INVALID_OVERLAY]: `__delete__`, but there is no `settings` in the file below",
        ]
    );
}

/// Where YAML stumbles over Lua without quotes, the advice says what to do.
#[rstest]
#[case::a_table_in_a_flow_mapping("nodes:\n  - {name: a, run: return {x = 1}}\n", true)]
#[case::a_colon("nodes:\n  - name: a\n    run: return \"a: b\"\n", true)]
#[case::a_colon_in_a_mapping(
    "nodes:\n  - name: a\n    run: {type: lua, code: return \"a: b\"}\n",
    true
)]
#[case::below_a_bar("nodes:\n  - name: a\n    run: |\n      return 1\n   x: [\n", false)]
#[case::elsewhere("nodes: [\n", false)]
#[case::in_quotes("nodes:\n  - {name: a, run: 'return 1', x: : }\n", false)]
#[case::behind_quotes("nodes:\n  - name: a\n    run: \"x\" .. y\n", true)]
fn yaml_that_stumbles_over_lua_says_to_quote_it(#[case] text: &str, #[case] advice: bool) {
    let error = Workflow::parse(text, "w.yaml").expect_err("the file should be refused");
    let [problem] = error.problems() else {
        panic!("{error}");
    };
    assert_eq!(problem.code().as_str(), "YAML_PARSE");
    let hint = problem.hint().unwrap_or_default();
    assert_eq!(hint.contains("below `run: |`"), advice, "{error}");
}
