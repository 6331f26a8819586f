//! Files of The Edge Agent whose nodes are Lua: one of each kind that one of its engines runs.
//! They run here as they are, with no more than a warning for keys that have no use. The table in
//! `docs/tea.md` lists the kinds.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use moonfork::diagnostics::Code;
use moonfork::workflow::{Moment, RunSettings, Source, Workflow};
use moonfork::{Grants, Pool};
use rstest::rstest;
use serde_json::{Map, Value, json};

use crate::common;

/// A pool with a host function, for the actions of nodes.
fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        common::builder()
            .function("add_ten", |(n,): (i64,)| Ok(n + 10))
            .grants(Grants::none().all_functions())
            .build()
            .expect("a pool with a function")
    })
}

/// Runs a file with an input; what it ends with, and the keys that it is warned about.
#[track_caller]
fn run(text: &str, input: &Value) -> (Value, Vec<String>) {
    let workflow = match Workflow::parse(text, "tea.yaml") {
        Ok(workflow) => workflow,
        Err(error) => panic!("it is refused: {error}"),
    };
    let ignored = workflow.warnings().iter().map(|warning| {
        assert_eq!(warning.code(), Code::IgnoredKey, "{warning}");
        let name = warning.message().split('`').nth(1);
        name.unwrap_or_default().to_owned()
    });
    let ignored = ignored.collect();
    let input = input.as_object().cloned().unwrap_or_default();
    match workflow.run(pool(), input, &RunSettings::new()) {
        Ok(outcome) => (Value::Object(outcome.state), ignored),
        Err(error) => panic!("it fails: {error}"),
    }
}

/// A kind of file, an input, and a key of the state at the end with its value.
#[rstest]
#[case::nodes_alone(
    "
name: sum
nodes:
  - {name: add, run: 'return {sum = state.a + state.b}'}
  - {name: twice, run: 'return {sum = state.sum * 2}'}
",
    json!({"a": 1, "b": 2}), "sum", json!(6)
)]
#[case::descriptions_and_a_version(
    "
name: described
version: '1.2'
description: What it is for
nodes:
  - {name: load, description: Reads the order, run: 'return {total = 3}'}
  - name: count
    description: Counts
    type: while_loop
    condition: state.n < 2
    max_iterations: 5
    body: [{name: up, description: One more, run: 'return {n = state.n + 1}'}]
edges:
  - {from: load, to: count, description: always}
",
    json!({"n": 0}), "n", json!(2)
)]
#[case::version_as_a_number("version: 2.0\nnodes: [{name: a, run: 'return {x = 1}'}]\n", json!({}), "x", json!(1))]
#[case::goto_a_name(
    "
name: g
nodes:
  - {name: a, run: 'return {}', goto: c}
  - {name: b, run: \"return {went = state.went .. 'b'}\", goto: __end__}
  - {name: c, run: \"return {went = 'c'}\", goto: b}
",
    json!({}), "went", json!("cb")
)]
#[case::goto_rules_with_a_fallback(
    "
name: g
nodes:
  - name: judge
    run: return {score = state.n * 10}
    goto:
      - {if: state.score > 50 and not state.blocked, to: high}
      - {to: low}
  - {name: high, run: \"return {went = 'high'}\", goto: __end__}
  - {name: low, run: \"return {went = 'low'}\", goto: __end__}
",
    json!({"n": 9}), "went", json!("high")
)]
#[case::edges_from_start_to_end(
    "
name: e
nodes:
  - {name: b, run: \"return {went = state.went .. 'b'}\"}
  - {name: a, run: \"return {went = 'a'}\"}
edges:
  - {from: __start__, to: a}
  - {from: a, to: b}
  - {from: b, to: __end__}
",
    json!({}), "went", json!("ab")
)]
#[case::edges_of_type_entry_and_finish(
    "
