//! `-o` and `--report`: opened before anything runs, written when there is something to write.

use std::fs;
use std::path::{Path, PathBuf};

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

/// A workflow whose final state has `n`, `orders` and `my-key`, with these `outputs`.
fn with_outputs(folder: &Folder, outputs: &str) -> PathBuf {
    folder.file(
        "w.yaml",
        format!(
            "outputs: {outputs}\nvariables: {{least: 2}}\nnodes:\n  - name: a\n    run: |\n      \
             return {{n = 3, orders = {{{{price = 1}}, {{price = 2}}}}, ['my-key'] = 'x'}}\n"
        ),
    )
}

#[rstest]
#[case::one("n", json!({"n": 3}), "")]
#[case::names("[n, my-key]", json!({"n": 3, "my-key": "x"}), "")]
#[case::expressions(
    "{count: orders | length, first: 'state.orders[0]', least: variables.least, n: }",
    json!({"count": 2, "first": {"price": 1}, "least": 2, "n": 3}),
    ""
)]
#[case::both("[n, {dear: \"orders | selectattr('price', 'gt', 1) | list\"}]",
    json!({"n": 3, "dear": [{"price": 2}]}), "")]
#[case::none("[]", json!({}), "")]
#[case::not_there("[n, none_such]", json!({"n": 3, "none_such": null}),
    "warning: the output `none_such`: there is no such thing in the final state\n")]
fn outputs_are_what_is_printed(#[case] outputs: &str, #[case] printed: Value, #[case] said: &str) {
    let folder = Folder::new();
    let file = with_outputs(&folder, outputs);
    let ran = run(moonfork().arg("run").arg(&file));
    assert_eq!((ran.json(), ran.stderr.as_str()), (printed.clone(), said));
    let to_file = folder.path("out.json");
    run(moonfork().arg("run").arg(&file).arg("-qo").arg(&to_file));
    assert_eq!(read(&to_file), printed);
    // What is selected is so from the whole state.
    let selected = run(moonfork()
        .arg("run")
        .arg(&file)
        .args(["--select", "orders | length"]));
    assert_eq!(selected.json(), json!(2));
}

#[rstest]
#[case::twice("[n, {n: orders}]", "[INVALID_VALUE]: the output `n` is there twice")]
#[case::no_expression(
    "{n: 3}",
    "[INVALID_VALUE]: the output `n` must be an expression, not a number"
)]
#[case::no_syntax(
    "{n: 'orders |'}",
    "[INVALID_TEMPLATE]: the expression of the output `n` doesn't parse"
)]
#[case::two_in_one(
    "[{n: n, m: n}]",
    "[INVALID_VALUE]: an entry of `outputs` has one name"
)]
#[case::neither(
    "3",
    "[INVALID_VALUE]: `outputs` must be a list of names, or a mapping"
)]
#[case::no_name("[3]", "[INVALID_VALUE]: an entry of `outputs` must be")]
fn outputs_that_cannot_be_are_found_before_the_run(#[case] outputs: &str, #[case] said: &str) {
    let folder = Folder::new();
    let file = with_outputs(&folder, outputs);
    for command in ["validate", "run"] {
        let ran = run(moonfork().arg(command).arg(&file));
        ran.assert_failed(1, &["w.yaml:1:", said]);
    }
}

#[test]
fn an_output_that_fails_is_a_failure() {
    let folder = Folder::new();
    let file = with_outputs(&folder, "{bad: orders / 2}");
    run(moonfork().arg("run").arg(&file)).assert_failed(1, &["the output `bad`, `orders / 2`: "]);
}
