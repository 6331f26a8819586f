//! `moonfork validate`: structure only.

use crate::command::{Folder, moonfork, run};

#[test]
fn no_lua_is_run_nor_parsed() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes: [{name: a, run: error('never')}, {name: b, run: 'no ( lua'}]\n",
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
