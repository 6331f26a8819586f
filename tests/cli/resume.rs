//! `moonfork run` that stops, and `moonfork resume`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rstest::rstest;
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
    let resume = || run(moonfork().arg("resume").arg(&checkpoints));
    // Where the run was told to stop it stops after resuming, too.
    resume().assert_failed(130, &["interrupted before `drop`"]);
    assert_eq!(resume().json()["published"], json!(false));
}

/// A run that stopped after `ask`, and its checkpoint.
fn stopped(folder: &Folder, text: &str) -> (PathBuf, PathBuf) {
    let file = folder.file("w.yaml", text);
    let checkpoints = folder.path("c");
    let stop = run(moonfork().arg("run").arg(&file).arg("-c").arg(&checkpoints));
    assert_eq!(stop.code, Some(130), "{stop:?}");
    let mut found = std::fs::read_dir(&checkpoints).unwrap();
    (file, found.next().unwrap().unwrap().path())
}

const PAY: &str = "
nodes:
  - {name: ask, run: 'return {value = 1}', interrupt: after}
  - {name: add, run: 'if state.allow then return {value = state.value + 1} end'}
";

#[test]
fn a_checkpoint_can_be_resumed_twice_with_different_answers() {
    let folder = Folder::new();
    let (_, checkpoint) = stopped(&folder, PAY);
    let before = std::fs::read(&checkpoint).unwrap();
    let resume = |input: &str| {
        let ran = run(moonfork()
            .arg("resume")
            .arg(&checkpoint)
            .args(["-i", input]));
        ran.json()["value"].clone()
    };
    assert_eq!(resume(r#"{"allow": true}"#), 2);
    assert_eq!(resume(r#"{"allow": false}"#), 1);
    assert_eq!(
        std::fs::read(&checkpoint).unwrap(),
        before,
        "it stays as it is"
    );
    // The one of each run that went on, beside it.
    assert_eq!(std::fs::read_dir(folder.path("c")).unwrap().count(), 3);
}

#[test]
fn a_run_that_is_over_says_so_and_takes_no_input() {
    let folder = Folder::new();
    let (_, checkpoint) = stopped(&folder, PAY);
    let checkpoints = checkpoint.parent().unwrap();
    run(moonfork().arg("resume").arg(checkpoints)).json();
    let again = run(moonfork()
        .arg("resume")
        .arg(checkpoints)
        .args(["-i", r#"{"value": 9}"#]));
    again.assert_failed(1, &["the run is over: there is nothing to go on with"]);
}

#[test]
fn a_workflow_that_has_changed_is_refused_unless_that_is_wanted() {
    let folder = Folder::new();
    let (file, checkpoint) = stopped(&folder, PAY);
    let resume = |flags: &[&str]| run(moonfork().arg("resume").arg(&checkpoint).args(flags));
    let comments = format!("# A comment.\n{}", PAY.replace("end'}", "end -- no more'}"));
    std::fs::write(&file, comments).unwrap();
    assert_eq!(resume(&[]).json()["value"], 1);
    std::fs::write(&file, PAY.replace("value + 1", "value + 2")).unwrap();
    resume(&[]).assert_failed(1, &["the workflow has changed", "--changed"]);
    let input = ["--changed", "-i", r#"{"allow": true}"#];
    assert_eq!(resume(&input).json()["value"], 3);
}

#[test]
fn overlays_are_those_of_the_run() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", PAY);
    let overlay = folder.file(
        "o.yaml",
        "nodes: [{name: add, run: 'return {value = 7}'}]\n",
    );
    let checkpoints = folder.path("c");
    let stop = run(moonfork()
        .arg("run")
        .arg(&file)
        .arg("-f")
        .arg(overlay)
        .arg("-c")
        .arg(&checkpoints));
    assert_eq!(stop.code, Some(130), "{stop:?}");
    assert_eq!(
        run(moonfork().arg("resume").arg(&checkpoints)).json()["value"],
        7
    );
    run(moonfork()
        .arg("resume")
        .arg(&checkpoints)
        .arg("-w")
        .arg(&file))
    .assert_failed(1, &["the run is over"]);
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

#[rstest]
#[case::it_ends("return {x = 1}", &["-v"], 0, 0)]
#[case::it_fails("error('no')", &[], 1, 0)]
#[case::it_fails_and_said_where("error('no')", &["-v"], 1, 1)]
#[case::it_fails_and_its_events_said_where("error('no')", &["--stream"], 1, 1)]
fn without_a_folder_nothing_is_kept_that_nobody_knows_of(
    #[case] code: &str,
    #[case] flags: &[&str],
    #[case] exit: i32,
    #[case] folders: usize,
) {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        format!(
            "nodes: [{{name: a}}, {{name: b, run: \"{code}\"}}, {{name: c, interrupt: before}}]\n\
             edges: [{{from: __start__, to: a}}, {{from: a, to: b}}, {{from: b, to: c, when: state.never}}, {{from: b, to: __end__}}]\n"
        ),
    );
    let temporary = folder.path("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let ended = run(moonfork()
        .arg("run")
        .arg(&file)
        .args(flags)
        .env("TMPDIR", &temporary));
    assert_eq!(ended.code, Some(exit), "{ended:?}");
    let left = std::fs::read_dir(&temporary).unwrap();
    assert_eq!(left.count(), folders, "{ended:?}");
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
    let (file, checkpoint) = stopped(&folder, PAY);
    let resume = |path: PathBuf| run(moonfork().arg("resume").arg(path).arg("-w").arg(&file));
    resume(folder.path("none")).assert_failed(1, &["none: "]);
    resume(folder.file("bad", "{}"))
        .assert_failed(1, &["bad: not a checkpoint: ", "schema_version"]);
    let empty = folder.path("empty");
    std::fs::create_dir(&empty).unwrap();
    resume(empty).assert_failed(1, &["there is no checkpoint in this folder"]);

    let sound: Value = serde_json::from_slice(&std::fs::read(checkpoint).unwrap()).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut changed = sound.clone();
        match changed.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => changed[&pointer[1..]] = value,
        }
        resume(folder.file("changed", changed.to_string()))
    };
    let cases = [
        ("/position/node", json!("gone"), "the node `gone`"),
        ("/workflow", json!("shop"), ""),
        (
            "/schema_version",
            json!(1),
            "a checkpoint of version 1; this program writes and reads version 2",
        ),
        ("/state", json!(null), "state: invalid type: null"),
        ("/state", json!([]), "state: invalid type: sequence"),
        ("/ran", json!(-1), "ran: invalid value: integer `-1`"),
        ("/ran", json!("1"), "ran: invalid type: string"),
        ("/position", json!(null), "position: "),
        (
            "/stops/before",
            json!([1]),
            "stops.before[0]: invalid type: integer `1`",
        ),
        ("/more", json!(1), "more: unknown field `more`"),
    ];
    for (pointer, value, said) in cases {
        let ran = changed(pointer, value);
        match said {
            // The workflow has no name of its own to compare it with.
            "" => assert_eq!(ran.json()["value"], 1),
            said => ran.assert_failed(1, &[said]),
        }
    }
    // As many nodes as there can be have run: one more, and it is too many, but nothing breaks.
    changed("/ran", json!(u64::MAX)).assert_failed(1, &["max iterations (1000) exceeded"]);
}

/// What branches leave that came to their end is read by its type: a file that somebody changed is
/// refused, and doesn't bring anything down.
#[test]
fn what_a_branch_left_is_read_by_its_type() {
    let text = "
nodes:
  - {name: ask, interrupt: after}
  - {name: a, run: 'return {ran = true}'}
  - {name: join, run: 'return {ok = state.parallel_results[1].success, kept = state.parallel_results[1].state.kept or 0}'}
edges: [{from: ask, parallel: [a], fan_in: join}]
";
    let folder = Folder::new();
    let (_, checkpoint) = stopped(&folder, text);
    // What a run writes there while the fan-out goes on, as far as it can be told from outside.
    let branches = PathBuf::from(format!("{}.branches", checkpoint.display()));
    std::fs::create_dir(&branches).unwrap();
    let resume = |content: Value| {
        std::fs::write(branches.join("0.json"), content.to_string()).unwrap();
        run(moonfork().arg("resume").arg(&checkpoint))
    };
    let sound = json!({"fan_out": "?", "branch": "a", "state": {"kept": 1}, "timing_ms": 1.0, "retry_count": 0});
    // Of another fan-out: it is run.
    assert_eq!(resume(sound.clone()).json()["ok"], true);
    for (key, value) in [
        ("state", json!(null)),
        ("state", json!(1)),
        ("retry_count", json!(-1)),
        ("timing_ms", json!("x")),
        ("entry", json!(1)),
    ] {
        let mut changed = sound.clone();
        changed[key] = value;
        let ran = resume(changed);
        ran.assert_failed(
            1,
            &["0.json: not a checkpoint: ", key, "the branch is run again"],
        );
    }
    resume(json!(null)).assert_failed(1, &["0.json: not a checkpoint: "]);
}

/// A link in the place of a file of ours leads nobody to what it links to.
#[cfg(unix)]
#[test]
fn no_link_is_followed() {
    let folder = Folder::new();
    let (_, checkpoint) = stopped(&folder, PAY);
    let victim = folder.file("victim", "untouched");
    let checkpoints = checkpoint.parent().unwrap();
    std::os::unix::fs::symlink(&victim, checkpoints.join("z.checkpoint")).unwrap();
    let unfinished = format!("{}.unfinished", checkpoint.display());
    std::os::unix::fs::symlink(&victim, unfinished).unwrap();
    assert_eq!(
        run(moonfork().arg("resume").arg(checkpoints)).json()["value"],
        1
    );
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
}

/// Runs an endless node until it is under way, and gives what is told after `signal`.
#[cfg(unix)]
fn interrupted(code: &str, signal: &str) -> (Option<i32>, Vec<Value>, String) {
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
        .stderr(Stdio::piped())
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
    let said = std::io::read_to_string(child.stderr.take().expect("a pipe")).unwrap();
    // And it can be resumed.
    let checkpoints = std::fs::read_dir(folder.path("c")).expect("there is one");
    assert_eq!(checkpoints.count(), 1);
    (status.code(), rest, said)
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_run_and_keeps_its_checkpoint() {
    let (code, rest, said) = interrupted("while true do end", "-INT");
    assert_eq!(code, Some(130));
    assert!(said.contains("to go on: moonfork resume "), "{said}");
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
