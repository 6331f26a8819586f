//! Journals of a run's instances: one each, whatever the instance began with, and named in the report.

use std::path::{Path, PathBuf};

use moonfork::workflow::{RunReport, RunSettings, Workflow};
use moonfork::{Grants, HostError, Journal, Pool, ReplayOptions};
use rstest::rstest;
use serde_json::Map;

use crate::common;

fn pool() -> Pool {
    common::builder()
        .max_branches(8)
        .max_runs(2)
        .function("get", |(name,): (String,)| Ok::<_, HostError>(name.len()))
        .function("fail", |()| -> Result<(), HostError> {
            Err("not today".into())
        })
        .build()
        .unwrap()
}

fn run(text: &str, folder: &Path) -> RunReport {
    let workflow = Workflow::parse(text, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let settings = RunSettings::new()
        .grants(Grants::none().all_functions())
        .journal_dir(folder);
    match workflow.run(&pool(), Map::new(), &settings) {
        Ok(result) => result.report,
        Err(error) => error.report().clone(),
    }
}

/// Replays all journals of a run, which have to go as they went; gives their names and texts.
#[track_caller]
fn replayed(report: &RunReport) -> Vec<(String, String)> {
    let files = report.instances.iter().map(|it| it.journal.clone());
    let files: Vec<PathBuf> = files.map(|file| file.expect("each has one")).collect();
    let replay = |file: &PathBuf| {
        let journal = Journal::read(file).unwrap();
        let offline = common::builder().max_branches(2).for_replay(&journal);
        let replay = offline
            .build()
            .unwrap()
            .replay(&journal, &ReplayOptions::new());
        let replay = replay.unwrap();
        assert!(replay.is_same(), "{}: {replay}", file.display());
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        (name, replay.to_string())
    };
    files.iter().map(replay).collect()
}

fn branches(head: &str) -> String {
    format!(
        "{head}
nodes:
  - {{name: begin, run: 'base = {{}} for i = 1, 100 do base[\"k\" .. i] = {{i}} end return {{big = base}}'}}
  - name: each
    type: dynamic_parallel
    items: [one, two, three]
    steps:
      - {{name: see, run: 'local n = 0 for k in pairs(state.big) do n = n + get(k) end return {{n = n, base = base ~= nil, item = state.item}}'}}
  - {{name: join, run: 'return {{all = #state.parallel_results}}'}}
"
    )
}

#[rstest]
#[case::fresh("")]
#[case::prelude("prelude: p = get('prelude')")]
#[case::fork("settings: {parallel: {start: fork}}")]
#[case::both("prelude: p = 1\nsettings: {parallel: {start: fork}}")]
fn each_instance_has_one(#[case] head: &str) {
    let folder = tempfile::tempdir().unwrap();
    let report = run(&branches(head), folder.path());
    let replayed = replayed(&report);
    assert_eq!(replayed.len(), 4, "{replayed:?}");
    assert_eq!(replayed[0].0, "main.journal");
    for (name, text) in &replayed[1..] {
        assert!(text.contains("get(\"k1\") -> 2"), "{name}: {text}");
    }
}

#[test]
fn attempts_and_calls_by_nodes_are_told() {
    let text = "
nodes:
  - name: a
    run: |
      get('first')
      error('again')
    retry: {max_retries: 1, base_delay_ms: 0}
    on_error: {mode: graceful}
  - {name: b, uses: get, with: ['four'], output: four}
  - {name: c, uses: fail, with: [], on_error: {mode: graceful}}
";
    let folder = tempfile::tempdir().unwrap();
    let report = run(text, folder.path());
    let (_, told) = replayed(&report).remove(0);
    assert_eq!(told.matches("get(\"first\") -> 5").count(), 2, "{told}");
    assert!(told.contains("attempt 2 at node 'a'"), "{told}");
    assert!(
        told.contains("the host called get(\"four\") -> 4"),
        "{told}"
    );
    assert!(told.contains("the host called fail() -> error: "), "{told}");
}

#[test]
fn what_takes_the_place_of_a_stopped_instance_has_its_own() {
    let text = "
nodes:
  - {name: a, run: 'while true do end', limits: {wall: 200ms}, on_error: {mode: graceful}}
  - {name: b, run: \"return {n = get('b')}\"}
";
    let folder = tempfile::tempdir().unwrap();
    let report = run(text, folder.path());
    let files = report
        .instances
        .iter()
        .map(|it| it.journal.as_ref().unwrap());
    let names: Vec<_> = files
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["main.journal", "main-2.journal"]);
    let replayed = replayed(&report);
    assert!(replayed[0].1.contains("failed (timeout)"), "{replayed:?}");
    assert!(replayed[1].1.contains("get(\"b\") -> 1"), "{replayed:?}");
}

#[test]
fn none_is_written_unless_it_is_asked_for() {
    let workflow = Workflow::parse("nodes: [{name: a}]", "w.yaml").unwrap();
    let result = workflow
        .run(&pool(), Map::new(), &RunSettings::new())
        .unwrap();
    assert!(
        result
            .report
            .instances
            .iter()
            .all(|it| it.journal.is_none())
    );
    let settings = RunSettings::new().journal_bytes(100);
    let error = workflow.run(&pool(), Map::new(), &settings).unwrap_err();
    assert!(error.to_string().contains("no folder"), "{error}");
}
