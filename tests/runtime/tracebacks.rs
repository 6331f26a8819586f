//! Errors say the script's lines and the functions that it called, wherever they come from.

use moonfork::{Chunk, Clock, Error, Grants, Pool, RunOptions};
use rstest::rstest;
use serde_json::Value;

use crate::common;

fn pool() -> Pool {
    common::builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("fails", |()| Err::<(), _>("on purpose".into()))
        .module("broken", "local x =\n\n= 1")
        .module(
            "failing",
            "local function inner()\nlocal x\nreturn x.y\nend\nreturn (inner())",
        )
        .module(
            "waits",
            "loads = (loads or 0) + 1\ncoroutine.yield('waiting')\nreturn {n = loads}",
        )
        .module("plain", "return {}")
        .build()
        .unwrap()
}

fn all() -> RunOptions {
    let folder = std::env::temp_dir();
    let folder = moonfork::Folder::open(folder, moonfork::Access::ReadOnly).unwrap();
    RunOptions::new().grants(
        Grants::none()
            .all_functions()
            .all_modules()
            .clock(Clock::system())
            .folder("data", folder),
    )
}

fn error(code: &str) -> Error {
    let pool = pool();
    let mut branch = pool.branch_with(&all()).unwrap();
    let chunk = Chunk::body(code).named("here");
    branch.eval::<Value>(chunk).unwrap_err()
}

/// Each function that is ours, or is Lua's with something of ours before it.
#[rstest]
#[case("json.encode()", "bad argument #1 to 'encode' (value expected)")]
#[case("json.encode(print)", "value: a function has no JSON counterpart")]
#[case(
    "json.decode()",
    "bad argument #1 to 'decode' (string expected, got no value)"
)]
#[case(
    "json.decode(1)",
    "bad argument #1 to 'decode' (string expected, got number)"
)]
#[case(
    "json.decode('{')",
    "value: EOF while parsing an object at line 1 column 1"
)]
#[case(
    "json.array(1)",
    "bad argument #1 to 'array' (table expected, got number)"
)]
#[case("load(nil)", "bad argument #1 to 'load' (function expected, got nil)")]
#[case(
    "load('', '', {})",
    "bad argument #3 to 'load' (string expected, got table)"
)]
#[case(
    "collectgarbage()",
    "collectgarbage: only the option 'count' is allowed here"
)]
#[case(
    "collectgarbage('step')",
    "collectgarbage: only the option 'count' is allowed here"
)]
#[case(
    "print(setmetatable({}, {__tostring = function() return {} end}))",
    "'__tostring' must return a string"
)]
#[case(
    "math.randomseed({})",
    "bad argument #1 to 'randomseed' (number expected, got table)"
)]
#[case(
    "require()",
    "bad argument #1 to 'require' (string expected, got no value)"
)]
#[case(
    "require(1)",
    "bad argument #1 to 'require' (string expected, got number)"
)]
#[case("require('absent')", "there is no module 'absent'")]
#[case(
    "os.date('%Q')",
    "bad argument #1 to 'date' (invalid conversion specifier '%Q')"
)]
#[case("os.time({})", "field 'year' missing in date table")]
#[case(
    "os.difftime('x')",
    "bad argument #1 to 'difftime' (number expected, got string)"
)]
#[case(
    "fs.read()",
    "bad argument #1 to 'read' (string expected, got no value)"
)]
#[case(
    "fs.write('data/x', 1)",
    "bad argument #2 to 'write' (string expected, got number)"
)]
#[case("fs.read('data/no such file at all')", "data/no such file at all: ")]
#[case("fs.list('other')", "other: no folder 'other' is granted to this run")]
#[case("add(1)", "add: args[2]: ")]
#[case("fails()", "fails: on purpose")]
#[case("add(print)", "args[1]: a function has no JSON counterpart")]
#[case(
    "add(table.unpack({}, 1, 251))",
    "too many arguments (at most 250); pass one table"
)]
fn a_function_of_ours(#[case] call: &str, #[case] message: &str) {
    for (code, at) in [
        (format!("\nlocal x = {call}"), "here:2: "),
        (format!("\n\nreturn {call}"), "here:3: "),
        (
            format!("local function f()\nlocal x = {call}\nend\nf()"),
            "here:2: ",
        ),
        (
            format!("local function f()\nreturn {call}\nend\n\nf()"),
            "here:2: ",
        ),
        (
            format!("coroutine.wrap(function()\n\nlocal x = {call}\nend)()"),
            "here:4: here:3: ",
        ),
    ] {
        let said = error(&code).to_string();
        let said = said
            .strip_prefix(at)
            .unwrap_or_else(|| panic!("{code}: {said}"));
        assert!(said.starts_with(message), "{code}: {said}");
    }
}

