//! What calls of host functions go by: the same when they are made again, and else another one each.

use std::collections::HashSet;
use std::path::Path;

use moonfork::workflow::{Checkpoint, RunResult, RunSettings, Workflow};
use serde_json::{Value, json};

use crate::queue::crew::{Crew, Kind};
use crate::queue::server::Server;
use crate::queue::shared;
use crate::workers::{pool, workers};

#[track_caller]
fn workflow(text: &str) -> Workflow {
    Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn run(text: &str, input: &Value, settings: &RunSettings) -> RunResult {
    let outcome = workflow(text).run(&pool(false), input, settings);
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

/// The keys that were written to a file, in order.
fn noted(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_distinct(keys: &[String]) {
    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    let is_plain = |key: &String| {
        key.bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    assert!(keys.iter().all(is_plain), "{keys:?}");
}

/// Calls in nodes, steps, loops, actions, branches, branches of branches, and in two fan-outs of one node.
const EVERYWHERE: &str = "
prelude: note_key(FILE)
initial_state: {pass: 0}
nodes:
  - {name: two, run: 'note_key(FILE) note_key(FILE)'}
  - name: steps
    steps:
      - {name: one, run: note_key(FILE)}
      - {name: other, run: note_key(FILE)}
  - {name: action, uses: note_key, with: [FILE]}
  - name: loop
    type: while_loop
    condition: state.n < 3
    max_iterations: 5
    body: [{name: inside, run: 'note_key(FILE) return {n = (state.n or 0) + 1}'}]
  - name: again
    run: return {pass = state.pass + 1}
  - name: outer
    type: dynamic_parallel
    items: [1, 2, 3]
    item_var: i
    subgraph:
      nodes:
        - {name: own, run: note_key(FILE)}
        - {name: inner, parallel_each: [1, 2], run: note_key(FILE)}
  - name: last
    run: note_key(FILE)
    goto: [{if: state.pass < 2, to: again}, {to: __end__}]
";

fn everywhere(file: &Path) -> String {
    let file = file.display().to_string();
    // The loop begins with a number.
    EVERYWHERE
        .replace("FILE", &format!("\"{file}\""))
        .replace("{pass: 0}", "{pass: 0, n: 0}")
}

/// How many calls that is: 1 + 2 + 2 + 1 + 3, and twice 3 * (1 + 2) + 1.
const CALLS: usize = 9 + 2 * (9 + 1);

#[test]
fn each_call_of_a_run_has_another_and_so_has_each_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let text = everywhere(&file);
    let places = [
        Some(RunSettings::new()),
        Some(RunSettings::new().workers(&workers(2, false))),
        shared(false).map(|queue| RunSettings::new().workers(&queue)),
    ];
    let mut runs = 0;
    for settings in places.into_iter().flatten() {
        run(&text, &json!({}), &settings);
        runs += 1;
        let keys = noted(&file);
        assert_eq!(keys.len(), runs * CALLS);
        assert_distinct(&keys);
    }
}

#[test]
fn a_run_that_goes_on_has_those_that_it_would_have_had_wherever_its_branches_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let text = everywhere(&file);
    let settings = RunSettings::new()
        .checkpoint_dir(folder.path())
        .interrupt_before(["again"]);
    let stopped = run(&text, &json!({}), &settings);
    let stopped = stopped.interrupt.expect("it stops").checkpoint;
    let stopped = stopped.path().expect("it is written").to_owned();
    let mut all = Vec::new();
    let places = [
        Some(RunSettings::new()),
        Some(RunSettings::new()),
        Some(RunSettings::new().workers(&workers(2, false))),
        shared(false).map(|queue| RunSettings::new().workers(&queue)),
    ];
    for settings in places.into_iter().flatten() {
        std::fs::remove_file(&file).expect("it is there");
        let mut checkpoint = Checkpoint::load(&stopped).expect("it is sound");
        let mut settings = settings.checkpoint_dir(folder.path().join("more"));
        loop {
            let outcome = workflow(&text).resume(&pool(false), checkpoint, (), &settings);
            let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
            match outcome.interrupt {
                Some(interrupt) => checkpoint = interrupt.checkpoint,
                None => break,
            }
            // It stops once more, and has its prelude run again by that.
            settings = settings.interrupt_before(Vec::<String>::new());
        }
        let mut keys = noted(&file);
        keys.sort_unstable();
        keys.dedup();
        all.push(keys);
    }
    assert_eq!(all[0].len(), 1 + 2 * 10);
    for other in &all[1..] {
        assert_eq!(*other, all[0]);
    }
}

#[test]
fn a_node_that_is_tried_again_makes_the_same_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let text = "
nodes:
  - name: first
    retry: {max_retries: 2, base_delay_ms: 1}
    run: |
      local n = note_key(state.file)
      note_key(state.file)
      if n < 5 then error('not yet') end
  - {name: second, run: note_key(state.file)}
";
    run(text, &json!({"file": file}), &RunSettings::new());
    let keys = noted(&file);
    assert_eq!(keys.len(), 7);
    assert_eq!(keys[0..2], keys[2..4]);
    assert_eq!(keys[0..2], keys[4..6]);
    assert_distinct(&[keys[0].clone(), keys[1].clone(), keys[6].clone()]);
}

#[test]
fn what_was_under_way_when_a_run_ended_makes_the_same_calls_when_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let text = "
config: {raise_exceptions: true}
nodes:
  - {name: start}
  - {name: a, run: note_key(state.file)}
  - {name: b, run: 'if note_key(state.file) <= 2 then error(1) end'}
  - {name: join, run: 'if note_key(state.file) <= 4 then error(1) end'}
edges:
  - {from: start, parallel: [a, b], fan_in: join}
";
    let settings = RunSettings::new()
        .checkpoint_dir(folder.path().join("checkpoints"))
        .max_workers(std::num::NonZeroUsize::MIN);
    let workflow = workflow(text);
    let pool = pool(false);
    let mut ended = workflow.run(&pool, json!({"file": file}), &settings);
    for _ in 0..2 {
        let error = ended.expect_err("it fails");
        let checkpoint = Checkpoint::load(error.checkpoint().expect("there is one")).unwrap();
        ended = workflow.resume(&pool, checkpoint, (), &settings);
    }
    ended.unwrap_or_else(|error| panic!("{error}"));
    // `a`, `b`, `b` again, the join, the join again.
    let keys = noted(&file);
    assert_eq!(keys.len(), 5);
    assert_eq!((&keys[1], &keys[3]), (&keys[2], &keys[4]));
    assert_distinct(&[keys[0].clone(), keys[1].clone(), keys[3].clone()]);
}

/// The first time, it ends its process in the midst of it.
const KILLED: &str = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(8) | list }}'
    run: |
      local n = note_key(state.file .. state.item)
      if state.item == 5 and n == 1 then die() end
";

/// Each branch has a key of its own, which that has twice whose worker was killed.
#[track_caller]
fn assert_same_key_again(settings: &RunSettings) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys-");
    let result = run(KILLED, &json!({"file": file}), settings);
    let entries = result.state["parallel_results"].as_array().expect("a list");
    assert!(entries.iter().all(|it| it["success"] == json!(true)));
    let noted = |item: usize| noted(&folder.path().join(format!("keys-{item}")));
    let killed = noted(5);
    assert!(killed.len() >= 2, "{killed:?}");
    let mut keys: Vec<String> = (0..8).flat_map(noted).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 8);
}

#[test]
fn a_branch_whose_process_was_killed_makes_the_same_calls() {
    assert_same_key_again(&RunSettings::new().workers(&workers(2, false)));
}

#[test]
fn so_does_one_that_runs_as_a_suspect() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().lease(1));
    assert_same_key_again(&crew.settings());
}
