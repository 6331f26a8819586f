//! A run is stopped from outside, wherever it is.

use std::sync::Arc;
use std::time::Duration;

use moonfork::Cancel;
use moonfork::workflow::{EventKind, RunError, RunOutcome, RunSettings, Workflow};
use rstest::rstest;
use serde_json::Map;

use crate::common;

/// Runs a workflow and cancels it when the event comes that `when` waits for.
fn cancelled(text: &str, when: fn(&EventKind) -> bool) -> RunError {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let cancel = Cancel::new();
    let options = RunSettings::new().cancel_handle(&cancel).on_event({
        let cancel = cancel.clone();
        move |event| {
            if when(&event.kind) {
                cancel.cancel();
            }
        }
    });
    workflow
        .run(common::pool(), Map::new(), &options)
        .expect_err("it is cancelled")
}

fn at_node(kind: &EventKind) -> bool {
    matches!(kind, EventKind::NodeStart { .. })
}

fn at_retry(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Retry { .. })
}

#[rstest]
#[case::in_lua("nodes: [{name: a, run: while true do end}]", at_node)]
#[case::in_a_branch(
    "nodes: [{name: a, run: while true do end}, {name: j}]\nedges: [{from: __start__, parallel: [a], fan_in: j}]",
    at_node
)]
#[case::while_it_waits(
    "nodes: [{name: a, run: error('x'), retry: {base_delay_ms: 3600000, max_delay_ms: 3600000}}]",
    at_retry
)]
#[case::between_nodes(
    "settings: {max_iterations: 4000000000}\nnodes: [{name: a, goto: a}]",
    at_node
)]
fn it_ends_as_cancelled(#[case] text: &str, #[case] when: fn(&EventKind) -> bool) {
    let error = cancelled(text, when);
    assert!(error.is_cancelled(), "{error}");
    assert_eq!(error.report().outcome, RunOutcome::Cancelled);
}

#[test]
fn no_retry_and_no_fallback_follows() {
    let error = cancelled(
        "nodes: [{name: a, run: while true do end, retry: {base_delay_ms: 0}, fallback: b}, {name: b}]",
        at_node,
    );
    let nodes: Vec<_> = error.report().instances[0].nodes.iter().collect();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
}

#[test]
fn a_stream_that_is_dropped_stops_its_run() {
    let text = "nodes: [{name: a, run: while true do end}]";
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let pool = common::builder()
        .wall(Duration::from_secs(3600))
        .build()
        .expect("a pool");
    let mut run = Arc::new(workflow)
        .stream(&pool, Map::new(), &RunSettings::new())
        .expect("a thread");
    assert!(run.any(|event| at_node(&event.kind)));
    drop(run);
    assert_eq!(pool.live_count(), 0);
}

#[test]
fn a_stream_can_be_cancelled_and_tells_of_it() {
    let text = "nodes: [{name: a, run: while true do end}]";
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let mut run = Arc::new(workflow)
        .stream(common::pool(), Map::new(), &RunSettings::new())
        .expect("a thread");
    assert!(run.any(|event| at_node(&event.kind)));
    run.cancel();
    assert!(run.any(|event| matches!(event.kind, EventKind::Error { .. })));
    assert!(run.finish().expect_err("it was cancelled").is_cancelled());
}