name: e
nodes:
  - {name: a, run: \"return {at = 'a'}\"}
  - {name: b, run: \"return {at = 'b'}\"}
edges:
  - {type: entry, to: b, when: \"state.mode == 'b'\"}
  - {type: entry, to: a}
  - {from: a, to: __end__}
  - {from: b, type: finish}
",
    json!({"mode": "b"}), "at", json!("b")
)]
#[case::edges_with_when(
    "
name: w
nodes:
  - {name: a, run: 'return {ready = true}'}
  - {name: b, run: \"return {went = 'b'}\", goto: __end__}
  - {name: c, run: \"return {went = 'c'}\", goto: __end__}
edges:
  - {from: a, to: b, when: '!ready'}
  - {from: a, to: c, when: '{{ state.ready }}'}
",
    json!({}), "went", json!("c")
)]
#[case::edges_with_a_condition_and_what_it_is_to_be(
    "
name: c
nodes:
  - {name: a, run: 'return {n = 5}'}
  - {name: b, run: \"return {went = 'b'}\", goto: __end__}
  - {name: c, run: \"return {went = 'c'}\", goto: __end__}
edges:
  - {from: a, to: b, condition: {type: expression, value: 'state.n > 3'}, when: false}
  - {from: a, to: c, condition: {type: expression, value: 'state.n > 3'}, when: true}
",
    json!({}), "went", json!("c")
)]
#[case::edges_with_targets(
    "
name: t
nodes:
  - {name: a, run: \"return 'two'\"}
  - {name: one, run: \"return {went = 1}\", goto: __end__}
  - {name: two, run: \"return {went = 2}\", goto: __end__}
edges:
  - {from: a, targets: {one: one, two: two}}
",
    json!({}), "went", json!(2)
)]
#[case::parallel_edges_with_a_fan_in(
    "
name: p
nodes:
  - {name: start, run: 'return {}'}
  - {name: a, run: \"return {v = 1}\"}
  - {name: b, run: \"return {v = 2}\"}
  - name: join
    fan_in: true
    run: |
      local sum = 0
      for _, r in ipairs(state.parallel_results) do sum = sum + r.state.v end
      return {sum = sum}
edges:
  - {from: __start__, to: start}
  - {from: start, to: a, type: parallel, fan_in: join}
  - {from: start, to: b, type: parallel, fan_in: join}
  - {from: join, to: __end__}
",
    json!({}), "sum", json!(3)
)]
#[case::parallel_list_and_a_direct_successor(
    "
name: p
nodes:
  - {name: a, run: \"return {v = 1}\"}
  - {name: b, run: \"return {v = 2}\"}
  - {name: join, run: 'return {n = #state.parallel_results}'}
edges:
  - {from: __start__, parallel: [a, b]}
  - {from: a, to: join}
  - {from: b, to: join}
",
    json!({}), "n", json!(2)
)]
#[case::several_edges_and_a_merge_strategy(
    "
name: browser
settings: {parallel: {merge_strategy: merge_deep}}
nodes:
  - {name: start, run: 'return {}'}
  - {name: a, run: 'return {all = {a = 1}}'}
  - {name: b, run: 'return {all = {b = 2}}'}
  - {name: join, run: 'return {}'}
edges:
  - {from: start, to: a}
  - {from: start, to: b}
  - {from: a, to: join}
  - {from: b, to: join}
",
    json!({}), "all", json!({"a": 1, "b": 2})
)]
#[case::while_loop(
    "
name: l
nodes:
  - name: loop
    type: while_loop
    condition: state.get('n', 0) < 3
    max_iterations: 10
    body: [{name: up, run: 'return {n = (state.n or 0) + 1}'}]
",
    json!({}), "n", json!(3)
)]
#[case::dynamic_parallel_with_steps(
    "
name: d
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ state.orders }}'
    item_var: order
    index_var: at
    max_concurrency: '{{ state.most }}'
    steps:
      - {name: net, run: 'return {net = state.order * 10}'}
      - {run: 'return {gross = state.net + state.at}'}
    fan_in: collect
  - name: collect
    fan_in: true
    run: return {last = state.parallel_results[2].state.gross}
",
    json!({"orders": [1, 2], "most": 2}), "last", json!(21)
)]
#[case::dynamic_parallel_with_a_subgraph(
    "
name: d
nodes:
  - name: each
    type: dynamic_parallel
    items: [1, 2]
    subgraph:
      name: inside
      nodes: [{name: x, run: 'return {y = state.item * 2}'}]
    fan_in: collect
  - {name: collect, fan_in: true, run: 'return {last = state.parallel_results[2].state.y}'}
