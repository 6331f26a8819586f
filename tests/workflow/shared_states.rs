//! What branches left as it was is there once, also in checkpoints, and a result isn't larger than it can be.

use std::sync::{Arc, Mutex};

use moonfork::workflow::{Checkpoint, EventKind, RunSettings, Workflow};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::common;

const WORKFLOW: &str = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(state.count) | list }}'
    run: 'return {n = state.item * 2}'
  - {name: join, run: 'return {kept = state.parallel_results, parallel_results = null}'}
  - name: count
    run: |
      local bytes = 0
      for _, entry in ipairs(state.kept) do bytes = bytes + #entry.state.text + entry.state.n end
      return {bytes = bytes, kept = null}
";

fn input(count: usize, text: usize) -> Map<String, Value> {
    Map::from_iter([
        ("count".to_owned(), json!(count)),
        ("text".to_owned(), "x".repeat(text).into()),
    ])
}

#[test]
fn checkpoints_hold_what_is_shared_once() {
    let workflow = Workflow::parse(WORKFLOW, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let folder = TempDir::new().unwrap();
    let options = RunSettings::new()
        .checkpoint_dir(folder.path())
        .interrupt_after(["each", "join"]);
    let outcome = workflow.run(common::pool(), input(50, 100_000), &options);
    let mut interrupt = outcome.unwrap().interrupt.expect("it stops after `each`");
    let size = |checkpoint: &Checkpoint| {
        let text = std::fs::read_to_string(checkpoint.path().unwrap()).unwrap();
        let times = text.matches(&"x".repeat(100_000)).count();
        assert!(
            times == 1 && text.len() < 200_000,
            "{times} times, {} bytes",
            text.len()
        );
    };
    size(&interrupt.checkpoint);
    // What was read from the file is shared as what was written to it.
    let read = Checkpoint::load(interrupt.checkpoint.path().unwrap()).unwrap();
    assert_eq!(read.state(), interrupt.checkpoint.state());
    let outcome = workflow.resume(common::pool(), read, Map::new(), &RunSettings::new());
    interrupt = outcome.unwrap().interrupt.expect("it stops after `join`");
    size(&interrupt.checkpoint);
    let read = Checkpoint::load(interrupt.checkpoint.path().unwrap()).unwrap();
    let outcome = workflow.resume(common::pool(), read, Map::new(), &RunSettings::new());
    let state = outcome.unwrap().state;
    assert_eq!(state["bytes"], json!(50 * 100_000 + 50 * 49));
}

#[test]
fn a_result_that_would_be_too_large_is_without_what_entries_share() {
    let text = WORKFLOW.split("  - {name: join").next().unwrap();
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    for (count, is_short) in [(60, false), (70, true)] {
        let seen = Arc::new(Mutex::new(0));
        let options = RunSettings::new().on_event({
            let seen = Arc::clone(&seen);
            move |event| {
                if let EventKind::Shortened { bytes } = event.kind {
                    *seen.lock().unwrap() = bytes;
                }
            }
        });
        let outcome = workflow.run(common::pool(), input(count, 1_000_000), &options);
        let state = outcome.unwrap_or_else(|error| panic!("{error}")).state;
        assert_eq!(state["text"].as_str().unwrap().len(), 1_000_000);
        let entries = state["parallel_results"].as_array().unwrap();
        assert_eq!(entries.len(), count);
        assert_eq!(entries[1]["state"]["n"], json!(2));
        assert_eq!(entries[1]["state"].get("text").is_none(), is_short);
        assert_eq!(*seen.lock().unwrap() > 64_000_000, is_short);
    }
}
