//! `moonfork plugin`.

use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::command::{Folder, moonfork, run};

/// The example plugins.
fn examples() -> &'static Path {
    Path::new("examples/plugins")
}

/// A folder with one plugin in one file, which wants what there is to be granted.
fn folder(manifest: &str, lua: &str) -> Folder {
    let folder = Folder::new();
    let text =
        format!("--[==[ plugin\nname = \"one\"\nversion = \"1.0.0\"\n{manifest}\n]==]\n{lua}\n");
    folder.file("one.lua", text);
    folder
}

fn plugin(command: &str) -> std::process::Command {
    let mut moonfork = moonfork();
    moonfork
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["plugin", command]);
    moonfork
}

#[test]
fn list_tells_what_plugins_say_of_themselves() {
    let ran = run(plugin("list").arg(examples()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("log-parser 1.2.0: "), "{ran:?}");
    assert!(lines[1].starts_with("  parse: "), "{ran:?}");
    assert!(lines[3].starts_with("pricing 0.3.1: ") && lines[3].ends_with("(keeps instances)"));

    let manifests = run(plugin("list").arg("--json").arg(examples())).json();
    assert_eq!(manifests[0]["name"], "log-parser");
    assert_eq!(manifests[1]["wants"]["functions"], json!(["list_price"]));
}

#[test]
fn list_runs_nothing() {
    let folder = folder("exports = {run = ''}", "error('this was run')");
    let ran = run(plugin("list").arg(folder.path("")));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn check_says_what_is_sound() {
    let mut check = plugin("check");
    check.args(["--kept", "--variable", "currency=\"EUR\""]);
    let ran = run(check.arg(examples()));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "log-parser 1.2.0: ok\npricing 0.3.1: ok\n");
}

#[test]
fn check_lists_everything_that_is_wrong() {
    let folder = folder(
        "exports = {run = ''}\nwants = {clock = true}\nlimitts = {}",
        "",
    );
    folder.file("other.lua", "");
    let (one, other) = (folder.path("one.lua"), folder.path("other.lua"));
    let ran = run(plugin("check").arg(folder.path("")));
    ran.assert_failed(
        1,
        &[
            &format!("{}:6:1: error [UNKNOWN_KEY]: a manifest has no key `limitts`\n  hint: did you mean `limits`?", one.display()),
            &format!("{}:1: error [MANIFEST_MISSING]", other.display()),
        ],
    );
}

#[test]
fn check_blames_no_plugin_for_its_neighbour() {
    let folder = folder(
        "exports = {run = ''}\nwants = {functions = ['lookup']}",
        "function run() end",
    );
    folder.file("other.lua", "");
    let ran = run(plugin("check").arg(folder.path("")));
    ran.assert_failed(1, &["other.lua:1: error [MANIFEST_MISSING]"]);
    assert_eq!(ran.stderr.matches("error [").count(), 1, "{ran:?}");
}

#[test]
fn check_grants_what_its_flags_say_and_nothing_else() {
    let folder = folder(
        "exports = {run = ''}\n[wants]\nclock = true",
        "function run() end",
    );
    run(plugin("check").arg(folder.path("")))
        .assert_failed(1, &["one.lua:6:1: error [NOT_GRANTED]"]);
    let ran = run(plugin("check").arg("--clock").arg(folder.path("")));
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "one 1.0.0: ok\n"),
        "{ran:?}"
    );
}

#[test]
fn call_prints_the_result() {
    let line =
        json!("10.0.0.1 - - [12/Mar/2024:10:15:32 +0000] \"GET /a HTTP/1.1\" 200 5").to_string();
    let ran = run(plugin("call")
        .arg(examples())
        .args(["log-parser", "parse", &line]));
    let fields = ran.json();
    assert_eq!(
        (&fields["path"], &fields["status"]),
        (&json!("/a"), &json!(200))
    );
    // The other plugin there wants more than was granted, which is nothing to speak of.
    assert_eq!(ran.stderr, "");
}

#[test]
fn call_speaks_of_the_plugin_that_was_asked_for_alone() {
    let folder = folder("exports = {run = ''}", "function run() return 1 end");
    folder.file("broken.lua", "--[[ plugin\nname = \n]]");
    folder.file(
        "greedy.lua",
        "--[[ plugin\nname = 'greedy'\nversion = '1.0.0'\nexports = {run = ''}\n\
         wants = {clock = true}\n]]\nprint('it ran')\nfunction run() end",
    );
    let ran = run(plugin("call").arg(folder.path("")).args(["one", "run"]));
    assert_eq!((ran.json(), &*ran.stderr), (json!(1), ""));
    let ran = run(plugin("call").arg(folder.path("")).args(["greedy", "run"]));
    ran.assert_failed(1, &["greedy.lua:5:10: error [NOT_GRANTED]", "--clock"]);
    assert_eq!(ran.stderr.matches("error").count(), 1, "{ran:?}");
    // One that isn't there may be the one that can't be read.
    let ran = run(plugin("call").arg(folder.path("")).args(["greeedy", "run"]));
    ran.assert_failed(1, &["broken.lua:2:", "did you mean `greedy`?"]);
}

