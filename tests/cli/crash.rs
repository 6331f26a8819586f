//! A run that is killed at any moment loses at most the node in progress, and gives the same in
//! the end as one that nobody disturbed.
//!
//! How often runs are killed can be said, as in
//! `MOONFORK_KILLS=100 cargo test --test cli crash -- --nocapture`.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Folder, moonfork, run};
use moonfork::workflow::Checkpoint;

/// Loops, conditions, a fan-out with branches of several nodes, and nothing but the state to
/// depend on. `work` is long enough for most kills to fall into it.
const WORKFLOW: &str = "
settings: {max_iterations: 100000, parallel: {max_workers: 2}}
initial_state: {n: 0, sum: 7, joined: 0}
nodes:
  - name: work
    run: |
      local sum = state.sum
      for i = 1, 20000 do sum = (sum * 31 + i + state.n) % 1000003 end
      return {n = state.n + 1, sum = sum}
    goto: [{if: state.n % 4 == 0, to: split}, {to: work}]
  - name: split
  - name: a1
    run: |
      local sum = state.sum
      for i = 1, 20000 do sum = (sum * 17 + i) % 1000003 end
      return {part = sum}
  - {name: a2, run: 'return {part = state.part + 1}'}
  - {name: b, run: 'return {part = state.sum % 1000}'}
  - name: join
    run: |
      local sum = state.sum
      for _, result in ipairs(state.parallel_results) do
        assert(result.success, result.error)
        sum = (sum + result.state.part) % 1000003
      end
      return {sum = sum, joined = state.joined + 1}
    goto: [{if: state.n < 24, to: work}, {to: __end__}]
edges:
  - {from: split, parallel: [a1, b], fan_in: join}
  - {from: a1, to: a2}
";

/// Nodes that a run of it has on the main path: 24 times `work`, 6 times `split` and `join`.
const NODES: usize = 24 + 6 + 6;

/// The state without what differs from run to run.
fn stable(mut state: Value) -> Value {
    for result in state["parallel_results"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        result["timing_ms"] = Value::Null;
        result["report"] = Value::Null;
    }
    state
}

/// A number below `most` that nobody can foresee.
fn random(most: u64) -> u64 {
    RandomState::new().hash_one(()) % most
}

/// How a run that was killed again and again went.
struct Disturbed {
    state: Value,
    kills: usize,
    /// Nodes of the main path that came to their end, those that were lost included.
    nodes: usize,
}

/// Runs the workflow, kills it after a random time of at most `span`, and resumes it, until it
/// comes to its end.
fn disturbed(file: &Path, folder: &Folder, round: usize, span: Duration) -> Disturbed {
    let checkpoints = folder.path(&format!("checkpoints-{round}"));
    let (mut kills, mut nodes) = (0, 0);
    loop {
        let events = folder.path("events");
        let out = File::create(&events).expect("a file for the events");
        let mut command = moonfork();
        // Killed before its first checkpoint, it has to begin anew.
        let is_begun = checkpoints.is_dir()
            && std::fs::read_dir(&checkpoints)
                .expect("the folder can be read")
                .any(|entry| {
                    entry
                        .unwrap()
                        .path()
                        .extension()
                        .is_some_and(|it| it == "checkpoint")
                });
        match is_begun {
            true => command.arg("resume").arg(&checkpoints).arg("-w").arg(file),
            false => command.arg("run").arg(file).arg("-c").arg(&checkpoints),
        };
        let started = Instant::now();
        let mut child = command
            .args(["--stream", "-q"])
            .stdout(Stdio::from(out))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let until = Duration::from_micros(random(span.as_micros() as u64));
        let status = loop {
            match child.try_wait().expect("it can be waited for") {
                Some(status) => break Some(status),
                None if started.elapsed() >= until => break None,
                None => std::thread::yield_now(),
            }
        };
        if status.is_none() {
            // SIGKILL: nothing in the process hears of it.
            child.kill().expect("it can be killed");
            kills += 1;
        }
        let output = child.wait_with_output().expect("it ends");
        let text = std::fs::read_to_string(&events).expect("events are text");
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let events: Vec<Value> = events.collect();
        let on_main = |event: &&Value| event["type"] == "node_end" && event["branch"].is_null();
        nodes += events.iter().filter(on_main).count();
        if let Some(finish) = events.iter().find(|event| event["type"] == "finish") {
            return Disturbed {
                state: stable(finish["state"].clone()),
                kills,
                nodes,
            };
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("the run is over") {
            // Killed when the last checkpoint was written, and before the result was told.
            let last = Checkpoint::load(&checkpoints).expect("it is there");
            return Disturbed {
                state: stable(Value::Object(last.state())),
                kills,
                nodes,
            };
        }
        assert!(status.is_none(), "it ended by itself: {said}");
    }
}

/// Kills runs until there were as many kills, and compares each with an undisturbed one.
fn kill(at_least: usize) {
    let folder = Folder::new();
    let file = folder.file("w.yaml", WORKFLOW);
    let started = Instant::now();
    let expected = stable(run(moonfork().arg("run").arg(&file)).json());
    // Long enough to get some way each time, wherever compiled code has to be loaded first.
    let span = started.elapsed().max(Duration::from_millis(50));
    let (mut kills, mut rounds, mut lost) = (0, 0, 0);
    while kills < at_least {
        let run = disturbed(&file, &folder, rounds, span);
        assert!(
            run.state == expected,
            "another state than undisturbed: {}",
            run.state
        );
        let extra = run.nodes.saturating_sub(NODES);
        assert!(
            extra <= run.kills,
            "{} kills, and {extra} nodes ran more than once",
            run.kills
        );
        kills += run.kills;
        lost += extra;
        rounds += 1;
    }
    println!("{kills} kills in {rounds} runs; nodes that had ended and ran again: {lost}");
}

#[test]
fn a_run_that_is_killed_and_resumed_gives_the_same() {
    let kills = std::env::var("MOONFORK_KILLS").ok();
    kill(kills.map_or(6, |kills| kills.parse().expect("a number of kills")));
}

#[test]
fn branches_that_ended_before_the_kill_are_not_run_again() {
    let folder = Folder::new();
    // The second branch never ends while the file `stop` isn't there to be read.
    let file = folder.file(
        "w.yaml",
        "
settings: {parallel: {max_workers: 1}}
nodes:
  - {name: a, uses: write_file, with: {path: d/ran, content: 'x', append: true}}
  - {name: b, run: 'if not pcall(fs.read, \"d/stop\") then while true do end end'}
  - {name: join, run: 'return {fine = state.parallel_results[1].success and state.parallel_results[2].success}'}
edges: [{from: __start__, parallel: [a, b], fan_in: join}]
",
    );
    let data = folder.path("data");
    std::fs::create_dir(&data).unwrap();
    let grant = format!("d={}:rw", data.display());
    let checkpoints = folder.path("c");
    let mut child = moonfork()
        .args(["run", "--stream", "--folder", &grant, "-c"])
        .arg(&checkpoints)
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    // The end of a branch is told once it is written down.
    let ended = std::io::BufRead::lines(out).any(|line| line.unwrap().contains("\"branch_end\""));
    assert!(ended);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    std::fs::write(data.join("stop"), "").unwrap();
    let resume = |command: &mut Command| run(command).json();
    let state = resume(
        moonfork()
            .args(["resume", "--folder", &grant, "-w"])
            .arg(&file)
            .arg(&checkpoints),
    );
    assert_eq!(state["fine"], true);
    assert_eq!(std::fs::read_to_string(data.join("ran")).unwrap(), "x");
}
