//! The memory of a run is that of the branches that run at once, not of all there are.
//!
//! One test in a process of its own, since it looks at the memory of the process.

#![cfg(target_os = "linux")]

mod common;

use std::sync::{Arc, Mutex};

use moonfork::workflow::{EventKind, RunSettings, Workflow};
use serde_json::Map;

/// Every branch fills two megabytes and returns a number.
const WORKFLOW: &str = "
settings: {parallel: {max_workers: 2}}
nodes:
  - name: many
    type: dynamic_parallel
    items: '{{ range(1000) | list }}'
    run: |
      local block, filled = string.rep('x', 4096), {}
      for i = 1, 32 do filled[i] = string.rep(block, 16) .. i end
      return {n = #filled}
  - {name: join, run: 'return {got = #state.parallel_results, parallel_results = null}'}
";

/// What all branches together would take, if each kept its part, is 2 GB. The entries of a
/// thousand branches, with their reports, take some megabytes.
const ALLOWED: usize = 48 << 20;

/// Bytes of the process that are in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the system says");
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_thousand_branches_take_the_memory_of_two() {
    let workflow = Workflow::parse(WORKFLOW, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let pool = common::builder().max_branches(2).build().expect("a pool");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let options = RunSettings::new().on_event({
        let seen = Arc::clone(&seen);
        move |event| {
            if let EventKind::BranchEnd { .. } = event.kind {
                seen.lock().unwrap().push(resident());
            }
        }
    });
    let outcome = workflow
        .run(&pool, Map::new(), &options)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outcome.state["got"], 1000);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1000);
    let most = |part: &[usize]| part.iter().copied().max().unwrap();
    let (early, late) = (most(&seen[..50]), most(&seen[500..]));
    println!(
        "in memory at most: {} MiB in the first 50 branches, {} MiB in the last 500",
        early >> 20,
        late >> 20
    );
    assert!(
        late < early + ALLOWED,
        "{early} bytes in the beginning, {late} in the end"
    );
}
