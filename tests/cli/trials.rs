//! What public reports and files of The Edge Agent ask for: `tests/trials/`, whose README says
//! what each input gives.

use std::path::{Path, PathBuf};
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

use crate::command::{Folder, Ran, moonfork, run};

#[rstest]
#[case::append_reducer("append-reducer.yaml", append_reducer)]
#[case::resumed_twice("checkpoint-file-is-overwritten-by-resume.yaml", resumed_twice)]
#[case::decoded_nulls("decoded-null-is-not-null.lua", decoded_nulls)]
#[case::empty_list_against_schema(
    "empty-lua-list-against-schema-list.yaml",
    empty_list_against_schema
)]
#[case::empty_list_as_items("empty-lua-list-as-items.yaml", empty_list_as_items)]
#[case::error_table("error-table-is-lost.yaml", error_table)]
#[case::errors_name_the_script("errors-name-moonfork-not-the-script.lua", errors_name_the_script)]
#[case::failed_item("failed-item-says-nothing-of-item-or-error.yaml", failed_item)]
#[case::failing_guard("failing-guard-lets-through.yaml", failing_guard)]
#[case::integers_of_any_length("integers-beyond-u64-become-floats.lua", integers_of_any_length)]
#[case::interrupt_flags("interrupt-flags-forgotten-on-resume.yaml", interrupt_flags)]
#[case::map_by_numeric_id("map-by-numeric-id.yaml", map_by_numeric_id)]
#[case::matrix("matrix-include-exclude-become-dimensions.yaml", matrix)]
#[case::one_mistake("one-mistake-several-errors.yaml", one_mistake)]
#[case::empty_overlay("overlay/empty-overlay.yaml", empty_overlay)]
#[case::finished_run("resume-of-finished-run-takes-input.yaml", finished_run)]
#[case::nested_nulls("return-state-drops-nested-nulls.yaml", nested_nulls)]
#[case::source_not_utf8("source-not-utf8.lua", source_not_utf8)]
#[case::source_with_shebang("source-with-shebang.lua", source_with_shebang)]
#[case::packed_strings("string-pack-sizes-of-32-bits.lua", packed_strings)]
#[case::edges_with_a_type("tea-edge-type-entry-and-finish.yaml", edges_with_a_type)]
#[case::description_and_version("tea-node-description-and-version.yaml", description_and_version)]
#[case::parallel_config("tea-parallel-config-of-dynamic-parallel.yaml", parallel_config)]
#[case::run_of_an_expression("tea-run-type-expression.yaml", run_of_an_expression)]
#[case::timeout_as_written("timeout-message-not-the-written-one.yaml", timeout_as_written)]
#[case::traceback_of_a_coroutine("traceback-of-coroutine-lost.lua", traceback_of_a_coroutine)]
#[case::typo_in_a_condition("typo-in-condition-root.yaml", typo_in_a_condition)]
#[case::unknown_names_in_templates(
    "unknown-names-in-templates-are-empty.yaml",
    unknown_names_in_templates
)]
#[case::exact_numbers("untouched-keys-keep-exact-json.yaml", exact_numbers)]
#[case::syntax_error("validate-misses-lua-syntax-error.yaml", syntax_error)]
fn a_trial_gives_what_it_should(#[case] file: &str, #[case] check: fn(&str)) {
    check(file);
}

