//! Input that can't be run: a clear error with place and cause, exit code 1, and nothing on
//! standard output.

use rstest::rstest;

use crate::command::{Folder, Ran, moonfork, run};

/// Runs a workflow with this text as the file `w.yaml`.
fn run_workflow(text: impl AsRef<[u8]>, args: &[&str]) -> Ran {
    let folder = Folder::new();
    let file = folder.file("w.yaml", text);
    run(moonfork().arg("run").arg(file).args(args))
}

#[test]
fn a_missing_file() {
    let missing = Folder::new().path("missing.yaml");
    run(moonfork().arg("run").arg(&missing)).assert_failed(
        1,
        &[
            &format!("{}: error [FILE_UNREADABLE]: ", missing.display()),
            "No such file",
        ],
    );
}

#[rstest]
#[case::bad_yaml("nodes:\n  - name: [\n", &["w.yaml:3:1: error [YAML_PARSE]: while parsing"])]
#[case::not_utf8(b"nodes: \xff", &["w.yaml: error [FILE_UNREADABLE]: not UTF-8: the byte at offset 7"])]
#[case::empty("", &["w.yaml: error [INVALID_ROOT]: the file is empty"])]
#[case::unknown_key(
    "nodes:\n  - name: a\n    rnu: return 1\n",
    &["w.yaml:3:5: error [UNKNOWN_KEY]: a node has no key `rnu`", "hint: did you mean `run`?"]
)]
#[case::edge_to_nothing(
    "nodes: [{name: a}]\nedges:\n  - from: a\n    to: missing\n",
    &["w.yaml:4:9: error [EDGE_TO_UNDEFINED]: an edge to `missing`"]
)]
#[case::a_way_to_nowhere(
    "nodes:\n  - name: a\n    goto: b\n",
    &["w.yaml:3:11: error [GOTO_UNDEFINED]: `goto` leads to `b`"]
)]
#[case::a_loop_without_end(
    "nodes:\n  - name: a\n    goto: a\n",
    &["w.yaml:2:11: node 'a': max iterations (1000) exceeded"]
)]
#[case::lua_that_does_not_parse(
    "nodes:\n  - name: a\n    run: |\n      local x = 1\n      retrun x\n",
    &["w.yaml:5: error [LUA_SYNTAX]: the Lua of `a`", "near 'x'"]
)]
#[case::lua_that_fails(
    "nodes:\n  - name: a\n    run: |\n      local x\n      return {n = x.y}\n",
    &["w.yaml:5: node 'a': attempt to index a nil value (local 'x')\n", "node 'a':5: in main chunk"]
)]
fn a_file_that_is_not_a_workflow(#[case] text: impl AsRef<[u8]>, #[case] said: &[&str]) {
    run_workflow(text, &[]).assert_failed(1, said);
}

#[rstest]
#[case::in_lua("while true do end")]
#[case::in_a_pcall("while true do pcall(function() while true do end end) end")]
#[case::in_a_coroutine("coroutine.wrap(function() while true do end end)()")]
#[case::in_a_c_function("string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))")]
fn lua_that_runs_forever(#[case] code: &str) {
    let text = format!("nodes:\n  - name: endless\n    run: {code}\n");
    run_workflow(text, &["--wall", "200ms"]).assert_failed(
        1,
        &[
            "w.yaml:3: node 'endless': ",
            "node 'endless'",
            "longer than 200ms",
        ],
    );
}

#[test]
fn lua_that_takes_all_memory() {
    let text = "nodes: [{name: a, run: 'local t = {} while true do t[#t + 1] = {} end'}]\n";
    run_workflow(text, &["--memory", "16MiB"]).assert_failed(
        1,
        &[
            "w.yaml:1: node 'a': ",
            "not enough memory: the limit is 16MiB (at node 'a':1)",
        ],
    );
}

#[test]
fn all_mistakes_of_a_file_are_listed() {
    let text = "nodes: [{name: a, rnu: x}]\nedges: [{from: a, to: b}]\n";
    let ran = run_workflow(text, &[]);
    ran.assert_failed(1, &["w.yaml:1:19: ", "w.yaml:2:23: "]);
}

#[rstest]
#[case::missing_file("@missing.json", &["missing.json", "No such file"])]
#[case::missing_text("text=@missing.txt", &["missing.txt", "No such file"])]
#[case::no_json("@bad.json", &["bad.json:2:3: not JSON: "])]
#[case::no_object("@list.json", &["list.json: the input must be a JSON object, not an array"])]
fn input_files_that_do_not_hold_what_they_should(#[case] input: &str, #[case] said: &[&str]) {
    let folder = Folder::new();
    let file = folder.file("w.yaml", "nodes: [{name: a}]\n");
    folder.file("bad.json", "{\n  nonsense\n}");
    folder.file("list.json", "[1]");
    let mut command = moonfork();
    command.current_dir(folder.path(""));
    run(command.arg("run").arg(file).args(["-i", input])).assert_failed(1, said);
}

#[test]
fn a_report_that_cannot_be_written() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", "nodes: [{name: a}]\n");
    let report = folder.path("no/such/folder.json");
    run(moonfork().arg("run").arg(file).arg("--report").arg(report))
        .assert_failed(1, &["the report: ", "folder.json", "No such file"]);
}
