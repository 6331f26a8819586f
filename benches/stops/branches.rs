//! How long after a failure, or a deadline, the branches of a workflow have ended. No assertions but
//! that they were stopped: a slow machine is no bug.

use std::sync::{Arc, Mutex};

use moonfork::Pool;
use moonfork::workflow::{Event, EventKind, RunSettings, Workflow};
use serde_json::{Map, Value, json};

/// Prints the figures.
pub(crate) fn figures() {
    from_the_failure_to_the_last_branch_stopped();
    from_the_deadline_to_the_branch_stopped();
}

const ROUNDS: usize = 50;
const OTHERS: usize = 7;

/// Runs a workflow of `OTHERS` endless branches, and one more with this code.
fn run(first: &str, settings: Value) -> (Vec<Event>, Value) {
    let names: Vec<_> = (0..OTHERS).map(|index| format!("endless{index}")).collect();
    let mut nodes = vec![json!({"name": "first", "run": first})];
    nodes.extend(
        names
            .iter()
            .map(|name| json!({"name": name, "run": "arrive() while true do end"})),
    );
    nodes.push(json!({"name": "join"}));
    let mut branches = vec!["first".to_owned()];
    branches.extend(names);
    let edge = json!({"from": "__start__", "parallel": branches, "fan_in": "join"});
    let text = json!({"settings": {"parallel": settings}, "nodes": nodes, "edges": [edge]});
    let workflow = Workflow::parse(&text.to_string(), "w.yaml").expect("it is sound");
    let arrived = std::sync::atomic::AtomicUsize::new(0);
    let arrived = Arc::new(arrived);
    let seen = Arc::clone(&arrived);
    let pool = Pool::builder()
        .function("arrive", move |(): ()| {
            arrived.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        })
        .function("all_are_there", move |(): ()| {
            Ok(seen.load(std::sync::atomic::Ordering::SeqCst) == OTHERS)
        })
        .grants(moonfork::Grants::none().all_functions())
        .build()
        .expect("a pool");
    let events = Arc::new(Mutex::new(Vec::new()));
    let options = RunSettings::new().on_event({
        let events = Arc::clone(&events);
        move |event| events.lock().unwrap().push(event.clone())
    });
    let mut outcome = workflow
        .run(&pool, Map::new(), &options)
        .unwrap_or_else(|error| panic!("{error}"));
    let results = outcome.state["parallel_results"].take();
    let events = std::mem::take(&mut *events.lock().unwrap());
    (events, results)
}

fn ends(events: &[Event]) -> Vec<(&str, f64)> {
    let ends = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::BranchEnd { .. }));
    ends.map(|event| (event.branch.as_deref().unwrap_or("?"), event.at_ms))
        .collect()
}

fn print(what: &str, mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    let (middle, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "{what}: median {middle:.1} ms, worst {worst:.1} ms of {}",
        took.len()
    );
}

fn from_the_failure_to_the_last_branch_stopped() {
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let settings = json!({"max_workers": OTHERS + 1, "fail_fast": true});
        let (events, results) = run("while not all_are_there() do end error('now')", settings);
        for result in &results.as_array().unwrap()[1..] {
            assert_eq!(result["error_type"], "CancelledError");
        }
        let ends = ends(&events);
        let failed = ends.iter().find(|(name, _)| *name == "first").unwrap().1;
        let last = ends.iter().map(|(_, at)| *at).fold(0.0, f64::max);
        took.push(last - failed);
    }
    print(
        "fail_fast, from the failure to the last of 7 branches stopped",
        took,
    );
}

fn from_the_deadline_to_the_branch_stopped() {
    let mut took = Vec::new();
    for _ in 0..ROUNDS / 5 {
        let settings = json!({"max_workers": OTHERS + 1, "timeout": 0.2});
        let (_, results) = run("return 1", settings);
        for result in &results.as_array().unwrap()[1..] {
            assert_eq!(result["timeout"], true);
            took.push(result["timing_ms"].as_f64().unwrap() - 200.0);
        }
    }
    print(
        "branch timeout of 200 ms, how much later 7 branches ended",
        took,
    );
}
