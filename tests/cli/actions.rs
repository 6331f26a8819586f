//! Host functions that the command line offers as actions, each behind a grant.

use serde_json::json;

use crate::command::{Folder, moonfork, run};

#[test]
fn files_are_read_and_written_in_granted_folders() {
    let folder = Folder::new();
    folder.file("in.txt", "hello");
    let file = folder.file(
        "w.yaml",
        "
nodes:
  - {name: read, uses: read_file, with: {path: d/in.txt}, output: text}
  - {name: change, run: 'return {text = state.text:upper(), data = {1, 2}}'}
  - {name: write, uses: write_file, with: {path: d/out.txt, content: '{{ state.text }}!'}, output: written}
  - {name: data, uses: write_file, with: {path: d/out.json, content: '{{ state.data }}'}, output: written}
  - {name: more, uses: write_file, with: {path: d/out.txt, content: '?', append: true}, output: written}
",
    );
    let grant = format!("d={}:rw", folder.path("").display());
    let ran = run(moonfork().arg("run").arg(&file).args(["--folder", &grant]));
    assert_eq!(
        ran.json()["written"],
        json!({"path": "d/out.txt", "bytes": 1})
    );
    let read = |name: &str| std::fs::read_to_string(folder.path(name)).expect("it was written");
    assert_eq!(
        (read("out.txt"), read("out.json")),
        ("HELLO!?".into(), "[1,2]".into())
    );
}

#[test]
fn nothing_is_granted_by_itself() {
    let folder = Folder::new();
    let read = folder.file(
        "r.yaml",
        "nodes: [{name: a, uses: read_file, with: {path: d/in.txt}}]\n",
    );
    run(moonfork().arg("run").arg(&read)).assert_failed(
        1,
        &[
            "the host function `read_file`, which isn't granted",
            "--folder NAME=PATH grants it",
        ],
    );

    let write = folder.file(
        "w.yaml",
        "nodes: [{name: a, uses: write_file, with: {path: d/x, content: x}}]\n",
    );
    let read_only = format!("d={}", folder.path("").display());
    let ran = run(moonfork()
        .arg("run")
        .arg(&write)
        .args(["--folder", &read_only]));
    ran.assert_failed(
        1,
        &[
            "the host function `write_file`, which isn't granted",
            "--folder NAME=PATH:rw grants it",
        ],
    );
    assert!(!folder.path("x").exists());
}

#[test]
fn no_path_leads_out_of_a_folder() {
    let folder = Folder::new();
    folder.file("secret", "x");
    std::fs::create_dir(folder.path("sub")).unwrap();
    let grant = format!("d={}:rw", folder.path("sub").display());
    for path in [
        "d/../secret",
        "other/secret",
        "/etc/hostname",
        "d//etc/hostname",
    ] {
        let workflow =
            json!({"nodes": [{"name": "a", "uses": "read_file", "with": {"path": path}}]});
        let file = folder.file("w.yaml", workflow.to_string());
        let ran = run(moonfork().arg("run").arg(&file).args(["--folder", &grant]));
        ran.assert_failed(1, &[]);
        assert!(
            ran.stderr.contains("node 'a': read_file: ") || ran.stderr.contains("[NOT_GRANTED]"),
            "{ran:?}"
        );
    }
}

#[test]
fn lua_runs_on_each_line_of_a_file() {
    let folder = Folder::new();
    folder.file("in.jsonl", "{\"n\": 1}\n\n{\"n\": 2}\n[3]\n");
    let file = folder.file(
        "w.yaml",
        "
nodes:
  - name: here
    uses: run_json_lines
    with: {path: d/in.jsonl, run: 'seen = (seen or 0) + 1 return {n = (state.n or state[1]) * 10, seen = seen}'}
    output: results
  - name: there
    uses: run_json_lines
    with: {path: d/in.jsonl, run: 'return {n = state.n}', output: d/out.jsonl}
    output: written
",
    );
    let grant = format!("d={}:rw", folder.path("").display());
    let state = run(moonfork().arg("run").arg(&file).args(["--folder", &grant])).json();
    // Each line has an instance of its own: no global lasts.
    assert_eq!(
        state["results"],
        json!([{"n": 10, "seen": 1}, {"n": 20, "seen": 1}, {"n": 30, "seen": 1}])
    );
    assert_eq!(state["written"], json!({"path": "d/out.jsonl", "lines": 3}));
    let out = std::fs::read_to_string(folder.path("out.jsonl")).unwrap();
    assert_eq!(out, "{\"n\":1}\n{\"n\":2}\n{}\n");
}

#[test]
fn a_bad_line_is_said_by_its_number() {
    let folder = Folder::new();
    let grant = format!("d={}", folder.path("").display());
    for (text, run_code, said) in [
        ("1\n{\n", "return 1", "`d/in.jsonl`, line 2: not JSON: "),
        (
            "{}\n{\"ids\": [1, 9223372036854775808]}\n",
            "return 1",
            "`d/in.jsonl`, line 2: state.ids[2] is 9223372036854775808: ",
        ),
        (
            "{\"a\": 1, \"a\": 2}\n",
            "return 1",
            "`d/in.jsonl`, line 1: the key state.a is there twice",
        ),
        (
            "1\n2\n",
            "if state == 2 then error('two') end",
            "line 2: d/in.jsonl:2:1: two",
        ),
    ] {
        folder.file("in.jsonl", text);
        let with = json!({"path": "d/in.jsonl", "run": run_code});
        let workflow = json!({"nodes": [{"name": "a", "uses": "run_json_lines", "with": with}]});
        let file = folder.file("w.yaml", workflow.to_string());
        let ran = run(moonfork().arg("run").arg(&file).args(["--folder", &grant]));
        ran.assert_failed(1, &[said]);
    }
}