",
    json!({}), "last", json!(4)
)]
#[case::parallel_config_of_dynamic_parallel(
    "
name: pc
nodes:
  - name: each
    type: dynamic_parallel
    items: [1, 2, 3, 4, 5, 6]
    parallel_config: {max_concurrency: 1, fail_fast: true, timeout_seconds: 20}
    steps: [{run: \"if state.item == 1 then error('first fails') end return {ran = true}\"}]
    fan_in: collect
  - name: collect
    fan_in: true
    run: |
      local ran = 0
      for _, r in ipairs(state.parallel_results) do if r.success then ran = ran + 1 end end
      return {ran = ran}
",
    json!({}), "ran", json!(0)
)]
#[case::matrix(
    "
name: m
nodes:
  - name: build
    strategy: {matrix: {os: [a, b], version: [1, 2]}, fail_fast: false, max_parallel: 2}
    run: return state.matrix.os .. state.matrix.version
    fan_in: collect
  - {name: collect, fan_in: true, run: 'return {last = state.parallel_results[4].state.result}'}
",
    json!({}), "last", json!("b2")
)]
#[case::parallel_each(
    "
name: e
nodes:
  - name: each
    parallel_each: '{{ state.list }}'
    max_workers: 2
    run: return state.item .. state.item_index
    fan_in: collect
  - {name: collect, fan_in: true, run: 'return {last = state.parallel_results[2].state.result}'}
",
    json!({"list": ["x", "y"]}), "last", json!("y1")
)]
#[case::retry_and_fallback(
    "
name: r
nodes:
  - name: shaky
    run: error('always')
    retry: {max_retries: 1, base_delay_ms: 1, max_delay_ms: 2, backoff_multiplier: 2.0, jitter: false}
    fallback: other
  - {name: unused, run: \"return {went = 'unused'}\", goto: __end__}
  - {name: other, run: \"return {went = 'other'}\"}
",
    json!({}), "went", json!("other")
)]
#[case::on_error_graceful(
    "
name: g
settings: {error_handling: {mode: graceful, capture_traceback: false}}
nodes:
  - {name: bad, run: error('oh')}
  - {name: after, run: 'return {type = state.__error__.type, at = state.__error__.node}'}
",
    json!({}), "at", json!("bad")
)]
#[case::run_as_a_mapping_and_script(
    "
name: m
language: lua
nodes:
  - {name: a, language: lua, run: {type: lua, code: 'return {n = 1}'}}
  - {name: b, script: 'return {n = state.n + 1}'}
",
    json!({}), "n", json!(2)
)]
#[case::run_of_type_expression(
    "
name: x
nodes:
  - {name: double, run: {type: expression, value: 'state.x * 2', output_key: doubled}}
  - {name: braced, run: {type: expression, value: '{{ state.doubled + 1 }}', output_key: more}}
  - {name: plain, run: {type: expression, value: state.more}}
",
    json!({"x": 4}), "result", json!(9)
)]
#[case::steps(
    "
name: s
nodes:
  - name: a
    steps: [{run: 'return {n = 1}'}, {name: two, run: 'return {n = state.n + 1}'}]
",
    json!({}), "n", json!(2)
)]
#[case::conditions_in_python_style(
    "
name: c
variables: {limit: 2}
nodes:
  - name: a
    run: return {}
    goto:
      - {if: \"'x' in state.tags and len(state.tags) == variables.limit\", to: yes}
      - {to: no}
  - {name: yes, run: \"return {went = 'yes'}\", goto: __end__}
  - {name: no, run: \"return {went = 'no'}\", goto: __end__}
",
    json!({"tags": ["x", "y"]}), "went", json!("yes")
)]
#[case::initial_state_below_the_input(
    "name: i\ninitial_state: {a: 1, b: 1}\nnodes: [{name: n, run: 'return {sum = state.a + state.b}'}]\n",
    json!({"b": 5}), "sum", json!(6)
)]
#[case::schema_of_every_kind(
    "
name: s
state_schema:
  text: str
  list: list[str]
  maybe: {type: 'optional[int]', description: a number, default: 1, required: false}
  deep: {type: object, properties: {x: {type: int}}}
  what: datetime
