//! `moonfork run`: the state on standard output, all else on standard error.

use serde_json::{Value, json};

use crate::command::{Folder, moonfork, run};

const FAN_OUT: &str = "
name: demo
nodes:
  - {name: split, run: print('split')}
  - {name: a, run: print('a') return 1}
  - {name: b, run: error('no luck')}
  - {name: join, run: 'return {seen = #state.parallel_results}'}
edges:
  - {from: split, parallel: [a, b], fan_in: join}
";

#[test]
fn the_final_state_is_all_that_standard_output_carries() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", FAN_OUT);
    let ran = run(moonfork().arg("run").arg(file));
    let state = ran.json();
    assert_eq!(state["seen"], json!(2));
    assert_eq!(state["parallel_results"][1]["success"], json!(false));
    assert!(ran.stderr.starts_with("split\n"), "{ran:?}");
    let failed = "warning: the branch `b` failed: node 'b'";
    assert_eq!(ran.stderr.matches(failed).count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("a\n"), "{ran:?}");
}

#[test]
fn failed_branches_and_fallbacks_are_told_with_the_reason_unless_quiet() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "
nodes:
  - {name: a, run: error('late'), fallback: b}
  - {name: b}
  - {name: c, run: 'error({code = 7})'}
  - {name: d, run: 'return {d = 1}'}
  - {name: e, run: while true do end}
  - {name: join}
edges:
  - {from: b, parallel: [c, d, e], fan_in: join, until: first_success}
",
    );
    let mut command = moonfork();
    command.arg("run").arg(file);
    let loud = run(&mut command);
    loud.json();
    let warnings: Vec<_> = loud.stderr.lines().collect();
    let fallback = "warning: `a` failed, and the run goes on with `b`: node 'a':3: late";
    assert_eq!(warnings[0], fallback, "{loud:?}");
    // Whoever lost the race has not failed; the branch `c` may have lost it, too.
    for line in &warnings[1..] {
        assert!(
            line.starts_with("warning: the branch `c` failed: "),
            "{loud:?}"
        );
    }
    let quiet = run(command.arg("-q"));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
}

#[test]
fn quiet_leaves_out_what_scripts_print_and_warnings_but_no_error() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes: [{name: a, streams: x, run: print('text')}]\n",
    );
    let loud = run(moonfork().arg("run").arg(&file));
    let expected = format!(
        "{}:1:19: warning [IGNORED_KEY]: `streams` of a node has no effect here\ntext\n",
        file.display()
    );
    assert_eq!(loud.stderr, expected);
    let quiet = run(moonfork().arg("run").arg(&file).arg("-q"));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));

    let failing = folder.file("bad.yaml", "nodes: [{name: a, run: error('boom')}]\n");
    run(moonfork().arg("run").arg(failing).arg("-q")).assert_failed(1, &["boom"]);
}

#[test]
fn inputs_are_merged_key_by_key_over_the_initial_state() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "initial_state: {a: 0, z: 0}\nnodes: [{name: a}]\n",
    );
    folder.file("in.json", "{\"b\": 2, \"c\": 2.0}");
    folder.file("text.txt", "line\n{\"no\": json}\n");
    let mut command = moonfork();
    command.current_dir(folder.path("")).arg("run").arg(file);
    command.args([
        "-i",
        "{\"a\": 1, \"b\": 1}",
        "-i",
        "@in.json",
        "--input",
        "t=@text.txt",
    ]);
    assert_eq!(
        run(&mut command).json(),
        json!({"a": 1, "b": 2, "c": 2.0, "t": "line\n{\"no\": json}\n", "z": 0})
    );
}

/// Runs `FAN_OUT`, or another workflow, and returns the report it writes.
fn report_of(text: &str, code: i32) -> Value {
    let folder = Folder::new();
    let file = folder.file("w.yaml", text);
    let report = folder.path("report.json");
    let ran = run(moonfork().arg("run").arg(file).arg("--report").arg(&report));
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let report = std::fs::read(report).expect("the report is there");
    serde_json::from_slice(&report).expect("the report is JSON")
}

#[test]
fn the_report_lists_every_instance_and_what_ran_on_it() {
    let report = report_of(FAN_OUT, 0);
    assert_eq!(report["schema_version"], json!(1));
    assert_eq!(report["workflow"], json!("demo"));
    assert_eq!(report["outcome"], json!("done"));
    let instances = report["instances"].as_array().expect("a list");
    let ran: Vec<_> = instances
        .iter()
        .map(|instance| {
            let nodes = instance["nodes"].as_array().expect("a list");
            let nodes = nodes.iter().map(|node| (&node["node"], &node["outcome"]));
            (
                &instance["role"],
                &instance["branch"],
                nodes.collect::<Vec<_>>(),
            )
        })
        .collect();
    let (done, failed) = (json!("done"), json!("failed"));
    assert_eq!(
        ran,
        [
            (
                &json!("main"),
                &json!(null),
                vec![(&json!("split"), &done), (&json!("join"), &done)]
            ),
            (&json!("branch"), &json!("a"), vec![(&json!("a"), &done)]),
            (&json!("branch"), &json!("b"), vec![(&json!("b"), &failed)]),
        ]
    );
    let mut ids: Vec<_> = instances
        .iter()
        .map(|instance| instance["store_id"].as_u64())
        .collect();
    assert!(ids.iter().all(Option::is_some), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(instances[0]["nodes"][0]["output"], json!("split\n"));
}

#[test]
fn a_run_that_fails_leaves_a_report_as_well() {
    let report = report_of("nodes: [{name: a}, {name: b, run: error('boom')}]\n", 1);
    assert_eq!(report["outcome"], json!("failed"));
    let failed = &report["instances"][0]["nodes"][1];
    assert_eq!(failed["error"]["error_type"], json!("LuaError"));
    assert_eq!(failed["error"]["message"], json!("node 'b':1: boom"));
}

#[test]
fn workers_can_be_limited_on_the_command_line() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", FAN_OUT);
    let ran = run(moonfork().arg("run").arg(file).args(["--max-workers", "1"]));
    assert_eq!(ran.json()["seen"], json!(2));
}
