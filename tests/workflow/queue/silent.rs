//! A worker that falls silent and comes back.

use std::time::{Duration, Instant};

use moonfork::workflow::EventKind;
use serde_json::json;

use super::crew::{Crew, Kind};
use super::server::Server;
use super::{assert_all_succeeded, entries, run};

#[test]
fn what_one_says_that_was_stopped_for_longer_than_its_lease_changes_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().lease(1));
    let text = "
nodes:
  - name: each
    parallel_each: [1, 2]
    run: 'for i = 1, 30000000 do end; return worker()'
";
    // As soon as both have begun.
    let (began, has_begun) = std::sync::mpsc::channel();
    let settings = crew.settings().on_event(move |event| {
        if matches!(event.kind, EventKind::BranchStart { .. }) {
            let _ = began.send(());
        }
    });
    let result = std::thread::scope(|scope| {
        let result = scope.spawn(|| run(text, &settings));
        let _ = has_begun.recv();
        let _ = has_begun.recv();
        crew.signal("-STOP", 0);
        result.join().expect("no panic")
    });
    let stopped = crew.pids.lock().unwrap()[0];
    let all = entries(&result);
    assert_eq!(all.len(), 2);
    for entry in all {
        assert_eq!(entry["success"], json!(true), "{entry}");
        assert_ne!(entry["state"]["result"], json!(stopped), "{entry}");
    }
    // It goes on, and publishes what it has, after the run was closed and its results were purged.
    crew.signal("-CONT", 0);
    for _ in 0..3 {
        let again = run(text, &crew.settings());
        assert_eq!(entries(&again).len(), 2);
        assert_all_succeeded(&again);
    }
}

#[test]
fn a_branch_may_take_longer_than_the_lease() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().count(1).lease(1));
    // Inside of one call of C, from where nothing is heard of it.
    let text = "
settings: {parallel: {timeout: 3s}}
nodes:
  - {name: each, parallel_each: [1], run: \"return string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))\"}
";
    let began = Instant::now();
    let result = run(text, &crew.settings());
    assert_eq!(
        entries(&result)[0]["error_type"],
        json!("TimeoutError"),
        "{result:?}"
    );
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(crew.started.load(std::sync::atomic::Ordering::SeqCst), 1);
}
