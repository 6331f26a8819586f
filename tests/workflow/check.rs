//! What is known to be wrong before a run begins, and that such a run doesn't.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moonfork::workflow::{Argument, EventKind, RunSettings, Signature, Workflow};
use moonfork::{Access, Capability, Folder, Grants, Pool};
use rstest::rstest;
use serde_json::{Map, Value};

use crate::common;

fn pool() -> Pool {
    common::builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("read", |(args,): (Map<String, Value>,)| {
            Ok(args["path"].clone())
        })
        .grants(Grants::none().all_functions())
        .build()
        .unwrap()
}

fn read() -> Signature {
    Signature::new()
        .required("path", Argument::Reads)
        .optional("code", Argument::Lua)
        .optional("to", Argument::Writes)
}

fn options() -> RunSettings {
    RunSettings::new()
        .describe("read", read())
        .advise(|capability| Some(format!("grant it: {capability}")))
}

/// The problems, and that a run ends with them, having run nothing.
#[track_caller]
fn problems(text: &str, options: &RunSettings) -> Vec<String> {
    let pool = pool();
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let found = workflow.check(&pool, options);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    let run = workflow.run(&pool, Map::new(), options);
    if found.is_empty() {
        run.unwrap();
    } else {
        let error = run.unwrap_err();
        assert_eq!(error.problems(), found);
        assert_eq!(error.to_string(), lines.join("\n"));
        assert!(error.report().instances.is_empty(), "something ran");
    }
    lines
}

#[rstest]
#[case::in_a_node("nodes:\n  - name: a\n    run: |\n      x = 1\n      return (\n", &["w.yaml:6: error [LUA_SYNTAX]: the Lua of `a` doesn't parse: unexpected symbol near <eof>"])]
#[case::in_a_step("nodes:\n  - name: a\n    steps:\n      - {name: s, run: 'end'}\n", &["w.yaml:4: error [LUA_SYNTAX]: the Lua of `s` doesn't parse: <eof> expected near 'end'"])]
#[case::in_a_loop("nodes:\n  - name: a\n    type: while_loop\n    condition: state.n < 1\n    max_iterations: 3\n    body: [{name: b, run: 'x ='}]\n", &["w.yaml:6: error [LUA_SYNTAX]: the Lua of `b` doesn't parse: unexpected symbol near <eof>"])]
#[case::for_each("nodes:\n  - name: a\n    type: dynamic_parallel\n    items: '{{ [1] }}'\n    fan_in: z\n    run: 'x ='\n  - name: z\n", &["w.yaml:6: error [LUA_SYNTAX]: the Lua of `a` doesn't parse: unexpected symbol near <eof>"])]
#[case::as_an_argument("nodes:\n  - {name: a, uses: read, with: {path: x, code: 'if'}}\n", &[
    "w.yaml:2: error [LUA_SYNTAX]: `code` of `read` doesn't parse: unexpected symbol near <eof>",
    "w.yaml:2:34: error [NOT_GRANTED]: the workflow needs the folder `x` (by `path`), which isn't granted\n  hint: grant it: folder x",
])]
#[case::all_at_once("nodes:\n  - {name: a, run: '('}\n  - {name: b, run: ')'}\n", &[
    "w.yaml:2: error [LUA_SYNTAX]: the Lua of `a` doesn't parse: unexpected symbol near <eof>",
    "w.yaml:3: error [LUA_SYNTAX]: the Lua of `b` doesn't parse: unexpected symbol near ')'",
])]
#[case::that_is_right("nodes: [{name: a, run: 'return {a = 1}'}]\n", &[])]
fn lua_that_does_not_parse(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(problems(text, &options()), expected);
}

#[rstest]
#[case::the_length_operator("return #items", true)]
#[case::of_a_field("return #state.items", true)]
#[case::in_a_condition("if #items > 2 then return {} end", true)]
#[case::a_note_behind_a_name("return state # the whole of it", false)]
#[case::a_note("return {a = 1}  # note", false)]
#[case::a_note_of_several_words("return {a = 1} # what it is, in words", false)]
#[case::in_quotes("'return #\"ab\"'", false)]
fn what_yaml_takes_for_a_comment(#[case] run: &str, #[case] refused: bool) {
    let text = format!("nodes:\n  - name: a\n    run: {run}\n");
    let found = problems(&text, &options());
    assert_eq!(found.len(), usize::from(refused), "{found:?}");
    for problem in found {
        assert!(
            problem.starts_with("w.yaml:3:10: error [LUA_SYNTAX]: the Lua of `a` ends before `#"),
            "{problem}"
        );
        assert!(
            problem.ends_with("hint: put the code in quotes, or below `run: |`"),
            "{problem}"
        );
    }
}

#[rstest]
#[case::misspelt(
    "ad",
    "w.yaml:1:25: error [UNKNOWN_FUNCTION]: there is no host function `ad`\n  hint: did you mean `add`?"
)]
#[case::like_none(
    "http.get",
    "w.yaml:1:25: error [UNKNOWN_FUNCTION]: there is no host function `http.get`\n  hint: there is: add, read"
)]
fn functions_that_are_not_there(#[case] name: &str, #[case] expected: &str) {
    let text = format!("nodes: [{{name: a, uses: {name}, with: [1, 2]}}]\n");
    assert_eq!(problems(&text, &options()), [expected]);
}