#[test]
fn every_file_is_run_and_is_in_the_table() {
    let table = include_str!("../trials/README.md");
    let (_, cases) = include_str!("trials.rs").split_once("#[rstest]").unwrap();
    let files = std::fs::read_dir(folder()).unwrap().map(|it| it.unwrap());
    for file in files.filter(|it| it.file_type().unwrap().is_file()) {
        let name = file.file_name().into_string().unwrap();
        if name != "README.md" {
            assert!(
                table.contains(&format!("`{name}`")),
                "{name} is not in the table"
            );
            assert!(cases.contains(&format!("\"{name}\"")), "{name} is not run");
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials")
}

/// The binary in the folder of trials.
fn command(args: &[&str]) -> Command {
    let mut command = moonfork();
    command.current_dir(folder()).args(args);
    command
}

fn ran(args: &[&str]) -> Ran {
    run(&mut command(args))
}

#[track_caller]
fn result(args: &[&str]) -> Value {
    ran(args).json()
}

#[track_caller]
fn evaluated(file: &str) -> Value {
    result(&["eval", &format!("@{file}")])
}

/// The workflow of `file` as `change` makes it, in a folder of its own.
fn changed(file: &str, change: impl FnOnce(String) -> String) -> (Folder, String) {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let folder = Folder::new();
    let path = folder.file("w.yaml", change(text)).display().to_string();
    (folder, path)
}

/// The same with `settings.strict`.
fn strict(file: &str) -> (Folder, String) {
    changed(file, |text| format!("settings: {{strict: true}}\n{text}"))
}

/// How many problems or failures a run told.
fn errors(ran: &Ran) -> usize {
    let is_one = |line: &&str| line.starts_with("error") || line.contains(": error [");
    ran.stderr.lines().filter(is_one).count()
}

fn append_reducer(file: &str) {
    assert_eq!(result(&["run", file])["log"], json!(["start", "a", "b"]));
}

fn resumed_twice(file: &str) {
    let folder = Folder::new();
    let checkpoints = folder.path("checkpoints").display().to_string();
    let stopped = ran(&["run", file, "--checkpoint-dir", &checkpoints]);
    assert_eq!(stopped.code, Some(130), "{stopped:?}");
    let entry = std::fs::read_dir(&checkpoints).unwrap().next().unwrap();
    let checkpoint = entry.unwrap().path().display().to_string();
    let value = |allow: &str| {
        let args = ["resume", &checkpoint, "--workflow", file, "-i", allow];
        result(&args)["value"].clone()
    };
    assert_eq!(value(r#"{"allow": true}"#), 2);
    assert_eq!(value(r#"{"allow": false}"#), 1);
}

fn decoded_nulls(file: &str) {
    let value = evaluated(file);
    let again: Value = serde_json::from_str(value["text"].as_str().unwrap()).unwrap();
    let decoded = json!({"a": null, "b": [null, null], "c": {"d": null}});
    assert_eq!(again, decoded);
    assert_eq!(value["isnil"], true);
}

fn empty_list_against_schema(file: &str) {
    assert_eq!(result(&["run", file])["found"], json!([]));
}

fn empty_list_as_items(file: &str) {
    // As it is, YAML takes its last line from `#` on for a comment, which is a mistake of its own.
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let (before, last) = text.trim_end().rsplit_once("run: ").unwrap();
    ran(&["run", file]).assert_failed(1, &["[LUA_SYNTAX]", &format!("{file}:14:"), "run: |"]);
    let folder = Folder::new();
    let quoted = folder.file("quoted.yaml", format!("{before}run: '{last}'\n"));
    assert_eq!(result(&["run", &quoted.display().to_string()])["n"], 0);
}

fn error_table(file: &str) {
    let details = result(&["run", file])["saw"]["details"].to_string();
    for part in ["404", "no such order"] {
        assert!(details.contains(part), "no {part:?} in {details}");
    }
}

fn errors_name_the_script(file: &str) {
    let lines = evaluated(file);
    let lines: Vec<_> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    // The function that the script called, and the line where it did.
    let called = [
        ("load nil", "load", 3),
        ("load mode", "load", 4),
        ("randomseed", "randomseed", 5),
        ("random", "random", 6),
        ("encode none", "encode", 7),
        ("decode none", "decode", 8),
        ("print", "print", 9),
        ("array", "array", 10),
        ("collect", "collectgarbage", 11),
        ("tostring", "tostring", 12),
        ("encode fn", "encode", 13),
        ("decode bad", "decode", 14),
        ("decode trailing", "decode", 15),
        ("rep", "rep", 16),
    ];
    assert_eq!(lines.len(), called.len());
    for (line, (what, function, at)) in lines.into_iter().zip(called) {
        let message = line
            .strip_prefix(what)
            .and_then(|it| it.strip_prefix(": "))
            .unwrap();
        assert!(!message.contains('['), "{line}");
        if message.contains(".lua:") {
            assert!(message.starts_with(&format!("{file}:{at}: ")), "{line}");
        }
        if let Some((_, named)) = message.split_once(" to '") {
            assert!(named.starts_with(&format!("{function}'")), "{line}");
        }
    }
}

fn failed_item(file: &str) {
    let state = result(&["run", file]);
    assert_eq!(state["ok"], json!([10, 30]));
    let bad = &state["bad"][0];
    assert_eq!(
        (&bad["item"], &bad["index"]),
        (&json!(2), &json!(1)),
        "{bad}"
    );
    assert_eq!(
        bad["error_value"],
        json!({"code": 42, "why": "two"}),
        "{bad}"
    );
    assert_eq!(bad["last_state"]["got"], 20, "{bad}");
}

fn failing_guard(file: &str) {
    let ran = ran(&["run", file]);
    assert_eq!(ran.json()["status"], 200);
    assert!(
        ran.stderr
            .contains("warning: the condition `state.age < 18`"),
        "{ran:?}"
    );
    let (_folder, file) = strict(file);
    let failed = self::ran(&["run", &file]);
    failed.assert_failed(
        1,
        &["`state.age < 18`", "can't compare a number with a string"],
    );
}

fn integers_of_any_length(file: &str) {
    let value = evaluated(file);
    for (ok, message) in [(0, 1), (2, 3), (4, 5)] {
        assert_eq!(value[ok], false, "{value}");
        assert!(
            value[message].as_str().unwrap().contains("quote"),
            "{value}"
        );
    }
    assert!(value[1].as_str().unwrap().contains("ids[2]"), "{value}");
}

fn interrupt_flags(file: &str) {
    let folder = Folder::new();
    let checkpoints = folder.path("checkpoints").display().to_string();
    let flags = ["--interrupt-after", "a,b", "--checkpoint-dir", &checkpoints];
    let stopped = run(command(&["run", file]).args(flags));
    stopped.assert_failed(130, &["interrupted after `a`"]);
    let resume = ["resume", &checkpoints, "--workflow", file];
    ran(&resume).assert_failed(130, &["interrupted after `b`"]);
    assert_eq!(result(&resume)["trail"], "abc");
}

fn map_by_numeric_id(file: &str) {
    ran(&["run", file]).assert_failed(1, &["node 'b'", "by_id", "tostring"]);
    let without = |text: String| {
        let lines = text.lines().filter(|line| !line.contains("name: b,"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let (_folder, file) = changed(file, without);
    assert_eq!(result(&["run", &file])["by_id"], json!([5, 6]));
}

fn matrix(file: &str) {
    let all = json!(["linux1", "linux2", "mac2", "bsd3"]);
    assert_eq!(result(&["run", file])["all"], all);
}

fn one_mistake(file: &str) {
    let ran = ran(&["validate", file]);
    ran.assert_failed(1, &["max_iterations"]);
    assert_eq!(errors(&ran), 1, "{ran:?}");
}

fn empty_overlay(file: &str) {
    let ran = ran(&["run", "overlay/base.yaml", "-f", file, "--dump-merged"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    let base = std::fs::read_to_string(folder().join("overlay/base.yaml")).unwrap();
    let parsed = |text| serde_yaml::from_str::<Value>(text).unwrap();
    assert_eq!(parsed(&ran.stdout), parsed(&base));
}

fn finished_run(file: &str) {
    let folder = Folder::new();
    let checkpoints = folder.path("checkpoints").display().to_string();
    let stopped = ran(&["run", file, "--checkpoint-dir", &checkpoints]);
    stopped.assert_failed(130, &["interrupted after `ask`"]);
    let resume = |amount| ran(&["resume", &checkpoints, "--workflow", file, "-i", amount]);
    assert_eq!(resume(r#"{"amount": 10}"#).json()["paid"], 10);
    resume(r#"{"amount": 99}"#).assert_failed(1, &["over"]);
}

fn nested_nulls(file: &str) {
    let input = r#"{"user": {"name": "Ann", "phone": null}, "top": null}"#;
    let state = result(&["run", file, "-i", input]);
    assert_eq!(state["user"], json!({"name": "Ann", "phone": null}));
    assert_eq!(state.get("top"), Some(&Value::Null));
    for entry in state["parallel_results"].as_array().unwrap() {
        assert_eq!(entry.get("error"), Some(&Value::Null), "{entry}");
    }
}

fn source_not_utf8(file: &str) {
    assert_eq!(evaluated(file), 1);
}

fn source_with_shebang(file: &str) {
    assert_eq!(evaluated(file), 1);
}

fn packed_strings(file: &str) {
    assert_eq!(evaluated(file), json!([true, "abc", 12]));
}

fn edges_with_a_type(file: &str) {
    for (mode, at) in [("b", "b"), ("other", "a")] {
        let input = json!({"mode": mode}).to_string();
        assert_eq!(result(&["run", file, "-i", &input])["at"], at);
    }
}

fn description_and_version(file: &str) {
    let ran = ran(&["run", file]);
    assert_eq!((&ran.json()["total"], &*ran.stderr), (&json!(3), ""));
}

fn parallel_config(file: &str) {
    let ran = ran(&["run", file]);
    assert_eq!(ran.json()["ran"], 0);
    assert!(!ran.stderr.contains("parallel_config"), "{ran:?}");
}

fn run_of_an_expression(file: &str) {
    let ran = ran(&["run", file, "-i", r#"{"x": 4}"#]);
    if ran.code == Some(0) {
        assert_eq!(ran.json()["doubled"], 8);
    } else {
        ran.assert_failed(1, &["expression"]);
        assert_eq!(errors(&ran), 1, "{ran:?}");
    }
}

fn timeout_as_written(file: &str) {
    let message = result(&["run", file])["msg"].to_string();
    assert!(message.contains("ran longer than 50ms"), "{message}");
}

fn traceback_of_a_coroutine(file: &str) {
    let said = [format!("{file}:1: "), format!("{file}:2: ")];
    let said = ["'inner'", "'outer'", &said[0], &said[1]];
    ran(&["eval", &format!("@{file}")]).assert_failed(1, &said);
}

fn typo_in_a_condition(file: &str) {
    let ran = ran(&["validate", file]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for said in ["warning", "`stat`", "`state`"] {
        assert!(ran.stderr.contains(said), "no {said:?} in {ran:?}");
    }
    let (_folder, file) = strict(file);
    self::ran(&["validate", &file]).assert_failed(1, &["error", "`stat`", "`state`"]);
}

fn unknown_names_in_templates(file: &str) {
    let folder = Folder::new();
    let grant = format!("out={}:rw", folder.path("").display());
    ran(&["run", file, "--folder", &grant]).assert_failed(1, &["secrets", "env"]);
    assert!(!folder.path("s.txt").exists(), "it ran");
}

fn exact_numbers(file: &str) {
    let ran = ran(&["run", file, "-i", "@data/exact.json"]);
    ran.assert_failed(1, &["big", "justover", "quote"]);
    assert!(!ran.stderr.contains("price"), "{ran:?}");
    let text = std::fs::read_to_string(folder().join("data/exact.json")).unwrap();
    let mut input: Value = serde_json::from_str(&text).unwrap();
    let input = input.as_object_mut().unwrap();
    input.remove("big");
    input.remove("justover");
    let mut state = result(&["run", file, "-i", &json!(input).to_string()]);
    assert_eq!(
        state.as_object_mut().unwrap().remove("seen"),
        Some(json!(true))
    );
    for (key, value) in input {
        assert_eq!(state[key].as_f64(), value.as_f64(), "{key}: {state}");
    }
    assert_eq!(state["i"], json!(i64::MIN));
}

fn syntax_error(file: &str) {
    let ran = ran(&["validate", file]);
    ran.assert_failed(1, &[&format!("{file}:6:"), "error ["]);
    assert_eq!(errors(&ran), 1, "{ran:?}");
}
