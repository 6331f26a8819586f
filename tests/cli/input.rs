//! `--input`: its forms, and what is wrong with some.

use std::io::Write;
use std::process::Stdio;

use rstest::rstest;
use serde_json::{Value, json};

use crate::command::{Folder, Ran, moonfork, run};

/// `moonfork eval state`, in this folder, with these inputs and this text on standard input.
fn eval_in(folder: &Folder, inputs: &[&str], typed: &str) -> Ran {
    let mut command = moonfork();
    command
        .current_dir(folder.path(""))
        .args(["eval", "state"])
        .args(inputs.iter().flat_map(|input| ["-i", input]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary can be started");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Who doesn't read it needn't.
    let _ = stdin.write_all(typed.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}

#[rstest]
#[case::nothing(&[], json!({}))]
#[case::an_object(&["{\"a\": 1}"], json!({"a": 1}))]
#[case::a_list(&["[1, null]"], json!([1, null]))]
#[case::a_text(&["\"x=y\""], json!("x=y"))]
#[case::a_number(&["-1.5"], json!(-1.5))]
#[case::null(&["null"], json!(null))]
#[case::a_key(&["a=1"], json!({"a": "1"}))]
#[case::a_key_of_json(&["a:=[1]"], json!({"a": [1]}))]
#[case::a_file(&["@in.json"], json!({"b": 2, "c": 3}))]
#[case::a_file_under_a_key(&["a:=@in.json"], json!({"a": {"b": 2, "c": 3}}))]
#[case::a_text_file_under_a_key(&["a=@in.json"], json!({"a": "\u{feff}{\"b\": 2, \"c\": 3}\n"}))]
#[case::standard_input(&["-"], json!({"typed": [true]}))]
#[case::standard_input_under_a_key(&["a:=@-"], json!({"a": {"typed": [true]}}))]
#[case::the_last_one_wins(&["@in.json", "b=x", "{\"d\": 4}", "d:=5"], json!({"b": "x", "c": 3, "d": 5}))]
fn the_forms(#[case] inputs: &[&str], #[case] expected: Value) {
    let folder = Folder::new();
    folder.file("in.json", "\u{feff}{\"b\": 2, \"c\": 3}\n");
    let ran = eval_in(&folder, inputs, "{\"typed\": [true]}\n");
    assert_eq!(ran.json(), expected);
}

#[rstest]
#[case::twice_on_the_command_line(&["{\"a\": 1, \"a\": 2}"], 2, &["--input", "1:10: the key state.a is there twice"])]
#[case::too_large(&["n:=123456789012345678901234567890"], 2, &["state.n is 123456789012345678901234567890", "quotes"])]
#[case::standard_input_twice(&["-", "a=@-"], 2, &["standard input can be read once only"])]
#[case::two_that_cannot_be_merged(&["a=1", "[1]"], 2, &["must be a JSON object, not an array"])]
#[case::nested(&["a[b]=1"], 2, &["a:='{\"b\": 1}'"])]
#[case::twice_in_a_file(&["@twice.json"], 1, &["error: twice.json:2:2: the key state.a is there twice"])]
#[case::not_utf8(&["a=@binary"], 1, &["error: binary: not UTF-8: the byte at offset 1"])]
#[case::a_folder(&["@."], 1, &["error: .: ", "directory"])]
#[case::typed(&["-"], 1, &["error: standard input:2:1: not JSON: "])]
fn what_is_wrong_is_said_with_its_place(
    #[case] inputs: &[&str],
    #[case] code: i32,
    #[case] said: &[&str],
) {
    let folder = Folder::new();
    folder.file("twice.json", "{\"a\": 1,\n \"a\": 2}");
    folder.file("binary", b"x\xff");
    eval_in(&folder, inputs, "{\nx}").assert_failed(code, said);
}

#[test]
fn every_number_that_lua_cannot_hold_is_named_with_its_path() {
    let folder = Folder::new();
    let text = "{\"big\": 123456789012345678901234567890, \"ok\": 1.10,\n \"list\": [1, 1e999]}";
    folder.file("in.json", text);
    let ran = eval_in(&folder, &["@in.json"], "");
    ran.assert_failed(
        1,
        &[
            "error: in.json:1:9: state.big is 123456789012345678901234567890",
            "error: in.json:2:14: state.list[2] is 1e999",
            "write it in quotes",
        ],
    );
    assert_eq!(ran.stderr.lines().count(), 2, "{ran:?}");
}

#[test]
fn a_workflow_takes_an_object_alone() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", "nodes: [{name: a}]\n");
    let list = folder.file("list.json", "[1]");
    let run_with = |input: &str| run(moonfork().arg("run").arg(&file).args(["-i", input]));
    run_with("[1]").assert_failed(2, &["--input: it must be a JSON object, not an array"]);
    run_with("5").assert_failed(2, &["--input: it must be a JSON object, not `5`"]);
    let listed = format!("@{}", list.display());
    run_with(&listed).assert_failed(1, &["list.json: the input must be a JSON object"]);
    assert_eq!(run_with("a=1").json(), json!({"a": "1"}));
}
