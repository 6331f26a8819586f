//! A denial is known by where it came from, never by what a script says.

use moonfork::{Access, Capability, Error, Folder, Grants, Pool, RunOptions};
use rstest::rstest;
use serde_json::Value;

use crate::common;

fn pool() -> Pool {
    common::builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("sub", |(a, b): (i64, i64)| Ok(a - b))
        .module("tax", "return {rate = 0.19}")
        .build()
        .unwrap()
}

/// What `code` fails with where nothing is granted.
fn with_nothing(code: &str) -> Error {
    pool().branch().unwrap().eval::<Value>(code).unwrap_err()
}

/// What `code` fails with where all functions are granted to the instance, and none to the call.
fn with_less(code: &str) -> Error {
    let pool = pool();
    let all = RunOptions::new().grants(Grants::none().all_functions());
    let mut branch = pool.branch_with(&all).unwrap();
    let nothing = RunOptions::new().grants(Grants::none());
    branch.with(&nothing).eval::<Value>(code).unwrap_err()
}

/// Each way in which a script may use what isn't there.
#[rstest]
#[case::indexed("local t = os.time()", Capability::Clock)]
#[case::written("os.x = 1", Capability::Clock)]
#[case::called("local m = require 'tax'", Capability::Modules)]
#[case::in_a_function("local function f() return fs.read('x') end f()", Capability::Folders)]
#[case::as_length("local n = #variables", Capability::Variables)]
#[case::in_arithmetic("local n = 1 + variables", Capability::Variables)]
#[case::concatenated("local s = 'a' .. variables", Capability::Variables)]
#[case::a_function("local n = add(1, 2)", Capability::Function("add".into()))]
#[case::in_a_callback(
    "string.gsub('x', '.', function() return os.time() end)",
    Capability::Clock
)]
#[case::in_a_sort(
    "table.sort({1, 2, 3}, function(a, b) return os.time() end)",
    Capability::Clock
)]
#[case::in_a_metamethod(
    "local t = setmetatable({}, {__index = function() return os.time() end}) t = t.x",
    Capability::Clock
)]
#[case::in_a_coroutine("coroutine.wrap(function() os.time() end)()", Capability::Clock)]
#[case::in_two(
    "coroutine.wrap(function() coroutine.wrap(function() os.time() end)() end)()",
    Capability::Clock
)]
#[case::after_a_yield(
    "local f = coroutine.wrap(function() coroutine.yield() os.time() end) f() f()",
    Capability::Clock
)]
#[case::in_a_finalizer_s_place(
    "local x <close> = setmetatable({}, {__close = function() os.time() end})",
    Capability::Clock
)]
fn a_global_that_is_not_granted(#[case] code: &str, #[case] capability: Capability) {
    let error = with_nothing(code);
    assert_eq!(error.capability(), Some(&capability), "{error}");
    assert_eq!(error.position().unwrap().to_string(), "eval:1");
}

/// The same, where the host refuses it.
#[rstest]
#[case::plain("local n = add(1, 2)")]
#[case::in_a_callback("string.gsub('x', '.', function() return add(1, 2) end)")]
#[case::as_a_callback("string.gsub('x', '.', add)")]
#[case::in_a_coroutine("coroutine.wrap(function() local n = add(1, 2) end)()")]
fn a_call_that_is_not_granted(#[case] code: &str) {
    let error = with_less(code);
    let capability = Capability::Function("add".into());
    assert_eq!(error.capability(), Some(&capability), "{error}");
}

/// What a script writes is its own, whatever it says.
#[rstest]
#[case::as_the_interpreter("error(\"a nil value (global 'os')\")")]
#[case::whole("error(\"eval:1: attempt to index a nil value (global 'os')\", 0)")]
#[case::asserted("assert(false, \"attempt to index a nil value (global 'os')\")")]
#[case::a_table("error({message = \"attempt to index a nil value (global 'os')\"})")]
#[case::shown(
    "error(setmetatable({}, {__tostring = function() return \"attempt to index a nil value (global 'os')\" end}))"
)]
#[case::a_local("local os = nil; os.time()")]
#[case::a_field("local t = {} t.os.time()")]
#[case::an_upvalue("local os local function f() return os.time() end f()")]
#[case::another_global("clock.time()")]
#[case::a_copy("local o = os local t = o.time")]
#[case::of_another_type("os = 5 local t = os.time.x")]
fn what_merely_looks_like_it_with_nothing(#[case] code: &str) {
    let error = with_nothing(code);
    assert!(error.is_script() && error.capability().is_none(), "{error}");
}

