//! In every mode, run, streamed and resumed, each branch has an instance of its own, nested
//! branches too, and the main path has one throughout.

use std::collections::HashSet;
use std::sync::Arc;

use moonfork::workflow::{EventKind, InstanceReport, RunSettings, Workflow};
use moonfork::{Role, StoreId};
use serde_json::Map;

use crate::common;

/// Two branches with two branches each, in a loop of two passes: twice 2 + 4 of them.
const NESTED: &str = "
settings: {parallel: {max_workers: 2}}
initial_state: {pass: 0}
nodes:
  - {name: again}
  - {name: a}
  - {name: b}
  - {name: a1}
  - {name: a2}
  - {name: a_join, run: return 1}
  - {name: b_join, run: return 1}
  - name: join
    run: return {pass = state.pass + 1}
    goto: [{if: state.pass < 2, to: again}, {to: __end__}]
edges:
  - {from: again, parallel: [a, b], fan_in: join}
  - {from: a, parallel: [a1, a2], fan_in: a_join}
  - {from: b, parallel: [a1, a2], fan_in: b_join}
";

const BRANCHES: usize = 2 * (2 + 4);

/// Checks that there are `main` main instances and all the branches, each another store.
#[track_caller]
fn assert_distinct(instances: &[InstanceReport], main: usize) {
    let ids: HashSet<StoreId> = instances.iter().map(|it| it.store_id).collect();
    assert_eq!(ids.len(), instances.len());
    let of = |role| instances.iter().filter(|it| it.role == role).count();
    assert_eq!((of(Role::Main), of(Role::Branch)), (main, BRANCHES));
    for instance in instances.iter().filter(|it| it.role == Role::Main) {
        assert!(
            instance
                .nodes
                .iter()
                .all(|node| ["again", "join"].contains(&&*node.node))
        );
    }
}

fn workflow() -> Arc<Workflow> {
    Arc::new(Workflow::parse(NESTED, "w.yaml").unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn run_to_the_end() {
    let outcome = workflow()
        .run(common::pool(), Map::new(), &RunSettings::new())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_distinct(&outcome.report.instances, 1);
}

#[test]
fn streamed() {
    let workflow = workflow();
    let mut run = workflow
        .stream(common::pool(), Map::new(), &RunSettings::new())
        .expect("a thread");
    let mut told = HashSet::new();
    for event in run.by_ref() {
        if let EventKind::BranchEnd { report, .. } = event.kind {
            let report = report.expect("it had an instance");
            assert!(told.insert(report.store_id), "one store for two branches");
        }
    }
    assert_eq!(told.len(), BRANCHES);
    let outcome = run.finish().unwrap_or_else(|error| panic!("{error}"));
    assert_distinct(&outcome.report.instances, 1);
}

#[test]
fn resumed() {
    let workflow = workflow();
    let options = RunSettings::new().interrupt_after(["again", "join"]);
    let mut instances = Vec::new();
    let mut mains = 1;
    let mut outcome = workflow
        .run(common::pool(), Map::new(), &options)
        .unwrap_or_else(|error| panic!("{error}"));
    loop {
        instances.extend(outcome.report.instances);
        let Some(interrupt) = outcome.interrupt else {
            break;
        };
        mains += 1;
        outcome = workflow
            .resume(common::pool(), interrupt.checkpoint, Map::new(), &options)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(mains, 5);
    assert_distinct(&instances, mains);
}

#[test]
fn with_one_worker_and_only_as_many_instances_as_branches_are_deep() {
    let workflow = workflow();
    for (workers, slots) in [(1, 2), (2, 2), (8, 2), (8, 3), (3, 16)] {
        let pool = common::builder()
            .max_branches(slots)
            .build()
            .expect("a pool");
        let workers = std::num::NonZeroUsize::new(workers).expect("at least one");
        let options = RunSettings::new().max_workers(workers);
        let outcome = workflow
            .run(&pool, Map::new(), &options)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_distinct(&outcome.report.instances, 1);
    }
}

#[test]
fn fewer_instances_than_branches_are_deep_are_refused_at_once() {
    let pool = common::builder().max_branches(1).build().expect("a pool");
    let error = workflow()
        .run(&pool, Map::new(), &RunSettings::new())
        .expect_err("one is not enough");
    assert_eq!(error.failure().error_type, "BusyError");
    assert!(error.to_string().contains("2 deep"), "{error}");
}