#[test]
fn what_is_not_granted_is_said_with_the_flags_that_grant_it() {
    let folder = folder(
        "exports = {run = ''}\ninstance = 'kept'\n[wants]\nclock = true\nmodules = ['tax']\n\
         variables = ['rate', 'other']\nfolders = {data = 'read-only', out = 'read-write'}",
        "function run() end",
    );
    let flags = "to grant what is wanted: --clock --folder data=PATH --folder out=PATH:rw --kept \
                 --module tax=FILE --variable other=JSON --variable rate=JSON\n";
    run(plugin("check").arg(folder.path(""))).assert_failed(1, &["[NOT_GRANTED]", flags]);
    let given = ["--clock", "--kept", "--variable", "rate=1"];
    let flags = "to grant what is wanted: --folder data=PATH --folder out=PATH:rw \
                 --module tax=FILE --variable other=JSON\n";
    let ran = run(plugin("call")
        .args(given)
        .arg(folder.path(""))
        .args(["one", "run"]));
    ran.assert_failed(1, &["[NOT_GRANTED]", flags]);
}

#[rstest]
#[case::values(&["1", "-2.5", "[null, \"x\"]"], json!([1, -2.5, [null, "x"]]))]
#[case::none(&[], json!([null, null, null]))]
#[case::file(&["@args.json"], json!([{"a": 1}, null, null]))]
fn arguments_are_json(#[case] args: &[&str], #[case] expected: Value) {
    let folder = folder(
        "exports = {run = ''}",
        "function run(...) return {n = 3, ...} end",
    );
    folder.file("args.json", "{\"a\": 1}");
    let mut call = plugin("call");
    call.current_dir(folder.path(""))
        .args(["one.lua", "one", "run"])
        .args(args);
    let mut result = run(&mut call).json();
    let given: Vec<Value> = (1..=3).map(|n| result[n.to_string()].take()).collect();
    assert_eq!(json!(given), expected);
}

#[test]
fn what_is_granted_is_there() {
    let folder = folder(
        "exports = {run = ''}\ninstance = 'kept'\n[wants]\nclock = true\nmodules = ['tax']\n\
         variables = ['rate']\nfolders = {data = 'read-only', out = 'read-write'}",
        "function run()\n\
         fs.write('out/new.txt', fs.read('data/in.txt'))\n\
         return {require('tax'), variables.rate[1], os.time() > 0}\nend",
    );
    for file in ["data/in.txt", "out/old.txt"] {
        std::fs::create_dir_all(folder.path(file).parent().unwrap()).unwrap();
        folder.file(file, "content");
    }
    folder.file("tax.lua.txt", "return 'tax'");
    let mut call = plugin("call");
    call.current_dir(folder.path("")).args([
        "--clock",
        "--kept",
        "--module",
        "tax=tax.lua.txt",
        "--variable",
        "rate=[19]",
        "--folder",
        "data=data",
        "--folder",
        "out=out:rw",
        "one.lua",
        "one",
        "run",
    ]);
    assert_eq!(run(&mut call).json(), json!(["tax", 19, true]));
    assert_eq!(
        std::fs::read_to_string(folder.path("out/new.txt")).unwrap(),
        "content"
    );
}

#[test]
fn printed_text_goes_to_standard_error_and_the_report_to_its_file() {
    let folder = folder(
        "exports = {run = '', fail = ''}",
        "function run() print('hello') return 1 end\nfunction fail() error('no') end",
    );
    let report = folder.path("report.json");
    let mut call = plugin("call");
    call.arg("--report")
        .arg(&report)
        .args(["--tenant", "acme"])
        .arg(folder.path(""));
    let ran = run(call.args(["one", "run"]));
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("1\n", "hello\n")
    );
    let read = || -> Value { serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap() };
    assert_eq!(
        (&read()["tenant"], &read()["run"]["outcome"]["status"]),
        (&json!("acme"), &json!("done"))
    );

    let mut call = plugin("call");
    call.arg("--report").arg(&report).arg(folder.path(""));
    run(call.args(["one", "fail"])).assert_failed(
        1,
        &[
            "error: plugin `one`: one.lua:7: no",
            "one.lua:7: in function",
        ],
    );
    assert_eq!(read()["run"]["outcome"]["status"], "failed");
}

#[rstest]
#[case::plugin(&["on", "run"], 1, "error [PLUGIN_MISSING]: there is no plugin `on`\n  hint: did you mean `one`?")]
#[case::function(&["one", "rum"], 1, "exports no function `rum`; did you mean `run`?")]
#[case::no_json(&["one", "run", "hello"], 2, "a string needs quotes")]
#[case::no_file(&["one", "run", "@absent.json"], 1, "absent.json")]
#[case::no_function(&["one"], 2, "<FUNCTION>")]
#[case::twice(&["one", "run", "{\"a\": 1, \"a\": 2}"], 2, "1:10: the key argument.a is there twice")]
#[case::two_variables(&["one", "run", "--variable", "a=1", "--variable", "a=2"], 2, "two variables are named 'a'")]
#[case::endless(&["one", "run", "true", "--wall", "200ms"], 1, "longer than 200ms")]
fn failures(#[case] args: &[&str], #[case] code: i32, #[case] said: &str) {
    let folder = folder("exports = {run = ''}", "function run(x) while x do end end");
    run(plugin("call").arg(folder.path("")).args(args)).assert_failed(code, &[said]);
}

#[test]
fn a_mistake_on_the_command_line_is_one() {
    run(&mut plugin("call")).assert_failed(2, &["Usage: "]);
    run(&mut plugin("frobnicate")).assert_failed(2, &["unrecognized subcommand"]);
    run(plugin("check").args(["--folder", "data", "x"]))
        .assert_failed(2, &["write it as NAME=PATH"]);
    run(plugin("list").arg("absent")).assert_failed(1, &["absent: error [FILE_UNREADABLE]"]);
}
