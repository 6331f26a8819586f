//! `moonfork repl`, as it is when its input is a file.

use std::io::Write;
use std::process::Stdio;

use crate::command::{Ran, moonfork};

fn typed(flags: &[&str], text: &str) -> Ran {
    let mut child = moonfork()
        .arg("repl")
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn globals_last_from_line_to_line() {
    let ran = typed(&[], "x = 20\n\nx + 22\nprint(x)\n");
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "42\n", "20\n")
    );
}

#[test]
fn an_unfinished_line_goes_on_in_the_next() {
    let ran = typed(&[], "function f(n)\n  return n * 2\nend\nf(\n21)\n");
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "42\n", "")
    );
}

#[test]
fn an_error_is_said_and_the_next_line_runs() {
    let ran = typed(&[], "x = 1\nerror('boom')\nx = = 2\nx\n");
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "1\n"));
    assert!(ran.stderr.contains("error: repl:1: boom"), "{ran:?}");
    assert!(ran.stderr.contains("unexpected symbol"), "{ran:?}");
}

#[test]
fn a_line_that_is_stopped_loses_the_globals_and_says_so() {
    let ran = typed(&["--wall", "200ms"], "x = 1\nwhile true do end\nx == nil\n");
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "true\n"));
    assert!(ran.stderr.contains("longer than 200ms"), "{ran:?}");
    assert!(ran.stderr.contains("globals were lost"), "{ran:?}");
}

#[test]
fn what_is_no_json_is_printed_readably() {
    for (code, shown) in [
        ("{a = 1, f = print}", "{a = 1, f = function: "),
        ("print", "function: "),
        ("1, nil, 'x'", "1\nnull\n\"x\"\n"),
        ("null", ""),
        ("0/0", "nan\n"),
        ("1/0", "inf\n"),
        ("'\\xff\\n'", "\"\\xFF\\n\"\n"),
        ("coroutine.create(print)", "thread: "),
        (
            "setmetatable({}, {__tostring = function() return 'mine' end})",
            "mine\n",
        ),
    ] {
        let ran = typed(&[], &format!("{code}\n"));
        let value = ran.stdout.trim_start_matches('-');
        assert!(
            value.starts_with(shown) && (!value.is_empty() || shown.is_empty()),
            "{code}: {ran:?}"
        );
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{code}");
    }
    let ran = typed(
        &[],
        "t = {1, {2}, name = 'x', [true] = false} t.self = t\nt\n",
    );
    assert_eq!(
        ran.stdout,
        "{1, {2}, [true] = false, name = \"x\", self = <the table around it>}\n"
    );
    let ran = typed(&[], "t = {f = print} for i = 1, 200 do t[i] = i end\nt\n");
    assert!(ran.stdout.contains("... (200 in all)"), "{ran:?}");
    assert!(!ran.stdout.contains("101"), "{ran:?}");
}

#[test]
fn what_is_shown_does_not_depend_on_what_scripts_do_to_globals() {
    let text = "table, type, next, pcall, tostring, json, string = nil\n{1, print}\n1 + 1\n";
    let ran = typed(&[], text);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    assert!(
        ran.stdout.starts_with("{1, function: ") && ran.stdout.ends_with("\n2\n"),
        "{ran:?}"
    );
}

#[test]
fn nothing_of_the_repl_is_among_the_globals() {
    let code = "n = 0 for k in pairs(_G) do if type(k) ~= 'string' or k:find('repl') then n = n + 1 end end\nn\n";
    assert_eq!(typed(&[], code).stdout, "0\n");
}

#[test]
fn commands_begin_with_a_colon() {
    let ran = typed(
        &["--wall", "2s", "--clock"],
        ":help\n:limits\n:nonsense\n1\n:quit\n2\n",
    );
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "1\n"));
    for said in [
        ":limits",
        "Ctrl-C",
        "Wall-clock time",
        "2s",
        "64MiB",
        "--memory",
        "clock",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    assert!(ran.stderr.contains("no command `:nonsense`"), "{ran:?}");
    // In the middle of a statement it is Lua.
    assert_eq!(typed(&[], "('x'\n):rep(2)\n").stdout, "\"xx\"\n");
}

#[test]
fn an_error_that_is_a_table_is_shown() {
    let ran = typed(&[], "error({code = 404})\n");
    assert!(
        ran.stderr.contains("error value: {\"code\":404}"),
        "{ran:?}"
    );
}

#[test]
fn input_that_ends_too_early_is_a_failure() {
    typed(&[], "function f()\n").assert_failed(1, &["in the middle of a statement"]);
}

#[test]
fn a_fork_has_all_there_is_and_back_undoes_it() {
    let ran = typed(
        &[],
        "x = 1 function f() x = x + 1 return x end\n:fork\nf()\n:fork\nf()\n:back\nx\n:back\nx\nf()\n",
    );
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "2\n3\n2\n1\n2\n", "")
    );
    let ran = typed(&[], ":fork\nx = 1\n:back\nx == nil\n:back\n");
    assert_eq!(ran.stdout, "true\n");
    assert!(ran.stderr.contains("this is no fork"), "{ran:?}");
}

#[test]
fn a_fork_that_is_stopped_leads_back() {
    let ran = typed(
        &["--wall", "200ms"],
        "x = 1\n:fork\nx = 2\nwhile true do end\nx\n",
    );
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "1\n"));
    assert!(ran.stderr.contains("the fork is gone"), "{ran:?}");
    assert!(!ran.stderr.contains("globals were lost"), "{ran:?}");
}

#[test]
fn forks_are_bounded() {
    let ran = typed(&[], &format!("{}1\n", ":fork\n".repeat(16)));
    assert_eq!((&*ran.stdout, &*ran.stderr), ("1\n", ""));
    let ran = typed(&[], &format!("{}1\n", ":fork\n".repeat(17)));
    assert_eq!(ran.stdout, "1\n");
    assert!(ran.stderr.contains(":back drops one"), "{ran:?}");
}
