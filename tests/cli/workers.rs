//! `run --workers`: branches in processes of this program, which end with it however it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use serde_json::json;

use crate::command::{Folder, moonfork, run};

const SUM: &str = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(20) | list }}'
    reduce: {sum: sum, lines: append}
    collect: none
    run: |
      print('branch ' .. state.item)
      return {sum = state.item, lines = {fs.read('data/in.txt')}}
outputs: [sum, lines]
";

#[test]
fn grants_and_output_are_those_of_the_run() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", SUM);
    folder.file("in.txt", "x");
    let report = folder.path("report.json");
    let data = format!("data={}", folder.path("").display());
    let mut command = moonfork();
    command
        .arg("run")
        .arg(&file)
        .args(["--workers", "local:2", "--folder", &data, "--report"])
        .arg(&report);
    let ran = run(&mut command);
    assert_eq!(ran.json()["sum"], json!(190));
    assert_eq!(ran.json()["lines"], json!(vec!["x"; 20]));
    for branch in 0..20 {
        let line = format!("branch {branch}\n");
        assert_eq!(ran.stderr.matches(&line).count(), 1, "{line} in {ran:?}");
    }
    let report = std::fs::read_to_string(report).expect("the report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let instances = report["instances"].as_array().expect("a list");
    let ids: std::collections::HashSet<_> = instances
        .iter()
        .map(|it| (it["worker"].to_string(), it["store_id"].to_string()))
        .collect();
    assert_eq!((instances.len(), ids.len()), (21, 21));
    // Without the grant, it is refused there as it is here.
    let refused = |workers: &[&str]| {
        let mut command = moonfork();
        command
            .arg("run")
            .arg(&file)
            .args(["--select", "parallel_results"]);
        run(command.args(workers).arg("-q"))
    };
    let (away, here) = (refused(&["--workers", "local:2"]), refused(&[]));
    assert_eq!((away.code, away.stdout), (here.code, here.stdout));
    assert_eq!(away.stderr, here.stderr);
}

#[test]
fn where_branches_run_has_to_be_understood() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", SUM);
    for wrong in ["local", "local:0", "local:many", "nats:1"] {
        let mut command = moonfork();
        command.arg("run").arg(&file).args(["--workers", wrong]);
        run(&mut command).assert_failed(2, &["local:N"]);
    }
    run(moonfork().arg("worker")).assert_failed(2, &["--stdio"]);
}

/// A run whose branches never end, once they have begun in its workers.
fn endless(folder: &Folder) -> (Child, impl Read) {
    let text = "
nodes:
  - name: each
    parallel_each: [1, 2]
    run: |
      print('begun')
      while true do end
";
    let file = folder.file("endless.yaml", text);
    let mut child = moonfork()
        .arg("run")
        .arg(file)
        .args(["--workers", "local:2", "--wall", "10m"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    for _ in 0..2 {
        let mut line = String::new();
        lines.read_line(&mut line).expect("it says something");
        assert_eq!(line, "begun\n");
    }
    (child, lines)
}

#[test]
fn no_worker_outlives_a_run_that_is_killed() {
    let folder = Folder::new();
    let (mut child, mut stderr) = endless(&folder);
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    // Workers hold the same pipe: it is over when the last of them has ended.
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("it ends");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_run_with_its_workers() {
    let folder = Folder::new();
    let (mut child, mut stderr) = endless(&folder);
    let status = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("kill is there").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("it ends");
    assert!(rest.contains("cancelled"), "{rest}");
}
