//! `moonfork eval`.

mod cli;

use cli::{Folder, moonfork, run};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case::chunk("return 1 + 1", json!(2))]
#[case::expression("1 + 1", json!(2))]
#[case::nothing("local x = 1", json!(null))]
#[case::float("10 / 2", json!(5.0))]
#[case::table("{a = {1, 2}, b = null}", json!({"a": [1, 2], "b": null}))]
#[case::state_is_there("state.x == nil", json!(true))]
fn the_value_is_printed_as_json(#[case] code: &str, #[case] value: Value) {
    assert_eq!(run(moonfork().args(["eval", code])).json(), value);
}

#[test]
fn code_can_be_in_a_file_that_errors_name() {
    let folder = Folder::new();
    folder.file("good.lua", "local function f() return 42 end\nreturn f()\n");
    folder.file("bad.lua", "\nerror('boom')\n");
    let mut good = moonfork();
    good.current_dir(folder.path(""))
        .args(["eval", "@good.lua"]);
    assert_eq!(run(&mut good).json(), json!(42));
    let mut bad = moonfork();
    bad.current_dir(folder.path("")).args(["eval", "@bad.lua"]);
    run(&mut bad).assert_failed(1, &["error: bad.lua:2: boom"]);
}

#[test]
fn the_input_is_the_state() {
    let ran = run(moonfork().args(["eval", "state.a + state.b", "-i", "{\"a\": 1, \"b\": 2.5}"]));
    assert_eq!(ran.json(), json!(3.5));
}

#[test]
fn printed_text_goes_to_standard_error() {
    let ran = run(moonfork().args(["eval", "print('hello') return 1"]));
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("1\n", "hello\n")
    );
}

#[rstest]
#[case::no_lua("return (", &["error: eval:1: "])]
#[case::failing("error('boom')", &["error: eval:1: boom", "[C]: in function 'error'"])]
#[case::no_json("print", &["error: ", "function"])]
#[case::endless("while true do end", &["longer than 200ms"])]
fn failures(#[case] code: &str, #[case] said: &[&str]) {
    run(moonfork().args(["eval", "--wall", "200ms", code])).assert_failed(1, said);
}

#[test]
fn a_missing_file_is_named() {
    run(moonfork().args(["eval", "@missing.lua"]))
        .assert_failed(1, &["missing.lua", "No such file"]);
}
