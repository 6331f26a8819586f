//! `-o` and `--report`: opened before anything runs, written when there is something to write.

use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::command::{Folder, Ran, moonfork, run};

/// Evaluates code with these flags in `folder`.
fn eval_in(folder: &Folder, code: &str, flags: &[&str]) -> Ran {
    let mut command = moonfork();
    command.current_dir(folder.path("")).args(["eval", code]);
    run(command.args(flags))
}

fn read(path: &Path) -> Value {
    let text = fs::read(path).expect("the file is there");
    serde_json::from_slice(&text).expect("it is JSON")
}

#[test]
fn the_result_goes_to_a_file_in_place_of_standard_output() {
    let folder = Folder::new();
    let file = folder.file("out.json", "something longer that was there before");
    let ran = eval_in(&folder, "{a = 1}", &["-o", "out.json"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
    assert_eq!(fs::read_to_string(file).unwrap(), "{\n  \"a\": 1\n}\n");

    let workflow = folder.file("w.yaml", "nodes: [{name: a, run: 'return {b = 2}'}]\n");
    let out = folder.path("state.json");
    let ran = run(moonfork().arg("run").arg(&workflow).arg("-o").arg(&out));
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    assert_eq!(read(&out), json!({"b": 2}));

    // Where the events go to standard output, the result has its file all the same.
    fs::remove_file(&out).unwrap();
    let mut streamed = moonfork();
    streamed.arg("run").arg(&workflow).arg("--stream");
    let ran = run(streamed.arg("--output-file").arg(&out));
    assert!(ran.stdout.lines().last().unwrap().contains("\"finish\""));
    assert_eq!(read(&out), json!({"b": 2}));
}

#[test]
fn a_run_that_fails_leaves_the_last_result_and_writes_its_report() {
    let folder = Folder::new();
    let old = folder.file("old.json", "1\n");
    let flags = ["-o", "old.json", "--report", "report.json"];
    eval_in(&folder, "error('boom')", &flags).assert_failed(1, &["boom"]);
    assert_eq!(fs::read_to_string(old).unwrap(), "1\n");
    assert_eq!(
        read(&folder.path("report.json"))["outcome"]["status"],
        "failed"
    );
    // What is there for nothing else goes.
    eval_in(&folder, "error('boom')", &["-o", "new.json"]).assert_failed(1, &["boom"]);
    assert!(!folder.path("new.json").exists());
}

#[rstest]
#[case::result("-o", "the result: ")]
#[case::report("--report", "the report: ")]
fn a_file_that_cannot_be_written_is_said_before_anything_runs(
    #[case] flag: &str,
    #[case] said: &str,
) {
    let folder = Folder::new();
    let workflow = folder.file("w.yaml", "nodes: [{name: a, run: \"print('it ran')\"}]\n");
    fs::create_dir(folder.path("folder")).unwrap();
    for path in ["no/such/file", "folder"] {
        let mut command = moonfork();
        command.current_dir(folder.path("")).arg("run");
        let ran = run(command.arg(&workflow).args([flag, path]));
        ran.assert_failed(1, &[said, path]);
        assert!(!ran.stderr.contains("it ran"), "{ran:?}");
        let ran = eval_in(&folder, "print('it ran')", &[flag, path]);
        ran.assert_failed(1, &[said, path]);
        assert!(!ran.stderr.contains("it ran"), "{ran:?}");
    }
}

#[test]
fn both_in_one_file_are_a_mistake() {
    let folder = Folder::new();
    eval_in(&folder, "1", &["-o", "x", "--report", "x"])
        .assert_failed(2, &["--output-file", "--report", "same file"]);
    assert!(!folder.path("x").exists());
}

#[test]
fn a_limit_of_output_is_not_taken_for_the_file() {
    let folder = Folder::new();
    eval_in(&folder, "1", &["--output", "out.json"])
        .assert_failed(2, &["--output", "-o FILE is where the result goes"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_written_to_as_it_is() {
    let folder = Folder::new();
    let ran = eval_in(&folder, "1", &["-o", "/dev/null", "--report", "/dev/null"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", ""));
    let ran = eval_in(&folder, "1", &["-o", "/dev/stderr"]);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (Some(0), "", "1\n"));
}

/// A disk that is full.
#[cfg(target_os = "linux")]
#[rstest]
#[case::result("-o", "the result: /dev/full: ")]
#[case::report("--report", "the report: /dev/full: ")]
fn a_disk_that_is_full(#[case] flag: &str, #[case] said: &str) {
    let folder = Folder::new();
    let ran = eval_in(&folder, "1", &[flag, "/dev/full"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(said), "{ran:?}");
    assert!(ran.stderr.contains("No space left"), "{ran:?}");
    // What the script did comes first.
    let ran = eval_in(&folder, "error('boom')", &[flag, "/dev/full"]);
    assert!(ran.stderr.contains("boom"), "{ran:?}");
}

#[test]
fn a_part_of_the_final_state_can_be_selected() {
    let folder = Folder::new();
    let text =
        "variables: {rate: 2}\nnodes: [{name: a, run: 'return {orders = {{p = 1}, {p = 2}}}'}]\n";
    let file = folder.file("w.yaml", text);
    let select = |flags: &[&str]| run(moonfork().arg("run").arg(&file).args(flags));
    for (expression, expected) in [
        ("state.orders[1].p", json!(2)),
        ("{{ orders }}", json!([{"p": 1}, {"p": 2}])),
        ("orders | length", json!(2)),
        ("{'n': orders[0].p * variables.rate}", json!({"n": 2})),
    ] {
        let ran = select(&["--select", expression]);
        assert_eq!((ran.json(), &*ran.stderr), (expected, ""), "{expression}");
    }
    let ran = select(&["--select", "state.ordesr"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "null\n"));
    assert!(
        ran.stderr.contains("warning: --select `state.ordesr`"),
        "{ran:?}"
    );

    // What is wrong with it is known before anything runs.
    select(&["--select", "state."]).assert_failed(2, &["--select"]);
    select(&["--select", "orders", "--stream"]).assert_failed(2, &["--select has no effect"]);
    select(&["--select", "state.orders < 1"]).assert_failed(1, &["--select `state.orders < 1`"]);
    let out = folder.path("out.json");
    let flags = [
        "--select",
        "orders[0]",
        "--stream",
        "-o",
        out.to_str().unwrap(),
    ];
    assert!(select(&flags).stdout.contains("\"finish\""));
    assert_eq!(read(&out), json!({"p": 1}));
}
