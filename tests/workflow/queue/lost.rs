//! Branches that end their worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use moonfork::workflow::RunResult;
use serde_json::{Value, json};

use super::crew::{Crew, Kind};
use super::server::Server;
use super::{assert_all_succeeded, entries, run};

/// Ten of a hundred end the process that they run in.
const POISON: &str = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(100) | list }}'
    run: |
      if state.item % 10 == 7 then die() end
      return {n = state.item}
";

#[test]
fn those_alone_fail_that_end_their_worker() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().count(3).lease(1));
    let result = run(POISON, &crew.settings());
    let (good, bad): (Vec<&Value>, Vec<_>) = entries(&result)
        .iter()
        .partition(|it| it["success"] == json!(true));
    assert_eq!((good.len(), bad.len()), (90, 10));
    for entry in bad {
        assert_eq!(entry["error_type"], json!("WorkerLost"), "{entry}");
        assert_eq!(entry["index"].as_u64().map(|it| it % 10), Some(7));
    }
    for entry in good {
        assert_eq!(entry["state"]["n"], entry["index"]);
    }
    // Each was run by four of them, which were replaced; and workers are there.
    assert!(crew.started.load(Ordering::SeqCst) >= 3 + 40);
    let after = run(
        "nodes: [{name: each, parallel_each: [1, 2], run: return 1}]",
        &crew.settings(),
    );
    assert_all_succeeded(&after);
}

#[test]
fn each_branch_has_one_entry_while_workers_are_killed_and_the_server_is_restarted() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().lease(1));
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(1500) | list }}'
    run: 'local n = 0; for i = 1, 200000 do n = n + i end; return {n = state.item, worker = worker()}'
";
    let result = run_while_killing(&mut server, &crew, text);
    let entries = entries(&result);
    assert_eq!(entries.len(), 1500);
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry["index"], json!(index));
        assert_eq!(entry["state"]["n"], json!(index), "{entry}");
    }
    assert!(crew.started.load(Ordering::SeqCst) > 2, "none was killed");
}

#[test]
fn each_branch_is_folded_once_while_workers_are_killed_and_the_server_is_restarted() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().lease(1));
    // Chunks are of several of them.
    let text = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(6000) | list }}'
    collect: none
    reduce: {count: sum, all: append}
    run: 'local n = 0; for i = 1, 40000 do n = n + i end; return {count = 1, all = {state.item}}'
";
    let result = run_while_killing(&mut server, &crew, text);
    assert_eq!(result.state["count"], json!(6000));
    assert_eq!(result.state["all"], json!((0..6000).collect::<Vec<_>>()));
    assert_eq!(result.report.instances.len(), 6001);
    assert!(crew.started.load(Ordering::SeqCst) > 2, "none was killed");
}

fn run_while_killing(server: &mut Server, crew: &Crew, text: &str) -> RunResult {
    std::thread::scope(|scope| {
        let result = scope.spawn(|| run(text, &crew.settings()));
        let mut round = 0;
        while !result.is_finished() {
            std::thread::sleep(Duration::from_millis(200));
            // At least twice: whatever the run takes here.
            if round % 4 == 3 {
                server.restart();
            } else {
                crew.signal("-9", round % 2);
            }
            round += 1;
            if round > 16 {
                break;
            }
        }
        result.join().expect("no panic")
    })
}