/// Called as by any other function of Lua's.
#[rstest]
#[case("pcall(json.decode, '{')", "value: EOF")]
#[case("pcall(fs.read, 'other/x')", "other/x: no folder")]
#[case("pcall(add, 'x', 1)", "add: args[1]: ")]
#[case("pcall(os.date, '%Q')", "bad argument #1 to 'os.date'")]
#[case("pcall(json.array, 1)", "bad argument #1 to 'json.array'")]
#[case("pcall(fs.read, 1)", "bad argument #1 to 'fs.read'")]
#[case("pcall(require, 'absent')", "there is no module")]
#[case("pcall(load)", "bad argument #1 to 'load'")]
fn without_a_line_where_there_is_none(#[case] call: &str, #[case] message: &str) {
    let pool = pool();
    let mut branch = pool.branch_with(&all()).unwrap();
    let said: String = branch.eval(format!("select(2, {call})")).unwrap();
    assert!(said.starts_with(message), "{said}");
}

#[rstest]
#[case::a_field("local t = {f = json.decode} t.f()", "'f'")]
#[case::a_method("local t = {f = json.array} t:f(1)", "here:1")]
#[case::an_alias("local parse = json.decode parse()", "'parse'")]
fn a_function_has_the_name_that_the_script_gave_it(#[case] code: &str, #[case] shown: &str) {
    let error = Chunk::body(code).named("here");
    let pool = pool();
    let said = match pool.branch().unwrap().eval::<Value>(error) {
        Err(error) => error.to_string(),
        Ok(value) => format!("here:1 {value}"),
    };
    assert!(said.contains(shown), "{said}");
}

#[test]
fn no_traceback_names_what_is_ours() {
    for code in [
        "local function f() json.decode('{') end f()",
        "local m = require('failing')",
        "local m = require('broken')",
        "string.gsub('x', '.', function() add('x', 1) end)",
        "table.sort({1, 2}, function() variables.x = 1 end)",
    ] {
        let error = error(code);
        let shown = format!("{error}\n{}", error.traceback().unwrap_or_default());
        assert!(!shown.contains("moonfork]"), "{shown}");
        assert!(shown.contains("here:1: in "), "{shown}");
    }
}

#[test]
fn a_module_s_lines_are_in_the_traceback() {
    let error = error("\nlocal m = require('failing')");
    assert_eq!(
        error.to_string(),
        "module 'failing':3: attempt to index a nil value (local 'x')"
    );
    assert_eq!(error.position().unwrap().to_string(), "module 'failing':3");
    let traceback = error.traceback().unwrap();
    for line in [
        "module 'failing':3: in ",
        "module 'failing':5: in ",
        "here:2: in ",
    ] {
        assert!(traceback.contains(line), "{traceback}");
    }
    let error = self::error("\nlocal m = require('broken')");
    assert_eq!(
        error.to_string(),
        "module 'broken':3: unexpected symbol near '='"
    );
    assert!(
        error.traceback().unwrap().contains("here:2: in "),
        "{error}"
    );
}

mod modules {
    use super::*;

    fn eval(code: &str) -> Value {
        let pool = pool();
        let mut branch = pool.branch_with(&all()).unwrap();
        branch.eval(code).unwrap()
    }

    #[test]
    fn one_that_was_left_where_it_yielded_can_be_required_again() {
        let code = "
            local co = coroutine.create(function() return require('waits') end)
            coroutine.resume(co)
            co = nil
            local other = coroutine.wrap(function() return require('waits') end)
            local said = other()
            local module = other()
            return {said, module.n, require('waits') == module}";
        assert_eq!(eval(code), serde_json::json!(["waiting", 2, true]));
    }

    #[test]
    fn who_ends_first_has_loaded_it() {
        let code = "
            local one = coroutine.wrap(function() return require('waits') end)
            local two = coroutine.wrap(function() return require('waits') end)
            one() two()
            local second = two()
            local first = one()
            return {first == second, first.n, require('waits') == first}";
        assert_eq!(eval(code), serde_json::json!([true, 2, true]));
    }

    #[test]
    fn one_may_yield_while_it_is_loaded() {
        let code = "
            local co = coroutine.wrap(function() return require('waits').n end)
            return {co(), co()}";
        assert_eq!(eval(code), serde_json::json!(["waiting", 1]));
    }

    #[test]
    fn one_whose_coroutine_was_closed_can_be_required_again() {
        let code = "
            local co = coroutine.create(function() return require('waits') end)
            coroutine.resume(co)
            coroutine.close(co)
            local other = coroutine.wrap(function() return require('waits') end)
            other()
            return other().n";
        assert_eq!(eval(code), serde_json::json!(2));
    }
}

mod coroutines {
    use super::*;

    const FAILING: &str = "
        local function inner() local x = nil; return x.field end
        local function outer() return (inner()) end
        ";

