//! What many branches over a large state take: peak memory of the process, and time.
//!
//! `cargo bench --bench branches` prints a table. Each row is a process of its own, since what is looked at is
//! the most that a process had in memory. `-- BRANCHES BYTES` runs one, and `-- BRANCHES BYTES reduce` one whose
//! branches are folded as they end, and whose fan-in sees none of them.

use std::env;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use moonfork::workflow::{RunSettings, Workflow};
use moonfork::{Limits, Pool};
use serde_json::{Map, Value, json};

const BRANCHES: [usize; 3] = [100, 1_000, 10_000];
const STATES: [(&str, usize); 3] = [("1 KB", 1_000), ("100 KB", 100_000), ("1 MB", 1_000_000)];

/// Branches that look at a list of rows and return a number; a fan-in that looks at what all gave, and at
/// what they left as it was, and keeps the entries as they are; and a node that finds them as they were.
const WORKFLOW: &str = "
settings: {parallel: {max_workers: 2}}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(state.count) | list }}'
    run: 'return {n = state.item + #state.rows}'
  - name: join
    run: |
      local all = 0
      for _, entry in ipairs(state.parallel_results) do
        assert(entry.success, entry.error)
        all = all + entry.state.n + #entry.state.rows
      end
      return {all = all, kept = state.parallel_results, parallel_results = null}
  - name: look
    run: |
      local again = 0
      for _, entry in ipairs(state.kept) do
        again = again + entry.state.n + #entry.state.rows
      end
      return {again = again, kept = null, rows = null}
";

/// The same numbers, folded.
const REDUCED: &str = "
settings: {parallel: {max_workers: 2}}
initial_state: {all: 0}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(state.count) | list }}'
    reduce: {all: sum}
    collect: none
    run: 'return {all = state.all + state.item + 2 * #state.rows}'
  - {name: look, run: 'return {again = state.all, rows = null}'}
";

/// What the fan-in is given.
#[derive(Clone, Copy)]
enum FanIn {
    Entries,
    Reduced,
}

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let (fan_in, args) = match args.split_last() {
        Some((last, numbers)) if last == "reduce" => (FanIn::Reduced, numbers),
        _ => (FanIn::Entries, &args[..]),
    };
    let numbers: Vec<usize> = args
        .iter()
        .map(|arg| arg.parse().with_context(|| format!("`{arg}` is no number")))
        .collect::<Result<_>>()?;
    match numbers[..] {
        [] => table(),
        [branches, bytes] => one(branches, bytes, fan_in),
        _ => {
            bail!("either nothing, or how many branches and how many bytes of state, and `reduce`")
        }
    }
}

/// Runs all, each in a process of its own.
fn table() -> Result<()> {
    println!(
        "| fan-in | branches | state | peak memory | before the run | main instance | time | a branch |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (fan_in, word) in [("entries", None), ("`reduce`", Some("reduce"))] {
        for branches in BRANCHES {
            for (name, bytes) in STATES {
                let output = Command::new(env::current_exe()?)
                    .args([branches.to_string(), bytes.to_string()])
                    .args(word)
                    .output()?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                match output.status.success() {
                    true => print!("| {fan_in} | {branches} | {name} {text}"),
                    false => {
                        let error = String::from_utf8_lossy(&output.stderr).into_owned();
                        println!(
                            "| {fan_in} | {branches} | {name} | failed: {} |",
                            error.trim()
                        );
                    }
                }
            }
        }
    }
    Ok(())
}

fn one(branches: usize, bytes: usize, fan_in: FanIn) -> Result<()> {
    let text = match fan_in {
        FanIn::Entries => WORKFLOW,
        FanIn::Reduced => REDUCED,
    };
    let workflow = Workflow::parse(text, "w.yaml")?;
    let pool = Pool::builder()
        .max_branches(2)
        .limits(Limits::default())
        .build()?;
    let rows = rows(bytes);
    let count = rows.len();
    let input = Map::from_iter([
        ("count".to_owned(), branches.into()),
        ("rows".to_owned(), Value::Array(rows)),
    ]);
    let before = peak()?;
    let started = Instant::now();
    let outcome = workflow.run(&pool, input, &RunSettings::new());
    let outcome = outcome.map_err(|error| anyhow::anyhow!("{error}"))?;
    let time = started.elapsed();
    let (state, instances) = (outcome.state, outcome.report.instances);
    let main = instances.iter().find(|it| it.branch.is_none());
    let main = main.map_or(0, |it| it.peak_memory);
    let expected = branches * (branches - 1) / 2 + 2 * branches * count;
    ensure!(
        state["all"] == json!(expected) && state["again"] == json!(expected),
        "{} and {} instead of {expected}",
        state["all"],
        state["again"]
    );
    println!(
        "| {:.0} MB | {:.0} MB | {:.0} MB | {:.2} s | {:.2} ms |",
        peak()? as f64 / 1e6,
        before as f64 / 1e6,
        main as f64 / 1e6,
        time.as_secs_f64(),
        time.as_secs_f64() * 1e3 / branches as f64
    );
    Ok(())
}

/// Rows that are about so many bytes of JSON.
fn rows(bytes: usize) -> Vec<Value> {
    let row = |id: usize| json!({"id": id, "name": format!("name {id}"), "amount": id as f64 / 8.0, "tags": ["a", "b"]});
    let mut rows = Vec::new();
    let mut size = 0;
    while size < bytes {
        let row = row(rows.len());
        size += row.to_string().len() + 1;
        rows.push(row);
    }
    rows
}

/// The most that the process had in memory, in bytes.
fn peak() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")
        .context("the peak of memory is read from /proc, which is Linux's")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.context("VmHWM")?.trim().parse()?;
    Ok(kib * 1024)
}
