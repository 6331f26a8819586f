//! Branches in other processes: the same results, one place for each, and what becomes of workers that end.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Write, stdin, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use moonfork::workflow::{EventKind, RunResult, RunSettings, Workers, Workflow, serve};
use moonfork::{Cancel, Grants, HostCall, Pool};
use serde_json::{Value, json};

use crate::conformance::functions;

/// What a worker is: this program, which runs one of its tests.
const PLAIN: &str = "workers::a_worker";
const METERED: &str = "workers::a_metered_worker";

/// So many processes of this program.
pub(crate) fn workers(count: usize, metered: bool) -> Workers {
    let name = match metered {
        true => METERED,
        false => PLAIN,
    };
    let program = std::env::current_exe().expect("the program's path");
    let arguments = [name, "--exact", "--nocapture", "--test-threads=1"];
    Workers::processes(NonZeroUsize::new(count).expect("some"), program, arguments)
}

/// The pool of the run, or of a worker: what they grant is the same.
pub(crate) fn pool(metered: bool) -> Pool {
    let builder = functions::builder(16, metered);
    let builder = builder.function("die", |(): ()| -> Result<(), moonfork::HostError> {
        // As a crash of the process does, or the kernel for want of memory.
        std::process::abort()
    });
    // Writes down what the call goes by, and says how often that was.
    let builder = builder.function_with("note_key", |call: &HostCall, (file,): (PathBuf,)| {
        let key = call.idempotency_key().ok_or("it goes by nothing")?;
        let mut noted = OpenOptions::new().append(true).create(true).open(&file)?;
        noted.write_all(format!("{key}\n").as_bytes())?;
        Ok(std::fs::read_to_string(file)?.lines().count())
    });
    let builder = builder.function("worker", |(): ()| Ok(u64::from(std::process::id())));
    builder.build().expect("a pool")
}

/// Serves, if this is the process of a worker.
fn serve_if_asked(name: &str, metered: bool) {
    let mut arguments = std::env::args();
    if arguments.any(|it| it == name) && arguments.any(|it| it == "--nocapture") {
        serve(&pool(metered), &RunSettings::new(), stdin(), stdout()).expect("a run");
        std::process::exit(0);
    }
}

#[test]
fn a_worker() {
    serve_if_asked(PLAIN, false);
}

#[test]
fn a_metered_worker() {
    serve_if_asked(METERED, true);
}

#[track_caller]
fn workflow(text: &str) -> Workflow {
    Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn run(text: &str, settings: &RunSettings) -> RunResult {
    let outcome = workflow(text).run(&pool(false), (), settings);
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

/// The state without what differs from run to run.
fn stable(result: RunResult) -> Value {
    let mut state = Value::Object(result.state);
    for entry in state["parallel_results"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        entry["timing_ms"] = Value::Null;
        entry["report"] = Value::Null;
    }
    state
}

const MIXED: &str = "
initial_state: {rows: [{a: 1}, {a: [1, 2]}], text: long enough to be worth a number of its own or so}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(40) | list }}'
    reduce: {sum: sum}
    run: |
      if state.item % 9 == 4 then error({code = state.item}) end
      return {
        sum = state.item / 7, n = state.item, nested = {rows = state.rows}, none = null,
        [state.item % 2 == 0 and 'even' or 'odd'] = state.text,
      }
";

#[test]
fn entries_and_states_are_the_same_as_in_this_process() {
    let here = run(MIXED, &RunSettings::new());
    let away = run(MIXED, &RunSettings::new().workers(&workers(3, false)));
    assert!(here.report.instances.iter().all(|it| it.worker.is_none()));
    let branches = away
        .report
        .instances
        .iter()
        .filter(|it| it.branch.is_some());
    assert!(branches.clone().all(|it| it.worker.is_some()));
    assert_eq!(branches.count(), 40);
    assert_eq!(stable(here), stable(away));
}

#[test]
fn instances_of_several_processes_are_told_apart() {
    let text = "
nodes:
  - {name: here, run: 'return {pid = worker()}'}
  - name: outer
    parallel_each: [1, 2, 3, 4, 5, 6]
    collect: none
    reduce: {pids: union}
    run: 'return {pids = {worker()}}'
  - name: nested
    type: dynamic_parallel
    items: [1, 2, 3]
    item_var: i
    subgraph: {nodes: [{name: inner, parallel_each: [1, 2], run: 'return {pid = worker()}'}]}
";
    let result = run(text, &RunSettings::new().workers(&workers(2, false)));
    let instances = &result.report.instances;
    let ids: HashSet<_> = instances
        .iter()
        .map(|it| (&it.worker, it.store_id))
        .collect();
    assert_eq!(ids.len(), instances.len());
    assert_eq!(instances.len(), 1 + 6 + 3 + 3 * 2);
    let pids = result.state["pids"].as_array().expect("a list");
    assert!(!pids.contains(&result.state["pid"]), "{pids:?}");
    // Branches of branches run where those do.
    for outer in result.state["parallel_results"].as_array().expect("a list") {
        let inner = outer["state"]["parallel_results"]
            .as_array()
            .expect("a list");
        let of_inner = |it: &Value| it["report"]["worker"].clone();
        assert_ne!(outer["report"]["worker"], Value::Null);
        let worker = |it: &Value| it["state"]["result"]["pid"].clone();
        assert_eq!(worker(&inner[0]), worker(&inner[1]));
        assert_eq!(of_inner(&inner[0]), of_inner(&inner[1]));
    }
}

