//! `moonfork eval`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::command::{Folder, moonfork, run};

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
    folder.file("script.lua", "\u{feff}#!/usr/bin/env lua\nerror('boom')\n");
    let mut script = moonfork();
    script
        .current_dir(folder.path(""))
        .args(["eval", "@script.lua"]);
    run(&mut script).assert_failed(1, &["error: script.lua:2: boom"]);
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

#[rstest]
#[case::clock("os.time()", &[], "--clock grants it")]
#[case::modules("require('tax')", &[], "--module NAME=FILE grants it")]
#[case::folders("fs.read('d/x')", &[], "--folder NAME=PATH grants it")]
#[case::folder("fs.read('d/x')", &["--folder", "here=."], "--folder d=PATH grants it")]
#[case::writing("fs.write('here/x', '')", &["--folder", "here=."], "--folder here=PATH:rw grants it")]
fn what_is_not_granted_names_the_flag_that_grants_it(
    #[case] code: &str,
    #[case] flags: &[&str],
    #[case] said: &str,
) {
    let folder = Folder::new();
    let mut command = moonfork();
    command.current_dir(folder.path("")).args(["eval", code]);
    run(command.args(flags)).assert_failed(1, &[said]);
}

#[test]
fn what_an_error_was_raised_with_is_shown() {
    let code = "error({code = 404, message = 'no such order'})";
    run(moonfork().args(["eval", code])).assert_failed(
        1,
        &["error value: {\"code\":404,\"message\":\"no such order\"}"],
    );
}

#[test]
fn quiet_leaves_out_what_the_code_prints_and_no_error() {
    let ran = run(moonfork().args(["eval", "-q", "print('text') return 1"]));
    assert_eq!((&*ran.stdout, &*ran.stderr), ("1\n", ""));
    let ran = run(moonfork().args(["eval", "-q", "print('text') error('boom')"]));
    assert!(!ran.stderr.contains("text\n"), "{ran:?}");
    ran.assert_failed(1, &["boom"]);
}

#[test]
fn a_missing_file_is_named() {
    run(moonfork().args(["eval", "@missing.lua"]))
        .assert_failed(1, &["missing.lua", "No such file"]);
}

#[rstest]
#[case::fuel(&["--fuel", "1000000"], "while true do end", "more than 1000000 units of fuel")]
#[case::memory(&["--memory", "8MiB"], "('x'):rep(1 << 25)", "not enough memory")]
#[case::host_calls(&["--host-calls", "2", "--module", "m=m.lua"], "for i = 1, 3 do pcall(require, 'x') end", "more than 2 host calls")]
fn limits_are_flags(#[case] flags: &[&str], #[case] code: &str, #[case] said: &str) {
    let folder = Folder::new();
    folder.file("m.lua", "return 1");
    let mut command = moonfork();
    command.current_dir(folder.path("")).arg("eval").args(flags);
    run(command.arg(code)).assert_failed(1, &[said]);
    let mut kept = moonfork();
    kept.current_dir(folder.path("")).arg("eval").args(flags);
    assert_eq!(run(kept.arg("1")).json(), json!(1));
}

#[test]
fn output_beyond_the_limit_is_cut_off_and_that_is_said() {
    let ran = run(moonfork().args(["eval", "--output", "3B", "print('hello') return 1"]));
    assert_eq!(ran.json(), json!(1));
    assert_eq!(
        ran.stderr,
        "helwarning: more was printed than the limit lets through\n"
    );
}

#[rstest]
#[case::fuel(&["--fuel", "0"])]
#[case::memory(&["--memory", "1KiB"])]
#[case::output(&["--output", "much"])]
#[case::wall(&["--wall", "0s"])]
#[case::host_calls(&["--host-calls", "many"])]
#[case::folder(&["--folder", "data"])]
#[case::module(&["--module", "=x"])]
#[case::seed(&["--seed", "x"])]
fn flags_that_can_not_be_are_mistakes_on_the_command_line(#[case] flags: &[&str]) {
    run(moonfork().arg("eval").args(flags).arg("1")).assert_failed(2, &[flags[0]]);
}

