//! A run that was stopped says where its script was.

use std::ops::RangeInclusive;
use std::time::Duration;

use moonfork::{Cancel, Chunk, Error, Grants, Pool, RunOptions, Site};
use rstest::rstest;

use crate::common;

/// Runs `code` under a short limit and returns where it was stopped.
#[track_caller]
fn killed(code: &str) -> Site {
    let options = RunOptions::new().wall(Duration::from_millis(200));
    let mut branch = common::pool().branch_with(&options).unwrap();
    let error = branch
        .eval::<()>(Chunk::body(code).named("node 'spin'"))
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    site(&error)
}

#[track_caller]
fn site(error: &Error) -> Site {
    error.site().cloned().unwrap_or_else(|| panic!("{error}"))
}

#[rstest]
#[case::an_empty_loop("local x = 1\n\n\n\n\n\nwhile true do end\nreturn x", 7..=7)]
#[case::a_numeric_loop("local n = 0\nfor i = 1, math.huge do\nn = i\nend", 2..=3)]
#[case::a_repeat("local n = 0\nrepeat\nn = n + 1\nuntil false", 3..=4)]
#[case::a_goto("local n = 0\n::again::\ngoto again", 3..=3)]
#[case::endless_calls("local function f() end\nwhile true do\nf()\nend", 1..=4)]
#[case::in_pcall("pcall(function()\nlocal x\nwhile true do end\nend)", 3..=3)]
#[case::pcall_in_a_loop("while true do\npcall(error, 'x')\nend", 1..=3)]
#[case::errors_of_lua_itself_in_a_loop("while true do\npcall(string.rep)\nend", 1..=3)]
#[case::in_a_handler("xpcall(error, function()\nwhile true do end\nend)", 2..=2)]
#[case::while_an_error_passes("pcall(function()\nlocal x <close> = setmetatable({}, {__close = function()\nwhile true do end\nend})\nerror('x')\nend)", 3..=3)]
#[case::in_a_metamethod("local t = setmetatable({}, {__index = function()\nwhile true do end\nend})\nreturn t.x", 2..=2)]
#[case::in_a_finalizer_of_close("local x <close> = setmetatable({}, {__close = function()\nwhile true do end\nend})", 2..=2)]
#[case::in_a_comparator("local t = {}\nfor i = 1, 100 do t[i] = i end\ntable.sort(t, function()\nwhile true do end\nend)", 4..=4)]
#[case::in_a_callback_of_gsub("string.gsub('abc', '.', function()\n\nwhile true do end\nend)", 3..=3)]
fn in_lua(#[case] code: &str, #[case] lines: RangeInclusive<u32>) {
    let site = killed(code);
    let line = site.position.line;
    assert!(lines.contains(&line), "{site:?}");
}

#[test]
fn in_a_coroutine() {
    let site = killed(
        "local co = coroutine.wrap(function()
           coroutine.yield()

           while true do end
         end)
         co()
         co()",
    );
    assert_eq!(site.position.to_string(), "node 'spin':4");
}

#[test]
fn after_a_coroutine_that_ended() {
    let site = killed(
        "coroutine.wrap(function() end)()\npcall(coroutine.wrap(error))\n\nwhile true do end",
    );
    assert_eq!(site.position.to_string(), "node 'spin':4");
}

#[test]
fn after_errors_in_a_coroutine() {
    let site = killed(
        "coroutine.wrap(function()
           pcall(error)
           pcall(function() coroutine.yield() end)
         end)()
         coroutine.wrap(function()
           pcall(pcall, error)
           while true do end
         end)()",
    );
    assert_eq!(site.position.to_string(), "node 'spin':7");
}

#[test]
fn in_a_c_function() {
    let site = killed(
        "local text = ('a'):rep(28)
         local pattern = ('a?'):rep(28) .. text

         local function search()
           return string.find(text, pattern)
         end
         local found = search()
         return found",
    );
    assert_eq!(site.position.to_string(), "node 'spin':5");
    let frames: Vec<_> = site.traceback.lines().collect();
    assert_eq!(
        frames,
        [
            "[C]: in field 'find'",
            "node 'spin':5: in local 'search'",
            "node 'spin':7: in main chunk",
        ]
    );
}

#[test]
fn the_message_says_it_too() {
    let options = RunOptions::new().wall(Duration::from_millis(200));
    let mut branch = common::pool().branch_with(&options).unwrap();
    let error = branch.eval::<()>("\n\nwhile true do end").unwrap_err();
    assert_eq!(
        error.to_string(),
        "stopped: the script ran longer than 200ms (at eval:3)"
    );
    assert_eq!(error.traceback(), Some("eval:3: in main chunk"));
}

#[test]
fn a_cancelled_run_says_it() {
    let cancel = Cancel::new();
    let fired = cancel.clone();
    // The script says itself that it runs.
    let grants = Grants::none().output(move |_| fired.cancel());
    let options = RunOptions::new().cancel_handle(&cancel).grants(grants);
    let mut branch = common::pool().branch_with(&options).unwrap();
    let error = branch
        .eval::<()>(
            "print('here')
while true do end",
        )
        .unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(site(&error).position.to_string(), "eval:2");
}

#[test]
fn a_run_out_of_fuel_says_the_line_of_its_last_call() {
    let pool = common::builder().metered().build().unwrap();
    let mut branch = pool
        .branch_with(&RunOptions::new().fuel(10_000_000))
        .unwrap();
    let error = branch
        .eval::<()>("local f = function() end\n\nwhile true do\nf()\nend")
        .unwrap_err();
    assert!(error.is_out_of_fuel(), "{error}");
    let line = site(&error).position.line;
    assert!([1, 4].contains(&line), "{line}");
}

#[test]
fn a_run_with_too_many_host_calls_says_where() {
    let pool = pool_with_nothing();
    let mut branch = pool.branch_with(&RunOptions::new().host_calls(10)).unwrap();
    let error = branch
        .eval::<()>("while true do\n\npcall(nothing)\nend")
        .unwrap_err();
    assert!(error.is_too_many_host_calls(), "{error}");
    assert_eq!(site(&error).position.to_string(), "eval:3");
}

fn pool_with_nothing() -> Pool {
    common::builder()
        .function("nothing", |()| Ok(()))
        .grants(Grants::none().all_functions())
        .build()
        .unwrap()
}
