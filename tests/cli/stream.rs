//! `--stream`, `--verbose` and `--quiet`: what goes where while a run goes on.

use serde_json::Value;

use crate::command::{Folder, moonfork, run};

const BRANCHES: &str = "
nodes:
  - {name: a, run: print('from a') return {n = 1}}
  - {name: b, run: error('boom')}
  - {name: join, run: 'return {joined = true, parallel_results = null}', goto: [{if: state.joined > 'x', to: a}]}
edges: [{from: __start__, parallel: [a, b], fan_in: join}]
";

#[test]
fn each_line_of_a_stream_is_an_event_and_the_last_one_has_the_state() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        BRANCHES.replace(
            "run: print('from a') return {n = 1}",
            "run: 'print(1) return {n = 1}'",
        ),
    );
    let ran = run(moonfork().arg("run").arg(&file).arg("--stream"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let of = |kind: &str| {
        events
            .iter()
            .filter(|it| it["type"] == kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(events[0]["type"], "start");
    let ends = of("branch_end");
    assert_eq!(ends.len(), 2);
    let ids: Vec<_> = ends.iter().map(|it| &it["report"]["store_id"]).collect();
    assert!(ids[0].is_u64() && ids[0] != ids[1], "{ids:?}");
    let failed = ends
        .iter()
        .find(|it| it["branch"] == "b")
        .expect("both ended");
    assert_eq!(failed["error"]["message"], "node 'b':4: boom");
    assert_eq!(of("condition_failed").len(), 1);
    let last = events.last().expect("there are some");
    assert_eq!(
        (&last["type"], &last["state"]["joined"]),
        (&"finish".into(), &true.into())
    );
    // What scripts print, and warnings, are no events.
    assert!(ran.stderr.contains("1\n"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("the condition `state.joined > 'x'` after `join` failed"),
        "{ran:?}"
    );
}

#[test]
fn a_failure_is_the_last_line_of_a_stream_and_on_standard_error() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", "nodes: [{name: a, run: error('boom')}]\n");
    let ran = run(moonfork().arg("run").arg(&file).arg("--stream"));
    assert_eq!(ran.code, Some(1));
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["node"]),
        (&"error".into(), &"a".into())
    );
    assert!(ran.stderr.contains("boom"), "{ran:?}");
}

#[test]
fn verbose_says_what_happens_on_standard_error() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes: [{name: a}, {name: b, run: 'return {n = 1}'}]\n",
    );
    let ran = run(moonfork().arg("run").arg(&file).arg("-v"));
    assert_eq!(ran.json()["n"], 1);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].starts_with("[a done in ") && lines[1].starts_with("[b done in "));
    run(moonfork().arg("run").arg(&file).args(["-v", "-q"])).assert_failed(2, &["cannot be used"]);
}

#[test]
fn output_that_was_cut_off_is_said_on_a_line_of_its_own() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "settings: {limits: {output: 6}}\nnodes: [{name: a, run: \"print('1234567')\"}]\n",
    );
    let ran = run(moonfork().arg("run").arg(&file));
    assert_eq!(
        ran.stderr,
        "123456\nwarning: more was printed than the limit lets through\n"
    );
}
