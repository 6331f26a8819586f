//! `moonfork validate`: what can be known before a run, of one file or of many.

use serde_json::{Value, json};

use crate::command::{Folder, moonfork, run};

#[test]
fn no_lua_is_run() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes: [{name: a, run: error('never')}, {name: b}]\n",
    );
    let ran = run(moonfork().arg("validate").arg(&file));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected = format!(
        "{}: ok (2 nodes, 0 edges; no Lua was run)\n",
        file.display()
    );
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        (expected.as_str(), "")
    );
}

#[test]
fn mistakes_are_listed_in_the_order_of_the_file() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes:\n  - {nam: a}\n  - {name: b, run: [], gota: x}\n",
    );
    let ran = run(moonfork().arg("validate").arg(&file));
    ran.assert_failed(1, &[]);
    let file = file.display();
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(
        lines,
        [
            &format!("{file}:2:6: error [UNKNOWN_KEY]: a node has no key `nam`"),
            "  hint: did you mean `name`?",
            &format!("{file}:3:20: error [INVALID_NODE]: `run` must be a string, not a list"),
            &format!("{file}:3:24: error [UNKNOWN_KEY]: a node has no key `gota`"),
            "  hint: did you mean `goto`?",
        ]
    );
}

#[test]
fn several_files_are_looked_at_and_one_that_is_wrong_fails_them() {
    let folder = Folder::new();
    let good = folder.file("good.yaml", "nodes: [{name: a}]\n");
    let bad = folder.file("bad.yaml", "nodes: [{name: a, run: 'x ='}]\n");
    let missing = folder.path("missing.yaml");
    let ran = run(moonfork().arg("validate").args([&bad, &missing, &good]));
    let of_bad = format!("{}:1: error [LUA_SYNTAX]: ", bad.display());
    let of_missing = format!("{}: error [FILE_UNREADABLE]: ", missing.display());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for said in [&of_bad, &of_missing] {
        assert!(ran.stderr.contains(said), "no {said:?} in {ran:?}");
    }
    let ok = format!(
        "{}: ok (1 nodes, 0 edges; no Lua was run)\n",
        good.display()
    );
    assert_eq!(ran.stdout, ok);
    let ran = run(moonfork().arg("validate").args([&good, &good]));
    assert_eq!((ran.code, ran.stdout), (Some(0), ok.repeat(2)));
}

#[test]
fn json_is_a_list_of_problems() {
    let folder = Folder::new();
    let good = folder.file("good.yaml", "nodes: [{name: a, run: 'return {}'}]\n");
    let bad = folder.file("bad.yaml", "nodes:\n  - {name: a, rnu: x}\n");
    let mut command = moonfork();
    let ran = run(command
        .args(["validate", "--format", "json"])
        .args([&good, &bad]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let problems: Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = json!([{
        "file": bad.display().to_string(), "line": 2, "column": 15, "severity": "error",
        "code": "UNKNOWN_KEY", "message": "a node has no key `rnu`", "hint": "did you mean `run`?",
    }]);
    assert_eq!(problems, expected);
    let mut command = moonfork();
    let ran = run(command.args(["validate", "--format", "json"]).arg(&good));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "[]\n"));
}

#[test]
fn what_is_not_granted_is_a_warning_with_the_flag_that_grants_it() {
    let folder = Folder::new();
    let text = "nodes: [{name: a, uses: write_file, with: {path: d/x, content: x}}]\n";
    let file = folder.file("w.yaml", text);
    let ran = run(moonfork().arg("validate").arg(&file));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning [NOT_GRANTED]"), "{ran:?}");
    assert!(
        ran.stderr.contains("hint: --folder d=PATH:rw grants it"),
        "{ran:?}"
    );
    let grant = format!("d={}:rw", folder.path("").display());
    let ran = run(moonfork()
        .arg("validate")
        .arg(&file)
        .args(["--folder", &grant]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}
