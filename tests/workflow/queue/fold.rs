//! What branches gave, folded where they ran: the same as in one process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use moonfork::workflow::{EventKind, RunError, RunResult, RunSettings};
use rstest::rstest;
use serde_json::{Value, json};

use super::crew::{Crew, Kind};
use super::server::Server;
use super::{entries, run, shared, workflow};
use crate::workers::{pool, workers};

/// The settings of a run in each of the places where branches may run; none where there is no server.
fn places() -> Option<[RunSettings; 3]> {
    let queue = shared(false)?;
    Some([
        RunSettings::new(),
        RunSettings::new().workers(&workers(2, false)),
        RunSettings::new().workers(&queue),
    ])
}

fn try_run(text: &str, settings: &RunSettings) -> Result<RunResult, RunError> {
    workflow(text).run(&pool(false), (), settings)
}

/// The final state as text, with what differs from run to run left out.
#[track_caller]
fn state(text: &str, settings: &RunSettings) -> String {
    let mut result = try_run(text, settings).unwrap_or_else(|error| panic!("{error}"));
    for entry in result.state["parallel_results"]
        .as_array_mut()
        .expect("a list")
    {
        entry["timing_ms"] = Value::Null;
        entry["report"] = Value::Null;
    }
    Value::Object(result.state).to_string()
}

/// Values whose sum hangs on the order if it is rounded more than once, and some branches that fail.
const ALL_REDUCERS: &str = "
initial_state: {total: 0.1, log: [0], low: 1.0e+300, high: b, count: 1, big: [[1, 2], [3, 4]]}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(300) | list }}'
    collect: COLLECT
    reduce: {total: sum, log: append, low: min, high: max, count: sum, seen: union, at: last, none: last, kept: last}
    run: |
      if state.item % 10 == 3 then error({code = state.item}) end
      local size = 10.0 ^ (state.item % 40 - 20)
      return {
        total = state.total + state.item / 7 * size, log = {0, state.item}, low = state.item / 3,
        high = string.char(97 + state.item % 26), count = state.count + 1, seen = {state.item % 6, {x = state.item % 2}},
        at = {n = state.item, f = 1.0}, kept = {state.big, state.big}, unseen = state.item,
      }
";

#[rstest]
#[case::no_entries("none", 0)]
#[case::those_that_failed("errors", 30)]
#[case::all_of_them("all", 300)]
fn the_same_bytes_wherever_branches_run(#[case] collect: &str, #[case] count: usize) {
    let Some([here, processes, queue]) = places() else {
        return;
    };
    let text = ALL_REDUCERS.replace("COLLECT", collect);
    let expected = state(&text, &here);
    let parsed: Value = serde_json::from_str(&expected).expect("it is JSON");
    assert_eq!(
        parsed["parallel_results"].as_array().map(Vec::len),
        Some(count)
    );
    assert_eq!(parsed["count"], json!(271));
    assert_eq!(state(&text, &processes), expected, "in processes");
    assert_eq!(state(&text, &queue), expected, "by way of a server");
}

#[rstest]
#[case::of_a_kind_that_it_does_not_take("sum", "state.item == 150 and 'x' or 1")]
#[case::of_two_kinds("min", "state.item < 150 and 1 or 'x'")]
#[case::beyond_numbers("sum", "math.maxinteger")]
#[case::no_list("append", "state.item % 100 == 70 and {a = 1} or {1}")]
fn what_a_reducer_does_not_take_is_said_in_the_same_words(
    #[case] reducer: &str,
    #[case] value: &str,
) {
    let Some(places) = places() else { return };
    let text = format!(
        "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{{{ range(300) | list }}}}'
    collect: none
    reduce: {{n: {reducer}}}
    run: \"return {{n = {value}}}\"
"
    );
    let errors = places.map(|settings| {
        let error = try_run(&text, &settings).expect_err("it is refused");
        assert_eq!(error.failure().error_type, "ConflictError");
        error.to_string()
    });
    assert_eq!(errors[0], errors[1], "in processes");
    assert_eq!(errors[0], errors[2], "by way of a server");
}

