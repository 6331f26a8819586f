//! Errors of scripts: message, traceback, and what they were raised with.

use moonfork::{Chunk, Error};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

fn error(code: &str) -> Error {
    let mut branch = common::pool().branch().unwrap();
    let chunk = Chunk::body(code).named("node 'n'");
    branch.eval::<Value>(chunk).unwrap_err()
}

#[rstest]
#[case::table("error({code = 42, why = {'a', 'b'}})", json!({"code": 42, "why": ["a", "b"]}))]
#[case::number("error(42)", json!(42))]
#[case::boolean("error(false)", json!(false))]
#[case::table_with_text(
    "error(setmetatable({code = 1}, {__tostring = function() return 'shown' end}))",
    json!({"code": 1})
)]
#[case::from_a_callback("string.gsub('x', '.', function() error({1}) end)", json!([1]))]
#[case::from_a_coroutine("coroutine.wrap(function() error({2}) end)()", json!([2]))]
#[case::again("local ok, e = pcall(error, {3}) error(e)", json!([3]))]
fn what_was_no_text_comes_back(#[case] code: &str, #[case] expected: Value) {
    let error = error(code);
    assert!(error.is_script(), "{error}");
    assert_eq!(error.value(), Some(&expected));
}

#[rstest]
#[case::both_fields(
    "\nerror({message = 'no such order', code = 404})",
    "node 'n':2: {\"code\":404,\"message\":\"no such order\"}"
)]
#[case::a_list("error({'a', 1.5})", "node 'n':1: [\"a\",1.5]")]
#[case::without_json("error({f = print})", "(error object is a table value)")]
#[case::with_text_of_its_own(
    "error(setmetatable({1}, {__tostring = function() return 'shown' end}))",
    "shown"
)]
#[case::a_text_that_says_so(
    "error('(error object is a table value)', 0)",
    "(error object is a table value)"
)]
fn a_table_is_shown_as_json(#[case] code: &str, #[case] message: &str) {
    assert_eq!(error(code).to_string(), message);
}

#[test]
fn a_large_table_is_shown_in_part() {
    let message = error("error({text = ('ü'):rep(10000)})").to_string();
    assert!((1000..1100).contains(&message.len()), "{}", message.len());
    assert!(message.ends_with("ü..."), "{message}");
}

#[rstest]
#[case::text("error('text', 0)", json!("text"))]
#[case::with_a_position("error('text')", json!("test:1: text"))]
#[case::table("error({1})", json!([1]))]
#[case::of_lua("local missing = nil + 1", json!("test:1: attempt to perform arithmetic on a nil value"))]
fn load_gives_what_its_reader_raises(#[case] raise: &str, #[case] expected: Value) {
    let mut branch = common::pool().branch().unwrap();
    let code = format!("local f, e = load(function() {raise} end) return {{f == nil, e}}");
    let given: Value = branch.eval(Chunk::body(&code).named("test")).unwrap();
    assert_eq!(given, json!([true, expected]));
}

#[rstest]
#[case::text("error('text')")]
#[case::nothing("error()")]
#[case::function("error(print)")]
#[case::cycle("local t = {} t.t = t error(t)")]
#[case::too_deep("local t = {} for i = 1, 200 do t = {t} end error(t)")]
#[case::too_large("local t, s = {}, ('x'):rep(1 << 20) for i = 1, 100 do t[i] = s end error(t)")]
fn what_can_not_pass_is_described_only(#[case] code: &str) {
    let error = error(code);
    assert!(error.is_script(), "{error}");
    assert_eq!(error.value(), None);
    assert!(!error.to_string().is_empty());
}

#[rstest]
#[case::that_fails("error(setmetatable({}, {__tostring = function() error('inner') end}))")]
#[case::that_is_no_text("error(setmetatable({}, {__tostring = function() return 1 end}))")]
#[case::that_yields("error(setmetatable({}, {__tostring = coroutine.yield}))")]
#[case::that_recurses(
    "local m = {} m.__tostring = function(t) return tostring(t) end error(setmetatable({}, m))"
)]
#[case::that_lies("error(setmetatable({}, {__name = 1, __tostring = false}))")]
#[case::that_is_long(
    "error(setmetatable({}, {__tostring = function() return ('x'):rep(1e7) end}))"
)]
fn a_hostile_tostring_is_an_error_like_others(#[case] code: &str) {
    let mut branch = common::pool().branch().unwrap();
    let error = branch.eval::<()>(Chunk::body(code)).unwrap_err();
    assert!(error.is_script(), "{error}");
    assert!(error.to_string().len() < 1 << 20);
    assert_eq!(
        branch.eval::<i64>("1 + 1").unwrap(),
        2,
        "the instance goes on"
    );
}

#[test]
fn the_traceback_has_the_script_s_names_and_lines() {
    let error = error(
        "local function inner()
           error('boom')
         end
         function outer()
           inner()
         end
         outer()",
    );
    assert_eq!(error.to_string(), "node 'n':2: boom");
    let frames: Vec<_> = error.traceback().unwrap().lines().collect();
    assert_eq!(
        frames,
        [
            "[C]: in function 'error'",
            "node 'n':2: in upvalue 'inner'",
            "node 'n':5: in function 'outer'",
            "node 'n':7: in main chunk",
        ]
    );
}

#[test]
fn the_same_error_twice_is_not_held_on_to() {
    let mut branch = common::pool().branch().unwrap();
    branch.eval::<()>("error({1})").unwrap_err();
    let error = branch.eval::<()>("error('text')").unwrap_err();
    assert_eq!(error.value(), None);
    let error = branch.eval::<()>("return print").unwrap_err();
    assert!(error.is_value() && error.value().is_none());
}

/// Some caught errors are exceptions of the sandbox, whose heap is bounded.
#[rstest]
#[case::raised_by_the_script("pcall(error, {i})")]
#[case::raised_by_lua("pcall(string.rep)")]
#[case::raised_in_a_callback("pcall(string.gsub, 'x', '.', error)")]
#[case::in_a_coroutine("coroutine.wrap(function() pcall(error, {i}) pcall(string.rep) end)()")]
#[case::that_end_a_coroutine("pcall(coroutine.wrap(error), {i})")]
fn two_hundred_thousand_caught_errors_leave_memory_as_it_was(#[case] caught: &str) {
    let mut branch = common::pool().branch().unwrap();
    let round = format!("for i = 1, 20000 do {caught} end return collectgarbage('count')");
    branch.eval::<f64>(&*round).unwrap();
    let before = branch.take_report().peak_memory;
    for _ in 0..10 {
        branch.eval::<f64>(&*round).unwrap();
    }
    let after = branch.take_report().peak_memory;
    assert!(after <= before + (1 << 20), "{before} {after}");
}

/// Most instances throw none, so they have no heap for them.
#[test]
fn the_first_exception_takes_memory_and_no_other_does() {
    let mut branch = common::pool().branch().unwrap();
    let mut peak = |code: &str| {
        branch.eval::<()>(code).unwrap();
        branch.take_report().peak_memory
    };
    let none = peak("local x = 1");
    let returned = peak("do pcall(error, {1}) end");
    // A guest without the changes of Lua that are for speed raises an exception for it, too.
    if env!("MOONFORK_GUEST_WASM").ends_with("host/prebuilt/moonfork-guest.wasm") {
        assert_eq!(returned, none, "this one returned");
    }
    let one = peak("do pcall(string.rep) end");
    assert!(one > none, "{one} {none}");
    assert_eq!(peak("for i = 1, 1000 do pcall(string.rep) end"), one);
}
