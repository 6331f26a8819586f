//! Branches really run in parallel, no more of them than there are workers, and their results
//! keep the written order. Nothing here is proven by a stopwatch.

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use moonfork::workflow::{RunSettings, Workflow};
use moonfork::{HostError, PoolBuilder};
use serde_json::{Map, Value, json};

use crate::common;

/// Long enough for anything that happens at all, so that a failing test ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// A workflow of parallel branches, one for each piece of code, that meet in `join`.
fn fan_out(codes: &[&str], settings: Value) -> Workflow {
    let names: Vec<_> = (0..codes.len()).map(|index| format!("b{index}")).collect();
    let nodes = names.iter().zip(codes);
    let mut nodes: Vec<_> = nodes
        .map(|(name, code)| json!({"name": name, "run": code}))
        .collect();
    nodes.push(json!({"name": "join"}));
    let edge = json!({"from": "__start__", "parallel": names, "fan_in": "join"});
    let workflow = json!({"settings": settings, "nodes": nodes, "edges": [edge]});
    Workflow::parse(&workflow.to_string(), "w.yaml").unwrap_or_else(|error| panic!("{error}"))
}

/// The setting of a file.
fn max_workers(workers: usize) -> Value {
    json!({"parallel": {"max_workers": workers}})
}

/// Runs a workflow and returns `parallel_results`, having checked that all branches succeeded.
#[track_caller]
fn results(workflow: &Workflow, pool: PoolBuilder, options: &RunSettings) -> Vec<Value> {
    let pool = pool.build().expect("a pool");
    let outcome = workflow
        .run(&pool, Map::new(), options)
        .unwrap_or_else(|error| panic!("{error}"));
    let results = outcome.state["parallel_results"].as_array().unwrap();
    for result in results {
        assert_eq!(result["success"], json!(true), "{result}");
    }
    results.clone()
}

/// Where threads wait for each other, like a barrier that gives up.
#[derive(Default)]
struct Meeting {
    present: Mutex<usize>,
    arrived: Condvar,
}

impl Meeting {
    /// Waits until the group that the caller came with is complete.
    fn in_groups_of(&self, size: usize) -> Result<(), HostError> {
        let mut present = self.present.lock().unwrap();
        *present += 1;
        let complete = present.div_ceil(size) * size;
        self.arrived.notify_all();
        let waited = self
            .arrived
            .wait_timeout_while(present, PATIENCE, |present| *present < complete)
            .unwrap();
        match waited.1.timed_out() {
            true => Err("nobody else came".into()),
            false => Ok(()),
        }
    }
}

#[test]
fn as_many_branches_as_workers_overlap_in_time() {
    for workers in [2, 8] {
        let meeting = Meeting::default();
        let meet = move |(): ()| meeting.in_groups_of(workers);
        let pool = common::builder()
            .grants(moonfork::Grants::none().all_functions())
            .function("meet", meet);
        let workflow = fan_out(&vec!["meet()"; workers], max_workers(workers));
        let results = results(&workflow, pool, &RunSettings::default());
        assert_eq!(results.len(), workers);
    }
}

/// Counts the threads that are somewhere at once.
#[derive(Default)]
struct Room {
    inside: usize,
    most: usize,
}

/// Runs six branches and returns how many of them were running at once, at most. Each waits
/// until as many have come as are expected at once: none may go on before that.
fn most_at_once(expected: usize, settings: Value, options: &RunSettings) -> usize {
    let room = Arc::new(Mutex::new(Room::default()));
    let (entered, left) = (room.clone(), room.clone());
    let meeting = Meeting::default();
    let come = move |(): ()| {
        let mut room = entered.lock().unwrap();
        room.inside += 1;
        room.most = room.most.max(room.inside);
        drop(room);
        meeting.in_groups_of(expected)
    };
    let go = move |(): ()| {
        left.lock().unwrap().inside -= 1;
        Ok(())
    };
    let pool = common::builder()
        .grants(moonfork::Grants::none().all_functions())
        .function("come", come)
        .function("go", go);
    results(&fan_out(&["come() go()"; 6], settings), pool, options);
    room.lock().unwrap().most
}

#[test]
fn no_more_branches_run_at_once_than_the_file_allows() {
    for workers in [1, 2, 3] {
        let most = most_at_once(workers, max_workers(workers), &RunSettings::default());
        assert_eq!(most, workers);
    }
}

#[test]
fn the_caller_has_the_last_word_on_the_number_of_workers() {
    let two = NonZeroUsize::new(2).expect("it isn't zero");
    let options = RunSettings::new().max_workers(two);
    for in_file in [1, 6] {
        assert_eq!(most_at_once(2, max_workers(in_file), &options), 2);
    }
}

#[test]
fn results_keep_the_written_order_though_a_later_branch_ends_first() {
    // Two workers, three branches: the first one waits for the third, which can't begin
    // before the second has come to its end.
    let (third, first) = mpsc::channel();
    let first = Mutex::new(first);
    let wait = move |(): ()| {
        let first = first.lock().unwrap();
        first.recv_timeout(PATIENCE).map_err(HostError::from)
    };
    let signal = move |(): ()| third.send(()).map_err(HostError::from);
    let pool = common::builder()
        .grants(moonfork::Grants::none().all_functions())
        .function("wait", wait)
        .function("signal", signal);
    let workflow = fan_out(&["wait()", "return 1", "signal()"], max_workers(2));
    let branches: Vec<_> = results(&workflow, pool, &RunSettings::default())
        .into_iter()
        .map(|result| result["branch"].clone())
        .collect();
    assert_eq!(branches, ["b0", "b1", "b2"]);
}

#[test]
fn a_run_can_be_started_from_any_thread_and_several_at_once() {
    let pool = common::builder().build().expect("a pool");
    let workflow = fan_out(&["return {n = 1}", "return {n = 2}"], json!({}));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let outcome = workflow
                    .run(&pool, Map::new(), &RunSettings::default())
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(outcome.state["parallel_results"][1]["state"]["n"], json!(2));
            });
        }
    });
}