#[rstest]
#[case::unknown("{path: in/x, recursive: true}", &["w.yaml:1:50: error [INVALID_ARGUMENT]: `read` has no argument `recursive`\n  hint: there is: code, path, to"])]
#[case::misspelt("{pth: in/x}", &["w.yaml:1:38: error [INVALID_ARGUMENT]: `read` has no argument `pth`\n  hint: did you mean `path`?"])]
#[case::missing("{code: x = 1}", &["w.yaml:1:37: error [INVALID_ARGUMENT]: `read` needs the argument `path`"])]
#[case::right("{path: in/x}", &[])]
#[case::filled_in("{path: '{{ state.p }}/x'}", &[])]
fn keys_that_a_function_does_not_have(#[case] with: &str, #[case] expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("nodes: [{{name: a, uses: read, with: {with}}}]\ninitial_state: {{p: in}}\n");
    let mut options = options();
    options = options.grants(granted(folder.path(), Access::ReadOnly));
    assert_eq!(problems(&text, &options), expected);
}

fn granted(folder: &std::path::Path, access: Access) -> Grants {
    let folder = Folder::open(folder, access).unwrap();
    Grants::none().all_functions().folder("in", folder)
}

#[rstest]
#[case::another_folder("{path: out/x}", Access::ReadOnly, Some("folder out"))]
#[case::only_to_read(
    "{path: in/x, to: in/y}",
    Access::ReadOnly,
    Some("folder in read-write")
)]
#[case::to_write("{path: in/x, to: in/y}", Access::ReadWrite, None)]
#[case::half_of_a_name("{path: 'i{{ state.p }}'}", Access::ReadOnly, None)]
fn folders_and_their_access(
    #[case] with: &str,
    #[case] access: Access,
    #[case] lacks: Option<&str>,
) {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("nodes: [{{name: a, uses: read, with: {with}}}]\ninitial_state: {{p: n/x}}\n");
    let mut options = options();
    options = options.grants(granted(folder.path(), access));
    let found = problems(&text, &options);
    assert_eq!(found.len(), usize::from(lacks.is_some()), "{found:?}");
    for (problem, lacks) in found.iter().zip(lacks) {
        assert!(problem.contains("[NOT_GRANTED]"), "{problem}");
        assert!(
            problem.ends_with(&format!("hint: grant it: {lacks}")),
            "{problem}"
        );
    }
}

#[test]
fn a_hint_is_about_the_capability() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let asked = std::sync::Arc::clone(&seen);
    let options = RunSettings::new().advise(move |capability| {
        asked.lock().unwrap().push(capability.clone());
        None
    });
    let text = "settings: {capabilities: [clock, module tax]}\nnodes: [{name: a}]\n";
    assert_eq!(problems(text, &options).len(), 2);
    let first = seen.lock().unwrap()[..2].to_vec();
    assert_eq!(first, [Capability::Clock, Capability::Module("tax".into())]);
}

#[rstest]
#[case::of_a_node(
    "nodes: [{name: a, limits: {memory: 1GiB}}]\n",
    Some("the limit `memory` of 1GiB is wider than the 64MiB")
)]
#[case::of_each_call(
    "settings: {limits: {memory: 1GiB}}\nnodes: [{name: a}]\n",
    Some("the limit `memory` of 1GiB is wider than the 64MiB")
)]
#[case::of_a_run(
    "settings: {limits: {wall: 1h, output: 1GiB, host_calls: 1000000}}\nnodes: [{name: a}]\n",
    None
)]
#[case::narrow("nodes: [{name: a, limits: {memory: 16MiB, wall: 1s}}]\n", None)]
#[case::of_fuel(
    "nodes: [{name: a, limits: {fuel: 1000}}]\n",
    Some("a limit of fuel, and fuel isn't counted here")
)]
fn limits_against_those_of_the_pool(#[case] text: &str, #[case] expected: Option<&str>) {
    let found = problems(text, &RunSettings::new());
    assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
    for (problem, expected) in found.iter().zip(expected) {
        assert!(
            problem.contains("[LIMIT_TOO_WIDE]") && problem.contains(expected),
            "{problem}"
        );
    }
}

#[test]
fn a_run_waits_for_one_instance_and_parses_on_it() {
    let pool = pool();
    let workflow = Workflow::parse("nodes: [{name: a, run: return 1}]\n", "w.yaml").unwrap();
    let alive = Arc::new(Mutex::new(Vec::new()));
    let options = RunSettings::new().on_event({
        let (pool, alive) = (pool.clone(), Arc::clone(&alive));
        move |event| {
            if matches!(event.kind, EventKind::Start { .. }) {
                alive.lock().unwrap().push(pool.live_count());
            }
        }
    });
    let outcome = workflow.run(&pool, Map::new(), &options).unwrap();
    // What was parsed on is the main instance, which is there before anything runs.
    assert_eq!(*alive.lock().unwrap(), [1]);
    assert_eq!(outcome.report.instances.len(), 1);
    assert_eq!(pool.live_count(), 0);
}

#[test]
fn waiting_for_it_ends_with_the_time_of_the_run() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let pool = common::builder()
        .max_runs(1)
        .slot_timeout(PATIENCE)
        .build()
        .unwrap();
    let _only = pool.run_main().unwrap();
    let text = "settings: {limits: {wall: 40ms}}\nnodes: [{name: a, run: return 1}]\n";
    let workflow = Workflow::parse(text, "w.yaml").unwrap();
    let started = Instant::now();
    let error = workflow.run(&pool, Map::new(), &RunSettings::new());
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "stopped: the run's time of 40ms passed");
    assert!(started.elapsed() < PATIENCE);
}
