//! Lua in files of its own, beneath the folder of the workflow.

use std::fs;

use moonfork::workflow::{RunSettings, Workflow};
use rstest::rstest;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::common;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[track_caller]
fn state(folder: &TempDir) -> Value {
    let workflow = Workflow::load(folder.path().join("w.yaml"));
    let workflow = workflow.unwrap_or_else(|error| panic!("{error}"));
    let run = workflow.run(common::pool(), Map::new(), &RunSettings::new());
    Value::Object(run.unwrap_or_else(|error| panic!("{error}")).state)
}

fn problems(folder: &TempDir) -> String {
    let loaded = Workflow::load(folder.path().join("w.yaml"));
    loaded.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_node_runs_a_file_and_requires_another() {
    let folder = folder(&[
        (
            "w.yaml",
            "modules: {util: lua/util.lua}\nnodes: [{name: a, run: {file: lua/total.lua}}]\n",
        ),
        (
            "lua/total.lua",
            "local util = require('util')\nreturn {total = util.twice(21)}\n",
        ),
        (
            "lua/util.lua",
            "return {twice = function(n) return 2 * n end}\n",
        ),
    ]);
    assert_eq!(state(&folder), json!({"total": 42}));
}

#[test]
fn a_module_is_there_in_branches_and_under_narrow_capabilities() {
    let text = "
modules: {util: util.lua}
settings: {capabilities: []}
nodes:
  - {name: a, run: &code 'return {n = require(\"util\").n}'}
  - {name: b, run: *code, capabilities: []}
  - {name: z}
edges: [{from: __start__, parallel: [a, b], fan_in: z}]
";
    let folder = folder(&[("w.yaml", text), ("util.lua", "return {n = 7}")]);
    let state = state(&folder);
    for entry in state["parallel_results"].as_array().unwrap() {
        assert_eq!(entry["state"]["n"], json!(7), "{entry}");
    }
}

#[test]
fn a_file_is_relative_to_the_workflow_that_names_it() {
    let folder = folder(&[
        (
            "w.yaml",
            "
nodes:
  - {name: a, type: dynamic_parallel, items: '{{ [1, 2] }}', fan_in: z, subgraph: sub/s.yaml}
  - {name: z}
",
        ),
        (
            "sub/s.yaml",
            "modules: {m: m.lua}\nnodes: [{name: s, run: {file: f.lua}}]\n",
        ),
        ("sub/f.lua", "return {got = require('m')}"),
        ("sub/m.lua", "return 'm of sub'"),
    ]);
    let state = state(&folder);
    assert_eq!(
        state["parallel_results"][1]["state"]["got"],
        json!("m of sub")
    );
}

#[test]
fn a_mistake_is_said_with_the_line_of_the_file() {
    let folder = folder(&[
        (
            "w.yaml",
            "modules: {m: m.lua}\nnodes: [{name: a, run: {file: f.lua}}]\n",
        ),
        ("f.lua", "local x = 1\nretrun x\n"),
        ("m.lua", "return {\n"),
    ]);
    let workflow = Workflow::load(folder.path().join("w.yaml")).unwrap();
    let found = workflow.check(common::pool(), &RunSettings::new());
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .any(|it| it.contains("f.lua:2: error [LUA_SYNTAX]")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|it| it.contains("m.lua:2: error [LUA_SYNTAX]")),
        "{found:?}"
    );
}

#[rstest]
#[case::that_is_not_there("missing.lua", "the Lua file `missing.lua` can't be read: ")]
#[case::above_the_folder("../outside.lua", "the Lua file `../outside.lua` can't be read: ")]
#[case::of_the_system("/etc/hostname", "the Lua file `/etc/hostname` can't be read: ")]
#[case::a_folder("lua", "the Lua file `lua` can't be read: it is no file")]
fn a_file_that_cannot_be_read(#[case] name: &str, #[case] why: &str) {
    let outer = folder(&[("outside.lua", "return 1"), ("in/lua/x.lua", "")]);
    fs::write(
        outer.path().join("in/w.yaml"),
        format!("nodes:\n  - {{name: a, run: {{file: {name}}}}}\n"),
    )
    .unwrap();
    let error = Workflow::load(outer.path().join("in/w.yaml"))
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("w.yaml:2:27: error [FILE_UNREADABLE]: {why}")),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_leads_nowhere_outside() {
    let outer = folder(&[
        ("outside.lua", "return 1"),
        ("in/w.yaml", "nodes: [{name: a, run: {file: l.lua}}]\n"),
    ]);
    std::os::unix::fs::symlink(
        outer.path().join("outside.lua"),
        outer.path().join("in/l.lua"),
    )
    .unwrap();
    let error = Workflow::load(outer.path().join("in/w.yaml"))
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[FILE_UNREADABLE]: the Lua file `l.lua`"),
        "{error}"
    );
}

#[test]
fn code_and_file_at_once_are_refused() {
    let folder = folder(&[
        (
            "w.yaml",
            "nodes: [{name: a, run: {code: x = 1, file: f.lua}}]\n",
        ),
        ("f.lua", ""),
    ]);
    let error = problems(&folder);
    assert!(
        error.contains("[INVALID_NODE]: `run` has `code` or `file`, not both"),
        "{error}"
    );
}

#[test]
fn one_name_for_two_files_is_refused() {
    let folder = folder(&[
        (
            "w.yaml",
            "
modules: {m: a.lua}
nodes:
  - {name: a, type: dynamic_parallel, items: '{{ [1] }}', fan_in: z, subgraph: s.yaml}
  - {name: z}
",
        ),
        ("s.yaml", "modules: {m: b.lua}\nnodes: [{name: s}]\n"),
        ("a.lua", "return 1"),
        ("b.lua", "return 2"),
    ]);
    let error = problems(&folder);
    assert!(
        error.contains("s.yaml:1:14: error [MODULE_CONFLICT]: the module `m`"),
        "{error}"
    );
}