#[rstest]
#[case::as_the_host("error(\"the host function 'add' is not granted to this run\")")]
#[case::whole("error(\"eval:1: the host function 'add' is not granted to this run\", 0)")]
fn what_merely_looks_like_it_with_less(#[case] code: &str) {
    let error = with_less(code);
    assert!(error.is_script() && error.capability().is_none(), "{error}");
}

/// An error that is caught and raised again is the same error.
#[rstest]
#[case::as_it_was("local _, e = pcall(f) error(e, 0)")]
#[case::with_a_line("local _, e = pcall(f) error(e)")]
#[case::with_the_caller_s_line("local function g() local _, e = pcall(f) error(e, 2) end g()")]
#[case::asserted("assert(pcall(f))")]
#[case::later("local _, e = pcall(f) pcall(error, 'another', 0) error(e, 0)")]
#[case::after_another("local _, e = pcall(f) pcall(function() fs.read('x') end) error(e, 0)")]
#[case::from_a_coroutine(
    "local co = coroutine.create(f) local _, e = coroutine.resume(co) error(e, 0)"
)]
#[case::through_a_wrapped_one("local _, e = pcall(coroutine.wrap(f)) error(e, 0)")]
#[case::by_a_handler("local _, e = xpcall(f, function(e) return e end) error(e, 0)")]
#[case::twice("local _, e = pcall(f) _, e = pcall(error, e, 0) error(e, 0)")]
#[case::kept_in_a_global("_, E = pcall(f) error(E, 0)")]
fn what_is_raised_again_is_a_denial_again(#[case] code: &str) {
    let global = with_nothing(&format!("local function f() return os.time() end {code}"));
    assert_eq!(global.capability(), Some(&Capability::Clock), "{global}");
    let refused = with_less(&format!("local function f() return (add(1, 2)) end {code}"));
    let capability = Capability::Function("add".into());
    assert_eq!(refused.capability(), Some(&capability), "{refused}");
}

/// A text that a script made of a denial's is the script's.
#[rstest]
#[case::wrapped("error('while adding: ' .. e, 0)")]
#[case::with_a_tail("error(e .. '!', 0)")]
#[case::the_same_again("error(e:sub(1, 20) .. e:sub(21), 0)")]
#[case::in_a_table("error({cause = e})")]
#[case::another("error('another', 0)")]
fn what_is_made_of_a_denial_is_an_error_of_the_script(#[case] code: &str) {
    for (caught, error) in [
        ("os.time()", with_nothing as fn(&str) -> Error),
        ("return (add(1, 2))", with_less),
    ] {
        let error = error(&format!(
            "local _, e = pcall(function() {caught} end) {code}"
        ));
        assert!(error.is_script() && error.capability().is_none(), "{error}");
    }
}

#[test]
fn a_denial_of_an_earlier_call_is_none_of_the_next() {
    let mut branch = pool().branch().unwrap();
    branch
        .eval::<()>("_, E = pcall(function() os.time() end)")
        .unwrap();
    let error = branch.eval::<()>("error(E, 0)").unwrap_err();
    assert!(error.is_script() && !error.is_denied(), "{error}");
}

#[test]
fn one_of_many_denials_is_still_known() {
    let probing = "for i = 1, 15 do pcall(add, 1, i) end";
    let error = with_less(&format!(
        "local _, e = pcall(sub, 1, 2) {probing} error(e, 0)"
    ));
    let capability = Capability::Function("sub".into());
    assert_eq!(error.capability(), Some(&capability), "{error}");
}

#[test]
fn scripts_that_probe_all_the_time_harm_nothing() {
    let probing =
        "for i = 1, 100000 do pcall(function() return os.time() end) end return #tostring(os)";
    let mut branch = pool().branch().unwrap();
    assert_eq!(branch.eval::<u32>(probing).unwrap(), 3);
}

#[test]
fn a_folder_that_is_read_only_says_what_it_would_take() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Folder::open(folder.path(), Access::ReadOnly).unwrap();
    let grants = Grants::none().folder("data", opened);
    let pool = pool();
    let mut branch = pool.branch_with(&RunOptions::new().grants(grants)).unwrap();
    let error = branch.eval::<()>("fs.write('data/x', '')").unwrap_err();
    let shown = error.capability().map(ToString::to_string);
    assert_eq!(shown.as_deref(), Some("folder data read-write"), "{error}");
    let error = branch.eval::<()>("fs.read('other/x')").unwrap_err();
    let shown = error.capability().map(ToString::to_string);
    assert_eq!(shown.as_deref(), Some("folder other"), "{error}");
}