#[test]
fn a_branch_that_ends_its_worker_fails_alone_after_the_third_time() {
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(100) | list }}'
    run: |
      if state.item % 10 == 7 then die() end
      return {n = state.item}
";
    let result = run(text, &RunSettings::new().workers(&workers(3, false)));
    let entries = result.state["parallel_results"].as_array().expect("a list");
    let (good, bad): (Vec<_>, Vec<_>) = entries.iter().partition(|it| it["success"] == json!(true));
    assert_eq!((good.len(), bad.len()), (90, 10));
    for entry in bad {
        assert_eq!(entry["error_type"], json!("WorkerLost"), "{entry}");
        assert_eq!(entry["index"].as_u64().map(|it| it % 10), Some(7));
        let error = entry["error"].as_str().expect("a text");
        assert!(error.contains("3 times in a row"), "{error}");
    }
    for entry in good {
        assert_eq!(entry["state"]["n"], entry["index"]);
    }
}

#[test]
fn what_only_the_run_grants_is_refused_before_anything_runs() {
    let text = "
nodes:
  - {name: each, parallel_each: [1, 2], run: 'return mine()'}
";
    let pool = functions::builder(16, false)
        .function("mine", |(): ()| Ok(1))
        .build()
        .expect("a pool");
    let settings = RunSettings::new().workers(&workers(2, false));
    let error = workflow(text).run(&pool, (), &settings);
    let error = error.expect_err("it is refused");
    assert_eq!(error.failure().error_type, "DeniedError");
    let message = error.to_string();
    assert!(message.contains("the workers lack"), "{message}");
    assert!(message.contains("the host function `mine`"), "{message}");
    assert!(error.report().instances.is_empty());
    // What isn't granted isn't needed.
    let settings = settings.grants(Grants::none().function("add"));
    let text = text.replace("mine()", "add(1, 2)");
    let outcome = workflow(&text).run(&pool, (), &settings);
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_program_that_is_no_worker_is_said_to_be_none() {
    let one = NonZeroUsize::MIN;
    let missing = std::env::temp_dir().join("there is no such program");
    let cases = [
        (
            Workers::processes(one, missing, [""; 0]),
            "no worker can be started",
        ),
        (
            // This program prints the names of its tests, and ends.
            Workers::processes(one, std::env::current_exe().unwrap(), ["--list"]),
            "ended, or isn't one",
        ),
    ];
    for (workers, why) in cases {
        let text = "nodes: [{name: each, parallel_each: [1], run: return 1}]";
        let settings = RunSettings::new().workers(&workers);
        let error = workflow(text).run(&pool(false), (), &settings);
        let message = error.expect_err("there is none").to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn the_first_failure_stops_branches_in_other_processes() {
    let text = "
settings: {parallel: {fail_fast: true}}
nodes:
  - name: each
    parallel_each: [1, 2, 3]
    run: |
      if state.item == 2 then error('no') end
      while true do end
";
    let settings = RunSettings::new().workers(&workers(3, false));
    let mut workers = HashSet::new();
    for _ in 0..4 {
        let result = run(text, &settings);
        let entries = result.state["parallel_results"].as_array().expect("a list");
        let types: Vec<_> = entries.iter().map(|it| it["error_type"].clone()).collect();
        assert_eq!(types, ["CancelledError", "LuaError", "CancelledError"]);
        let error = entries[0]["error"].as_str().expect("a text");
        assert!(error.contains("'each[1]' failed first"), "{error}");
        let instances = result.report.instances.into_iter();
        workers.extend(instances.filter_map(|it| it.worker));
    }
    // They stopped their branches, and weren't ended for not doing so, or others would have come in their place.
    // Not each has a branch each time: the failure may come before the last one begins.
    assert!((2..=3).contains(&workers.len()), "{workers:?}");
}

#[test]
fn a_run_that_is_cancelled_stops_branches_in_other_processes() {
    let text = "nodes: [{name: each, parallel_each: [1, 2], run: while true do end}]";
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let settings = RunSettings::new()
        .workers(&workers(2, false))
        .cancel_handle(&cancel)
        // Which also shows that events come from there while a branch runs.
        .on_event(move |event| {
            if matches!(event.kind, EventKind::BranchStart { .. }) {
                stop.cancel();
            }
        });
    let error = workflow(text).run(&pool(false), (), &settings);
    assert!(error.expect_err("it is stopped").is_cancelled());
}

#[test]
fn deadlines_and_totals_hold_in_other_processes() {
    let text = "
settings: {parallel: {timeout: 100ms}, limits: {host_calls: 3}}
nodes:
  - {name: late, parallel_each: [1], run: while true do end, output: late}
  - {name: calls, parallel_each: [1, 2], run: 'return {n = add(1, 1) + add(1, 1)}'}
";
    let one = RunSettings::new().workers(&workers(1, false));
    let here = RunSettings::new().max_workers(NonZeroUsize::MIN);
    let kinds = |result: RunResult| {
        let of = |key: &str| {
            let entries = result.state[key].as_array().expect("a list").iter();
            entries
                .map(|it| it["error_type"].clone())
                .collect::<Vec<_>>()
        };
        (of("late"), of("parallel_results"))
    };
    let away = kinds(run(text, &one));
    assert_eq!(away.0, ["TimeoutError"]);
    assert_eq!(away.1, [Value::Null, json!("HostCallError")]);
    assert_eq!(away, kinds(run(text, &here)));
}

#[test]
fn events_of_a_branch_come_in_order() {
    let text = "
nodes:
  - {name: each, type: dynamic_parallel, items: [1, 2, 3], steps: [{run: return 1}, {run: return 2}]}
";
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let settings = RunSettings::new()
        .workers(&workers(2, false))
        .on_event(move |event| heard.lock().unwrap().push(event.clone()));
    run(text, &settings);
    let events = events.lock().unwrap();
    for index in 0..3 {
        let name = format!("each[{index}]");
        let of_branch = events
            .iter()
            .filter(|it| it.branch.as_deref() == Some(&name));
        let kinds: Vec<_> = of_branch.map(|it| json!(it)["type"].clone()).collect();
        let step = ["node_start", "node_end"];
        let expected = [
            "branch_start",
            step[0],
            step[1],
            step[0],
            step[1],
            "branch_end",
        ];
        assert_eq!(kinds, expected, "{name}");
    }
}

#[test]
fn warnings_alone_are_told_to_who_listens_for_them() {
    let text = "
nodes:
  - {name: each, type: dynamic_parallel, items: [1, 2, 3], run: 'if state.item == 2 then error(1) end'}
";
    let here = RunSettings::new();
    let processes = RunSettings::new().workers(&workers(2, false));
    let queue = crate::queue::shared(false).map(|queue| RunSettings::new().workers(&queue));
    for settings in [Some(here), Some(processes), queue].into_iter().flatten() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let events = Arc::clone(&heard);
        let settings = settings.on_warning(move |event| {
            let event = (event.kind.is_warning(), event.branch.clone());
            events.lock().unwrap().push(event);
        });
        run(text, &settings);
        let branch = Some("each[1]".to_owned());
        assert_eq!(*heard.lock().unwrap(), [(true, branch)]);
    }
}

#[test]
fn what_a_prelude_or_a_fork_has_left_is_in_other_processes_too() {
    let text = "
prelude: |
  print('once')
  base = worker()
  function plus(n) return n + 1 end
nodes:
  - {name: set, run: more = 100}
  - name: each
    type: dynamic_parallel
    items: [1, 2, 3, 4]
    item_var: i
    subgraph:
      nodes:
        - {name: own, run: 'return {n = plus(state.i) + (more or 0), base = base, here = worker()}'}
        - {name: inner, parallel_each: [1, 2], run: 'return plus(state.item) + (more or 0)'}
";
    for (start, more) in [("fresh", 0), ("fork", 100)] {
        let text = format!("{text}\nsettings: {{parallel: {{start: {start}}}}}");
        let result = run(&text, &RunSettings::new().workers(&workers(2, false)));
        let entries = result.state["parallel_results"].as_array().expect("a list");
        for (index, entry) in entries.iter().enumerate() {
            let state = &entry["state"];
            assert_eq!(entry["success"], json!(true), "{entry}");
            assert_eq!(state["n"], json!(index + 2 + more), "{start}");
            assert_eq!(state["base"], json!(std::process::id()), "{start}");
            assert_ne!(state["here"], state["base"], "{start}");
            let inner = &state["parallel_results"];
            assert_eq!(inner[0]["state"]["result"], json!(2 + more), "{start}");
            assert_eq!(inner[1]["state"]["result"], json!(3 + more), "{start}");
        }
    }
}

#[test]
fn a_worker_that_is_kept_has_the_prelude_of_each_run() {
    let text = "
prelude: base = math.random(1 << 30)
nodes:
  - {name: mine, run: 'return {base = base}'}
  - {name: each, parallel_each: [1, 2], run: return base}
  - {name: again, parallel_each: [1, 2], run: return base}
";
    let settings = RunSettings::new().workers(&workers(1, false));
    let bases = [(); 2].map(|()| {
        let result = run(text, &settings);
        let base = result.state["base"].clone();
        for entry in result.state["parallel_results"].as_array().expect("a list") {
            assert_eq!(entry["state"]["result"], base);
        }
        base
    });
    // Or it would be no matter whose it is.
    assert_ne!(bases[0], bases[1]);
}