nodes: [{name: n, run: \"return {text = 'x', list = {'a'}, deep = {x = 1}}\"}]
",
    json!({"maybe": 3}), "text", json!("x")
)]
#[case::edges_with_a_condition(
    "
name: c
nodes:
  - {name: a, run: 'return {n = 5}'}
  - {name: b, run: \"return {went = 'b'}\", goto: __end__}
  - {name: c, run: \"return {went = 'c'}\", goto: __end__}
edges:
  - {from: a, to: b, condition: {type: expression, value: 'state.n > 7'}}
  - {from: a, to: c, condition: state.n > 3}
",
    json!({}), "went", json!("c")
)]
#[case::edge_to_a_list(
    "
name: l
nodes:
  - {name: start, run: 'return {}'}
  - {name: a, run: 'return {v = 1}'}
  - {name: b, run: 'return {v = 2}'}
  - {name: join, fan_in: true, run: 'return {n = #state.parallel_results}'}
edges:
  - {from: start, to: [a, b], parallel: true, fan_in: join}
",
    json!({}), "n", json!(2)
)]
#[case::fan_in_marked_by_the_node(
    "
name: f
settings: {parallel: {max_workers: 2}}
nodes:
  - {name: a, run: 'return {v = 1}', goto: join}
  - {name: b, run: 'return {v = 2}', goto: join}
  - {name: join, fan_in: true, run: 'return {last = state.parallel_results[2].state.v}'}
edges:
  - {from: __start__, parallel: [a, b]}
",
    json!({}), "last", json!(2)
)]
#[case::dynamic_parallel_with_an_action(
    "
name: d
nodes:
  - name: each
    type: dynamic_parallel
    items: [1, 2]
    action: {uses: add_ten, with: ['{{ state.item }}'], output: sum}
    fan_in: collect
  - {name: collect, fan_in: true, run: 'return {last = state.parallel_results[2].state.sum}'}
",
    json!({}), "last", json!(12)
)]
#[case::on_error_retry(
    "
name: r
nodes:
  - name: shaky
    run: tries = (tries or 0) + 1 if tries < 3 then error('again') end return {tries = tries}
    on_error: {mode: retry, max_retries: 3, retry_delay: 0.001, backoff_multiplier: 1}
",
    json!({}), "tries", json!(3)
)]
#[case::settings_for_cycles(
    "
name: c
settings: {max_iterations: 10, allow_cycles: true}
nodes:
  - {name: up, run: 'return {n = state.n + 1}', goto: [{if: state.n < 5, to: up}, {to: __end__}]}
",
    json!({"n": 0}), "n", json!(5)
)]
#[case::rules_and_settings_of_its_edition_for_browsers(
    "
name: b
settings: {raise_exceptions: false, interrupt_before: [], parallel: {strategy: merge_deep}}
nodes:
  - {name: start, run: 'return {}'}
  - {name: a, run: 'return {all = {a = 1}}'}
  - {name: b, run: 'return {all = {b = 2}}'}
  - {name: join, run: 'return {}', goto: [{when: state.all.a == 1, then: last}, {to: __end__}]}
  - {name: last, run: 'return {went = state.all.b}'}
edges:
  - {from: start, to: a}
  - {from: start, to: b}
  - {from: a, to: join}
  - {from: b, to: join}
",
    json!({}), "went", json!(2)
)]
fn what_its_engines_run_runs_here(
    #[case] text: &str,
    #[case] input: Value,
    #[case] key: &str,
    #[case] expected: Value,
) {
    let (state, _) = run(text, &input);
    assert_eq!(state[key], expected, "{state}");
}

