//! Branches that are stopped.

use moonfork::Cancel;
use moonfork::workflow::EventKind;
use serde_json::{Value, json};

use super::crew::{Crew, Kind};
use super::server::Server;
use super::{assert_all_succeeded, entries, run, workflow};
use crate::workers::pool;

#[test]
fn the_first_failure_stops_branches_elsewhere() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default().count(3));
    // The one that fails waits for nobody: others may not have begun.
    let text = "
settings: {parallel: {fail_fast: true}}
nodes:
  - name: each
    parallel_each: [1, 2, 3]
    run: |
      if state.item == 2 then error('no') end
      string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))
";
    for _ in 0..4 {
        let result = run(text, &crew.settings());
        let types: Vec<&Value> = entries(&result)
            .iter()
            .map(|it| &it["error_type"])
            .collect();
        assert_eq!(
            types,
            [
                &json!("CancelledError"),
                &json!("LuaError"),
                &json!("CancelledError")
            ]
        );
        let error = entries(&result)[0]["error"].as_str().expect("a text");
        assert!(error.contains("'each[1]' failed first"), "{error}");
    }
    // They have stopped, or there would be nobody to run this.
    let text = "nodes: [{name: each, parallel_each: [1, 2, 3, 4], run: return 1}]";
    let result = run(text, &crew.settings());
    assert_all_succeeded(&result);
}

#[test]
fn a_run_that_is_cancelled_stops_branches_elsewhere() {
    let Some(server) = Server::start() else {
        return;
    };
    let crew = Crew::start(&server, &Kind::default());
    let text = "nodes: [{name: each, parallel_each: [1, 2, 3], run: while true do end}]";
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let settings = crew.settings().cancel_handle(&cancel);
    // Which also shows that events come from there while a branch runs.
    let settings = settings.on_event(move |event| {
        if matches!(event.kind, EventKind::BranchStart { .. }) {
            stop.cancel();
        }
    });
    let error = workflow(text).run(&pool(false), (), &settings);
    assert!(error.expect_err("it is stopped").is_cancelled());
}