#[test]
fn reports_and_events_are_those_of_each_branch() {
    let Some([_, processes, queue]) = places() else {
        return;
    };
    for settings in [processes, queue] {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&ended);
        let settings = settings.on_event(move |event| {
            if let EventKind::BranchEnd {
                index,
                success,
                report,
                ..
            } = &event.kind
            {
                let worker = report.as_ref().and_then(|it| it.worker.clone());
                assert!(*success && worker.is_some());
                heard.lock().expect("no panic").push(*index);
            }
        });
        let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(200) | list }}'
    collect: none
    reduce: {n: sum}
    run: 'return {n = add(1, 0)}'
";
        let result = try_run(text, &settings).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(result.state["n"], json!(200));
        let instances = &result.report.instances;
        let ids: HashSet<_> = instances
            .iter()
            .map(|it| (&it.worker, it.store_id))
            .collect();
        assert_eq!((ids.len(), instances.len()), (201, 201));
        for (index, report) in instances[1..].iter().enumerate() {
            assert_eq!(report.branch.as_deref(), Some(&*format!("each[{index}]")));
            assert_eq!(report.host_calls.get("add"), Some(&1));
        }
        let mut ended = ended.lock().expect("no panic").clone();
        ended.sort_unstable();
        assert_eq!(ended, (0..200).collect::<Vec<_>>());
    }
}

#[rstest]
#[case::enough(50, Value::Null)]
#[case::one_more(51, json!("HostCallError"))]
fn what_folded_branches_took_of_the_totals_is_taken_off(
    #[case] calls: usize,
    #[case] error: Value,
) {
    let Some(places) = places() else { return };
    let text = format!(
        "
settings: {{limits: {{host_calls: 250}}}}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{{{ range(200) | list }}}}'
    collect: none
    reduce: {{n: sum}}
    run: 'return {{n = add(1, 0)}}'
  - name: rest
    parallel_each: [1]
    run: for i = 1, {calls} do add(1, i) end
"
    );
    for settings in places {
        let result = try_run(&text, &settings).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(entries(&result)[0]["error_type"], error);
    }
}

#[test]
fn what_nobody_sees_of_them_does_not_pass() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().count(1));
    // Of which no byte is like another one.
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(20) | list }}'
    collect: COLLECT
    reduce: {n: sum}
    run: |
      local bytes = {}
      for i = 1, 50000 do bytes[i] = string.char(math.random(32, 126)) end
      local state = {n = 1, unseen = table.concat(bytes)}
      return state
";
    let passed = |collect: &str| {
        let before = server.traffic().bytes;
        let result = run(&text.replace("COLLECT", collect), &crew.settings());
        assert_eq!(result.state["n"], json!(20));
        server.traffic().bytes - before
    };
    let (all, errors, none) = (passed("all"), passed("errors"), passed("none"));
    assert!(all > 20 * 50_000, "{all}");
    assert!(errors < 500_000 && none < 500_000, "{errors}, {none}");
}

#[test]
fn in_a_race_no_more_count_than_it_takes() {
    let Some(places) = places() else { return };
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(300) | list }}'
    until: 40
    collect: COLLECT
    reduce: {n: sum}
    run: 'return {n = 1, item = state.item}'
";
    for settings in places {
        for collect in ["none", "errors"] {
            let text = text.replace("COLLECT", collect);
            let result = try_run(&text, &settings).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(result.state["n"], json!(40), "{collect}");
            for entry in entries(&result) {
                assert_eq!(entry["error_type"], json!("CancelledError"), "{entry}");
                let last = &entry["last_state"];
                // That of one which came too late is all of it.
                assert!(last.is_null() || last["item"] == entry["index"], "{entry}");
            }
        }
    }
}

#[test]
fn the_first_failure_ends_what_its_chunk_has_not_begun_with() {
    let Some(queue) = shared(false) else { return };
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(5000) | list }}'
    fail_fast: true
    collect: errors
    reduce: {n: sum}
    run: |
      if state.item == 3000 then error('no') end
      return {n = 1}
";
    let result = try_run(text, &RunSettings::new().workers(&queue));
    let result = result.unwrap_or_else(|error| panic!("{error}"));
    let failed = entries(&result);
    let n = result.state["n"].as_u64().expect("a number");
    assert_eq!(n + failed.len() as u64, 5000);
    assert!(n < 4999, "none was stopped");
    for entry in failed {
        let error = entry["error"].as_str().expect("a text");
        let is_first = entry["index"] == json!(3000);
        assert!(
            is_first || error.contains("'each[3000]' failed first"),
            "{error}"
        );
    }
}