#[rstest]
#[case::of_a_node("interrupt: after", "")]
#[case::of_config("x-none: 0", "config: {interrupt_after: [ask]}")]
#[case::of_settings("x-none: 0", "settings: {interrupt_after: [ask]}")]
fn interrupts(#[case] of_node: &str, #[case] at_top: &str) {
    let text = format!(
        "
name: i
{at_top}
nodes:
  - {{name: ask, run: \"return {{question = 'how many?'}}\", {of_node}}}
  - {{name: tell, run: 'return {{told = state.answer}}'}}
"
    );
    let workflow = Workflow::parse(&text, "tea.yaml").expect("it is accepted");
    let options = RunSettings::new();
    let stopped = workflow.run(common::pool(), Map::new(), &options).unwrap();
    let at = stopped.interrupt.expect("it stops");
    assert_eq!((&*at.node, at.when), ("ask", Moment::After));
    let answer = json!({"answer": 3}).as_object().cloned().unwrap();
    let ended = workflow.resume(common::pool(), at.checkpoint, answer, &options);
    assert_eq!(ended.unwrap().state["told"], json!(3));
}

#[rstest]
#[case::of_config("config: {raise_exceptions: true}")]
#[case::of_settings("{settings: {raise_exceptions: true}, config: {raise_exceptions: false}}")]
fn exceptions_raised(#[case] said: &str) {
    let text = "
nodes:
  - {name: a, run: error('oh')}
  - {name: b, run: 'return {}'}
  - {name: join, run: 'return {}'}
edges: [{from: __start__, parallel: [a, b], fan_in: join}]
";
    let (state, _) = run(text, &json!({}));
    assert_eq!(state["parallel_results"][0]["success"], json!(false));
    let raising = Source::text(text, "tea.yaml").overlay_text(said, "said.yaml");
    let workflow = raising.load().expect("it is accepted");
    let error = workflow.run(common::pool(), Map::new(), &RunSettings::new());
    let error = error.expect_err("it fails").to_string();
    assert!(error.contains("oh"), "{error}");
}

#[test]
fn overlays() {
    let base = "
name: base
initial_state: {n: 1, list: [1, 2]}
nodes:
  - {name: a, run: 'return {n = state.n + 1}', goto: [{if: state.n > 5, to: c}, {to: b}]}
  - {name: b, run: 'return {n = state.n * 10}'}
  - {name: c, run: 'return {n = -1}', goto: __end__}
";
    let overlay = "
initial_state: {n: 5, list: []}
nodes:
  - {name: a, goto: [{to: c, if: state.n > 99}]}
  - {name: b, run: 'return {n = state.n * 2}', goto: d}
  - {name: d, run: 'return {n = state.n + 0.5}'}
";
    let removed = "nodes: [{name: d, __delete__: true}, {name: b, goto: __end__}]";
    let ended = |overlays: &[&str]| {
        let mut source = Source::text(base, "base.yaml");
        for overlay in overlays {
            source = source.overlay_text(*overlay, "overlay.yaml");
        }
        let workflow = source.load().expect("it is accepted");
        let outcome = workflow.run(common::pool(), Map::new(), &RunSettings::new());
        outcome.expect("it runs").state["n"].clone()
    };
    // Without an overlay, `c` isn't led to, and what is written next to `b` is `c`.
    assert_eq!(ended(&[]), json!(-1));
    assert_eq!(ended(&["# nothing\n"]), json!(-1));
    assert_eq!(ended(&[overlay]), json!(12.5));
    assert_eq!(ended(&[overlay, removed]), json!(12));
}

/// The kinds that `docs/tea.md` lists are those that are run here.
#[test]
fn every_kind_is_in_the_table_and_run_here() {
    let rows = include_str!("../../docs/tea.md")
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"));
    let listed: BTreeSet<_> = rows.map(|(_, test)| test.to_owned()).collect();
    let source = include_str!("tea.rs");
    let (cases, rest) = source
        .split_once("fn what_its_engines_run_runs_here")
        .expect("there is the table of cases");
    let named = |text: &str, before: &str, after: char| -> Vec<String> {
        let parts = text.split(before).skip(1);
        let names = parts.filter_map(|it| it.split_once(after));
        names.map(|(name, _)| name.trim().to_owned()).collect()
    };
    let mut run: BTreeSet<_> = named(cases, "#[case::", '(').into_iter().collect();
    let single = ["interrupts", "exceptions_raised", "overlays"];
    for name in single
        .iter()
        .chain(&["keys_without_use_are_warned_about_by_their_names"])
    {
        assert!(rest.contains(&format!("fn {name}(")), "there is no {name}");
        run.insert((*name).to_owned());
    }
    assert_eq!(listed, run);
}

#[test]
fn keys_without_use_are_warned_about_by_their_names() {
    let text = "
name: extras
imports: [{package: json}]
error_policy: {retry: 3}
observability: {enabled: true}
data: {x: 1}
endpoint: {path: /x}
input_schema: {}
output_schema: {}
settings:
  llm: {model: x}
  ltm: {backend: sqlite}
  auto_trace: true
  trace_exporter: console
  parallel: {strategy: thread, remote: {hosts: []}, max_workers: 2}
config: {raise_exceptions: true, checkpoint: null}
nodes:
  - {name: a, run: 'return {x = 1}', streams: {stdout: true}, metadata: {anything: [1]}}
edges:
  - {from: a, to: __end__, stream_mode: direct}
";
    let (state, mut ignored) = run(text, &json!({}));
    assert_eq!(state["x"], json!(1));
    ignored.sort();
    assert_eq!(
        ignored,
        [
            "auto_trace",
            "checkpoint",
            "data",
            "endpoint",
            "error_policy",
            "imports",
            "input_schema",
            "llm",
            "ltm",
            "observability",
            "output_schema",
            "remote",
            "strategy",
            "stream_mode",
            "streams",
            "trace_exporter",
        ]
    );
}

#[test]
fn parallel_config_is_in_force() {
    let one_at_a_time = "
nodes:
  - name: each
    type: dynamic_parallel
    items: [1, 2, 3]
    parallel_config: {fail_fast: true, max_concurrency: 1}
    run: error('first')
";
    let (state, ignored) = run(one_at_a_time, &json!({}));
    assert!(ignored.is_empty());
    let kinds = |state: &Value| -> Vec<String> {
        let entries = state["parallel_results"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["error_type"].as_str().unwrap_or("none").to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&state),
        ["LuaError", "CancelledError", "CancelledError"]
    );
    // What the node itself says comes first.
    let own = one_at_a_time.replace("run:", "fail_fast: false\n    run:");
    assert_eq!(kinds(&run(&own, &json!({})).0), ["LuaError"; 3]);
    let timed = one_at_a_time
        .replace("fail_fast: true", "timeout: 20ms")
        .replace("error('first')", "while true do end");
    assert_eq!(kinds(&run(&timed, &json!({})).0), ["TimeoutError"; 3]);
}

#[rstest]
#[case::wrong_origin(
    "{from: a, to: a, type: entry}",
    "an edge of `type: entry` comes from `__start__`, not from `a`"
)]
#[case::wrong_end(
    "{from: a, to: a, type: finish}",
    "an edge of `type: finish` leads to `__end__`, not to `a`"
)]
#[case::no_way("{type: entry}", "an edge needs `to` or `parallel`")]
#[case::from_nowhere("{type: finish}", "an edge needs `from`")]
#[case::misspelt(
    "{from: a, to: a, type: paralel}",
    "`type` of an edge can be `parallel`, `entry`, `finish` or `normal`"
)]
#[case::parallel_targets(
    "{from: a, targets: {x: a}, type: parallel}",
    "an edge with `targets` leads to one node, and where its result says"
)]
fn edges_whose_type_contradicts_them_are_refused(#[case] edge: &str, #[case] message: &str) {
    let text = format!("nodes: [{{name: a}}]\nedges:\n  - {edge}\n");
    let error = Workflow::parse(&text, "tea.yaml").expect_err("it should be refused");
    let messages: Vec<_> = error.problems().iter().map(|it| it.message()).collect();
    assert_eq!(messages, [message]);
}

#[rstest]
#[case::no_value("{type: expression}", "`run` of `type: expression` needs `value`")]
#[case::no_expression(
    "{type: expression, value: 'state.x +'}",
    "the expression doesn't parse: "
)]
#[case::code(
    "{type: expression, value: '1', code: x}",
    "`code` means nothing on `run` of `type: expression`: it belongs to `type: lua`"
)]
#[case::value_of_lua(
    "{type: lua, code: x, value: '1'}",
    "`value` means nothing on `run`: it belongs to `type: expression`"
)]
fn expressions_that_are_none_are_refused(#[case] value: &str, #[case] message: &str) {
    let text = format!("nodes: [{{name: a, run: {value}}}]\n");
    let error = Workflow::parse(&text, "tea.yaml").expect_err("it should be refused");
    let [problem] = error.problems() else {
        panic!("{error}");
    };
    assert!(problem.message().starts_with(message), "{problem}");
}