    #[rstest]
    #[case::wrapped("local co = coroutine.wrap(function() outer() end)\nco()")]
    #[case::resumed(
        "local co = coroutine.create(function() outer() end)\n
        local ok, e = coroutine.resume(co) error(e, 0)"
    )]
    #[case::resumed_and_raised_with_a_line(
        "local co = coroutine.create(function() outer() end)\n
        local ok, e = coroutine.resume(co) error(e)"
    )]
    #[case::after_a_yield(
        "local co = coroutine.wrap(function() coroutine.yield() outer() end)\nco() co()"
    )]
    #[case::in_a_pcall(
        "local co = coroutine.wrap(function() outer() end)\nlocal _, e = pcall(co) error(e, 0)"
    )]
    fn its_frames_are_in_the_traceback(#[case] code: &str) {
        let error = error(&format!("{FAILING}{code}"));
        let traceback = error.traceback().unwrap();
        for frame in [
            "here:2: in upvalue 'inner'",
            "here:3: in upvalue 'outer'",
            "in main chunk",
        ] {
            assert!(traceback.contains(frame), "{traceback}");
        }
    }

    #[test]
    fn one_inside_of_another_comes_first() {
        let error = error(
            "local function deep() error('x') end
            local function middle() coroutine.wrap(function() deep() end)() end
            coroutine.wrap(function()
                middle()
            end)()",
        );
        let traceback = error.traceback().unwrap();
        let at = |frame: &str| {
            let at = traceback.find(frame);
            at.unwrap_or_else(|| panic!("no {frame} in {traceback}"))
        };
        assert!(at("'deep'") < at("'middle'"), "{traceback}");
        assert!(at("'middle'") < at("in main chunk"), "{traceback}");
    }

    #[test]
    fn a_table_has_them_as_well() {
        let error = error("local function f() error({1}) end coroutine.wrap(function() f() end)()");
        assert!(error.traceback().unwrap().contains("'f'"), "{error:?}");
    }

    #[test]
    fn another_error_has_none_of_them() {
        let error = error(
            "local function f() error('x') end
            pcall(coroutine.wrap(function() f() end))
            error('y')",
        );
        assert!(!error.traceback().unwrap().contains("'f'"), "{error:?}");
    }

    /// An error for each of many coroutines leaves nothing behind.
    #[test]
    fn many_that_fail_take_no_memory() {
        let pool = pool();
        let limits = RunOptions::new().memory(8 << 20);
        let mut branch = pool.branch_with(&limits).unwrap();
        let code = "for i = 1, 20000 do pcall(coroutine.wrap(function() error('x' .. i) end)) end";
        branch.eval::<()>(code).unwrap();
    }
}

mod stops {
    use super::*;

    #[test]
    fn memory_says_the_line() {
        let error = error(
            "local t = {}\nlocal function grow()\nwhile true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end\nend\ngrow()",
        );
        assert!(
            error.is_out_of_memory() && !error.ends_instance(),
            "{error}"
        );
        assert_eq!(error.position().unwrap().to_string(), "here:3", "{error}");
        assert!(error.to_string().ends_with("(at here:3)"), "{error}");
        assert!(
            error.traceback().unwrap().contains("here:5: in main chunk"),
            "{error}"
        );
    }

    #[test]
    fn memory_that_is_raised_again_says_the_line_where_it_ran_out() {
        let error =
            error("local ok, e = pcall(function()\nreturn ('x'):rep(1 << 30)\nend)\n\nerror(e, 0)");
        assert!(error.is_out_of_memory(), "{error}");
        assert_eq!(error.position().unwrap().line, 2, "{error}");
    }

    #[test]
    fn a_text_that_says_so_is_an_error_of_the_script() {
        let error = error("\nerror('not enough memory', 0)");
        assert!(error.is_script() && !error.is_out_of_memory(), "{error}");
        assert_eq!(error.to_string(), "not enough memory");
    }

    #[rstest]
    #[case::plain("local function f() return 1 + f() end\n\nf()")]
    #[case::with_memory(
        "local function f(t)\nlocal a, b, c = {}, t, 1\nreturn f({a}) .. b end\nf({})"
    )]
    #[case::of_two(
        "local f, g\nfunction f(x) return 1 + g(x, x, x) end\nfunction g(...) return 1 + f(...) end\nf(1)"
    )]
    #[case::varargs("local function f(...) return 1 + f(1, ...) end\n\nf()")]
    fn recursion_without_end_is_a_stack_overflow(#[case] code: &str) {
        let error = error(code);
        assert!(error.is_script(), "{error}");
        assert!(error.to_string().ends_with(": stack overflow"), "{error}");
        assert!(error.position().is_some(), "{error}");
        assert!(error.traceback().unwrap().contains("here:"), "{error}");
    }

    #[rstest]
    #[case::small(8)]
    #[case::default(64)]
    fn recursion_without_end_can_be_caught(#[case] mebibytes: usize) {
        let pool = pool();
        let mut branch = pool
            .branch_with(&RunOptions::new().memory(mebibytes << 20))
            .unwrap();
        for _ in 0..2 {
            let code = "
                local function f() return 1 + f() end
                local ok, message = pcall(f)
                return message";
            let message: String = branch.eval(code).unwrap();
            assert_eq!(message, "eval:2: stack overflow");
        }
        assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
    }

    #[rstest]
    #[case::a_metamethod(
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return t[1]"
    )]
    #[case::a_callback("local function f() return (string.gsub('x', '.', f)) end f()")]
    #[case::coroutines("local function f() coroutine.wrap(f)() end f()")]
    fn recursion_through_c_is_one_too(#[case] code: &str) {
        let error = error(code);
        assert!(error.is_script(), "{error}");
        assert!(error.to_string().contains("stack overflow"), "{error}");
    }
}
