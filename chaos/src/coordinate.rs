//! A run in a process of its own, which can be killed and go on.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use moonfork::workflow::nats::Nats;
use moonfork::workflow::{Checkpoint, RunSettings, Workers, Workflow};
use serde_json::{Map, Value};

use crate::crew;

/// A branch takes a millisecond or two.
const TEXT: &str = "
name: chaos
nodes:
  - {name: first, run: 'return {begun = true}'}
  - name: each
    type: dynamic_parallel
    items: '{{ range(BRANCHES) | list }}'
    run: |
      ran(state.item)
      local n = 0
      for i = 1, 100000 do n = n + i % 7 end
      return {n = state.item}
  - {name: last, run: 'return {ended = true}'}
";

/// Runs to the end, and writes the final state.
pub(crate) fn run(url: &str, folder: &Path, branches: usize) -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let workflow = Workflow::parse(
        &TEXT.replace("BRANCHES", &branches.to_string()),
        "chaos.yaml",
    )?;
    let pool = crew::pool(folder)?;
    let workers = Workers::nats(Nats::new(url).lease(Duration::from_secs(1)));
    let checkpoints = folder.join("checkpoints");
    let settings = RunSettings::new()
        .workers(&workers)
        .checkpoint_dir(&checkpoints);
    let outcome = match Checkpoint::load(&checkpoints) {
        Ok(checkpoint) => workflow.resume(&pool, checkpoint, Map::new(), &settings)?,
        Err(_) => workflow.run(&pool, (), &settings)?,
    };
    check(&outcome.state, branches)?;
    std::fs::write(folder.join("done"), "done")?;
    Ok(())
}

/// Each index once, in order, and each with what it gave.
fn check(state: &Map<String, Value>, branches: usize) -> anyhow::Result<()> {
    let entries = state.get("parallel_results").and_then(Value::as_array);
    let entries = entries.map(Vec::as_slice).unwrap_or_default();
    if entries.len() != branches {
        bail!("there are {} entries of {branches} branches", entries.len());
    }
    for (index, entry) in entries.iter().enumerate() {
        if entry["index"] != index || entry["state"]["n"] != index {
            bail!("the entry of branch {index} is {entry}");
        }
    }
    Ok(())
}
