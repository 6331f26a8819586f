//! `moonfork run` that stops, and `moonfork resume`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::{Folder, moonfork, run};

const ASK: &str = "
name: ask
nodes:
  - {name: draft, run: 'return {text = \"draft of \" .. state.about}'}
  - {name: review, goto: [{if: state.approved, to: publish}, {to: drop}]}
  - {name: drop, run: 'return {published = false}', goto: __end__}
  - {name: publish, run: 'return {published = true}'}
";

#[test]
fn a_run_that_stops_says_how_to_go_on_and_does_when_told() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", ASK);
    let checkpoints = folder.path("c");
    let stopped = run(moonfork()
        .arg("run")
        .arg(&file)
        .args([
            "-i",
            r#"{"about": "x"}"#,
            "--interrupt-after",
            "review",
            "-c",
        ])
        .arg(&checkpoints));
    stopped.assert_failed(130, &["interrupted after `review`", "moonfork resume "]);

    // The line says it all: run it as it is.
    let words: Vec<_> = stopped.stderr.trim().split(' ').collect();
    let at = words
        .iter()
        .position(|word| *word == "resume")
        .expect("a command");
    let resumed = run(moonfork()
        .args(&words[at..])
        .args(["-i", r#"{"approved": true}"#]));
    assert_eq!(
        resumed.json(),
        json!({"about": "x", "approved": true, "published": true, "text": "draft of x"})
    );
    assert!(
        resumed.stderr.contains("globals from before are gone"),
        "{resumed:?}"
    );
}

#[test]
fn before_a_node_means_that_resuming_runs_it() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", ASK);
    let checkpoints = folder.path("c");
    let stop = run(moonfork()
        .arg("run")
        .arg(&file)
        .args([
            "-i",
            r#"{"about": "x"}"#,
            "--interrupt-before",
            "draft,drop",
            "-q",
            "-c",
        ])
        .arg(&checkpoints));
    assert_eq!(stop.code, Some(130));
    let mut resume = moonfork();
    resume.arg("resume").arg(&checkpoints).arg("-w").arg(&file);
    assert_eq!(run(&mut resume).json()["published"], json!(false));
}

#[test]
fn without_a_folder_the_checkpoint_is_kept_somewhere_all_the_same() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", "nodes: [{name: a, interrupt: before}]\n");
    let stopped = run(moonfork()
        .arg("run")
        .arg(&file)
        .env("TMPDIR", folder.path("")));
    assert_eq!(stopped.code, Some(130));
    let words: Vec<_> = stopped.stderr.trim().split(' ').collect();
    let at = words
        .iter()
        .position(|word| *word == "resume")
        .expect("a command");
    assert_eq!(run(moonfork().args(&words[at..])).json(), json!({}));
}

#[test]
fn an_interrupt_that_cannot_be_is_a_mistake_on_the_command_line() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes: [{name: a}, {name: join}]\nedges: [{from: __start__, parallel: [a], fan_in: join}]\n",
    );
    for (flag, said) in [
        ("--interrupt-before=b", "no such node"),
        ("--interrupt-after=a", "branch"),
    ] {
        run(moonfork().arg("run").arg(&file).arg(flag)).assert_failed(2, &[said]);
    }
}

#[test]
fn what_is_no_checkpoint() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", ASK);
    let resume =
        |path: std::path::PathBuf| run(moonfork().arg("resume").arg(path).arg("-w").arg(&file));
    resume(folder.path("none")).assert_failed(1, &["none: "]);
    resume(folder.file("bad", "{}")).assert_failed(1, &["bad: not a checkpoint: "]);
    let empty = folder.path("empty");
    std::fs::create_dir(&empty).unwrap();
    resume(empty).assert_failed(1, &["there is no checkpoint in this folder"]);
    let other = json!({
        "schema_version": 1, "workflow": null, "written_at": "", "interrupt": null, "state": {},
        "position": {"at": "after", "node": "gone"}, "ran": 1,
    });
    resume(folder.file("other", other.to_string())).assert_failed(1, &["the node `gone`"]);
    let foreign = json!({
        "schema_version": 1, "workflow": "shop", "written_at": "", "interrupt": null, "state": {},
        "position": {"at": "start"}, "ran": 0,
    });
    let foreign = resume(folder.file("foreign", foreign.to_string()));
    foreign.assert_failed(1, &["the checkpoint is of the workflow `shop`, not `ask`"]);
    let newer = json!({
        "schema_version": 2, "workflow": null, "written_at": "", "interrupt": null, "state": {},
        "position": {"at": "start"}, "ran": 1,
    });
    resume(folder.file("newer", newer.to_string())).assert_failed(1, &["version 2"]);
}

/// Runs an endless node until it is under way, and gives what is told after `signal`.
#[cfg(unix)]
fn interrupted(code: &str, signal: &str) -> (Option<i32>, Vec<Value>) {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        format!("nodes: [{{name: a}}, {{name: b, run: {code}}}]\n"),
    );
    let mut child = moonfork()
        .arg("run")
        .arg(&file)
        .args(["--stream", "--checkpoint-dir"])
        .arg(folder.path("c"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut event = || -> Option<Value> {
        let line = lines.next()?.expect("it can be read");
        Some(serde_json::from_str(&line).expect("each line is JSON"))
    };
    // Told while the run goes on: this would never come if it were kept until the end.
    while event().expect("it begins")["node"] != "b" {}
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .expect("there is `kill`");
    assert!(killed.success());
    let rest: Vec<_> = std::iter::from_fn(event).collect();
    let status = child.wait().expect("it ends");
    // And it can be resumed.
    let checkpoints = std::fs::read_dir(folder.path("c")).expect("there is one");
    assert_eq!(checkpoints.count(), 1);
    (status.code(), rest)
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_run_and_keeps_its_checkpoint() {
    let (code, rest) = interrupted("while true do end", "-INT");
    assert_eq!(code, Some(130));
    let kinds: Vec<_> = rest
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["node_end", "error"]);
    assert_eq!(rest[1]["error"]["error_type"], "CancelledError");
}

#[cfg(unix)]
#[test]
fn ctrl_c_prints_the_whole_command_that_goes_on() {
    let folder = Folder::new();
    let file = folder.file(
        "work flow.yaml",
        "nodes: [{name: a}, {name: b, run: 'while not state.go do end return {time = os.time() > 0}'}]\n",
    );
    let overlay = folder.file("over.yaml", "name: changed\n");
    let mut child = moonfork()
        .arg("run")
        .arg(&file)
        .arg("-f")
        .arg(&overlay)
        .args([
            "--stream",
            "--clock",
            "--wall",
            "1m 20s",
            "--checkpoint-dir",
        ])
        .arg(folder.path("c"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    while !lines.next().expect("it begins").unwrap().contains("\"b\"") {}
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("there is `kill`").success());
    lines.for_each(drop);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).expect("it is UTF-8");
    let (_, command) = said.split_once("to go on: moonfork ").expect(&said);
    let words = shlex::split(command.trim()).expect("a shell reads it");
    assert!(words.contains(&"1m 20s".to_owned()), "{words:?}");

    // With all that the run was started with, and its events again.
    let ran = run(moonfork().args(&words).args(["-i", "go:=true"]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], json!({"go": true, "time": true}));
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_eval_and_its_report_is_written() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let mut child = moonfork()
        .args(["eval", "print('begun') while true do end", "--report"])
        .arg(&report)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("it begins").unwrap(), "begun");
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("there is `kill`").success());
    let said: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(
        said[0].contains("the run was cancelled (at eval:1)"),
        "{said:?}"
    );
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["outcome"]["status"], "failed");
}