#[test]
fn grants_are_flags() {
    let folder = Folder::new();
    folder.file("tax.lua", "return {rate = 0.19}");
    folder.file("in.txt", "hello");
    let eval = |flags: &[&str], code: &str| {
        let mut command = moonfork();
        command.current_dir(folder.path("")).arg("eval").args(flags);
        run(command.arg(code))
    };
    assert_eq!(eval(&["--clock"], "os.time() > 1e9").json(), json!(true));
    eval(&[], "os.time()").assert_failed(1, &["the capability 'clock'"]);
    let module = ["--module", "tax=tax.lua"];
    assert_eq!(eval(&module, "require('tax').rate").json(), json!(0.19));
    let reads = ["--folder", "here=."];
    assert_eq!(
        eval(&reads, "fs.read('here/in.txt')").json(),
        json!("hello")
    );
    eval(&reads, "fs.write('here/out.txt', 'x')").assert_failed(1, &["for reading only"]);
    let writes = ["--folder", "here=.:rw"];
    eval(&writes, "fs.write('here/out.txt', 'bye')").json();
    assert_eq!(
        std::fs::read_to_string(folder.path("out.txt")).unwrap(),
        "bye"
    );
    let seed = ["--seed", "7"];
    let random = "math.random(1000000)";
    assert_eq!(eval(&seed, random).json(), eval(&seed, random).json());
    eval(&["--folder", "here=absent"], "1").assert_failed(1, &["absent", "can't be granted"]);
    eval(&["--folder", "here=.", "--folder", "here=/"], "1")
        .assert_failed(2, &["two folders are named 'here'"]);
    eval(&["--module", "m=absent.lua"], "1").assert_failed(1, &["absent.lua"]);
    eval(&["--module", "tax=tax.lua", "--module", "tax=in.txt"], "1")
        .assert_failed(2, &["two modules are named 'tax'"]);
}

#[rstest]
#[case::done("print('x') return 1", "done")]
#[case::failed("print('x') error('boom')", "failed")]
fn the_report_is_written_either_way(#[case] code: &str, #[case] status: &str) {
    let folder = Folder::new();
    let path = folder.path("report.json");
    run(moonfork().args(["eval", code, "--report"]).arg(&path));
    let report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(report["outcome"]["status"], status);
    assert_eq!(report["output"], "x\n");
    assert_eq!(report["schema_version"], 1);
    assert!(report["store_id"].is_u64());
}

#[test]
fn a_stopped_script_says_where_it_was() {
    run(moonfork().args(["eval", "--wall", "200ms", "local x\n\nwhile true do end"]))
        .assert_failed(
            1,
            &["longer than 200ms (at eval:3)", "  eval:3: in main chunk"],
        );
}

#[test]
fn preludes_run_before_the_code() {
    let folder = Folder::new();
    folder.file("lib.lua", "function twice(x) return 2 * x end\n");
    folder.file("data.lua", "n = twice(21)\n");
    let eval = |flags: &[&str], code: &str| {
        let mut eval = moonfork();
        run(eval
            .current_dir(folder.path(""))
            .arg("eval")
            .args(flags)
            .arg(code))
    };
    let both = ["--prelude", "lib.lua", "--prelude", "data.lua"];
    assert_eq!(eval(&both, "n").json(), json!(42));
    eval(&["--prelude", "data.lua"], "n").assert_failed(1, &["data.lua:1: ", "'twice'"]);
    eval(&["--prelude", "none.lua"], "1").assert_failed(1, &["none.lua"]);
    let mut repl = moonfork();
    let repl = repl
        .current_dir(folder.path(""))
        .args(["repl", "--prelude", "lib.lua"])
        .stdin(std::fs::File::open(folder.file("typed.txt", "twice(4)\n")).unwrap());
    assert_eq!(run(repl).stdout, "8\n");
}
