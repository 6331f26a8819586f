//! A function that is called again and again by name: whatever way the machine finds to do that
//! sooner, each call does what the first one did.

mod common;

use common::Machine;
use moonfork_guest::wire::{Failure, FailureKind};
use rstest::rstest;
use serde_json::{Value, json};

/// Calls that a machine needs to know a function, and some.
const TIMES: usize = 4;

/// What `f` gives that `code` defines, each of some times.
#[track_caller]
fn each_time(code: &str, name: &str, args: &Value) -> Result<Value, Failure> {
    let mut machine = Machine::new();
    machine.eval(code).unwrap();
    let first = machine.call(name, args);
    let raised = machine.raised.take();
    for time in 1..TIMES {
        assert_eq!(machine.call(name, args), first, "{code} {time}");
        assert_eq!(machine.raised.take(), raised, "{code} {time}");
    }
    first
}

#[rstest]
#[case::integers("function f(a, b) return a + b end", json!([2, 3]), json!(5))]
#[case::widths(
    "function f(...) return math.max(...) end",
    json!([1, 200, -200, 70_000, -70_000, 5_000_000_000_i64, i64::MIN, i64::MAX]),
    json!(i64::MAX)
)]
#[case::least("function f(a) return a end", json!([i64::MIN]), json!(i64::MIN))]
#[case::numbers("function f(a, b) return a / b end", json!([1.5, 2]), json!(0.75))]
#[case::a_whole_number("function f(a) return a * 2 end", json!([1.5]), json!(3.0))]
#[case::booleans("function f(a, b) return a and not b end", json!([true, false]), json!(true))]
#[case::false_alone("function f(a) return a end", json!([false]), json!(false))]
#[case::nils("function f(...) return select('#', ...) end", json!([null, 1, null]), json!(3))]
#[case::no_arguments("function f(...) return select('#', ...) end", json!([]), json!(0))]
#[case::null_for_none("function f(...) return select('#', ...) end", json!(null), json!(0))]
#[case::no_result("function f() end", json!([1]), json!(null))]
#[case::nil("function f() return nil end", json!([1]), json!(null))]
#[case::more_arguments(
    "function f(...) return select('#', ...) end",
    json!([1, 2, 3, 4, 5, 6, 7, 8, 9]),
    json!(9)
)]
#[case::text("function f(a) return a .. '!' end", json!(["x"]), json!("x!"))]
#[case::a_table("function f(t) return #t end", json!([[1, 2, 3]]), json!(3))]
#[case::a_table_back("function f(n) return {n, {m = n}} end", json!([1]), json!([1, {"m": 1}]))]
#[case::text_back("function f(n) return 'n' .. n end", json!([1]), json!("n1"))]
#[case::null_back("function f() return json.null end", json!([1]), json!(null))]
#[case::a_c_function("f = math.type", json!([1.5]), json!("float"))]
#[case::inside_of_a_coroutine(
    "f = coroutine.wrap(function(n) while true do n = coroutine.yield(n * 2) end end)",
    json!([4]),
    json!(8)
)]
fn a_value(#[case] code: &str, #[case] args: Value, #[case] expected: Value) {
    assert_eq!(each_time(code, "f", &args).unwrap(), expected);
}

#[rstest]
#[case::text("function f() error('no', 0) end", FailureKind::Runtime, "no")]
#[case::a_line("function f()\n error('no') end", FailureKind::Runtime, "test:2: no")]
#[case::luas_own(
    "function f(n) return n.x end",
    FailureKind::Runtime,
    "test:1: attempt to index a number value (local 'n')"
)]
#[case::a_table(
    "function f() error({code = 7}) end",
    FailureKind::Runtime,
    "error object is a table value"
)]
#[case::nothing("function f() error() end", FailureKind::Runtime, "nil")]
#[case::not_a_number(
    "function f() return 0/0 end",
    FailureKind::Value,
    "result: NaN and infinities"
)]
#[case::infinity(
    "function f() return 1/0 end",
    FailureKind::Value,
    "result: NaN and infinities"
)]
#[case::several(
    "function f() return 1, 2 end",
    FailureKind::Value,
    "result: 2 values were returned"
)]
#[case::a_function(
    "function f() return print end",
    FailureKind::Value,
    "a function has no JSON"
)]
fn a_failure(#[case] code: &str, #[case] kind: FailureKind, #[case] message: &str) {
    let failure = each_time(code, "f", &json!([1])).unwrap_err();
    assert_eq!(failure.kind, kind, "{failure:?}");
    assert!(failure.message.contains(message), "{failure:?}");
}

#[test]
fn what_was_raised_comes_along() {
    let mut machine = Machine::new();
    machine.eval("function f() error({code = 7}) end").unwrap();
    for _ in 0..TIMES {
        machine.call("f", &json!([1])).unwrap_err();
        assert_eq!(machine.raised.take(), Some(json!({"code": 7})));
    }
}

#[rstest]
#[case::plain(json!([u64::MAX]), "args[1]: 18446744073709551615 is too large")]
#[case::behind_others(json!([1, true, u64::MAX]), "args[3]: 18446744073709551615 is too large")]
fn arguments_that_lua_cant_hold(#[case] args: Value, #[case] message: &str) {
    let failure = each_time("function f() end", "f", &args).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Argument);
    assert!(failure.message.contains(message), "{failure:?}");
}

#[test]
fn memory_that_runs_out() {
    let failure = each_time(
        "function f(n) return ('x'):rep(n) end",
        "f",
        &json!([1_i64 << 30]),
    );
    assert_eq!(failure.unwrap_err().kind, FailureKind::Memory);
}

/// The name is looked up each time.
#[rstest]
#[case::another_function("function f() return 2 end", Ok(json!(2)))]
#[case::no_function("f = 5", Err("can't call 'f': it is a number value"))]
#[case::nothing("f = nil", Err("can't call 'f': there is no such function"))]
#[case::by_a_metatable(
    "do f = nil setmetatable(_G, {__index = function(_, key) return function() return key end end}) end",
    Ok(json!("f"))
)]
#[case::an_error_of_a_metatable(
    "do f = nil setmetatable(_G, {__index = function() error('none', 0) end}) end",
    Err("none")
)]
fn the_global_changes(#[case] code: &str, #[case] expected: Result<Value, &str>) {
    let mut machine = Machine::new();
    machine.eval("function f() return 1 end").unwrap();
    for _ in 0..TIMES {
        assert_eq!(machine.call("f", &json!([])).unwrap(), json!(1));
    }
    machine.eval(code).unwrap();
    for _ in 0..TIMES {
        let called = machine.call("f", &json!([]));
        assert_eq!(
            called.map_err(|failure| failure.message),
            expected.clone().map_err(str::to_owned)
        );
    }
    machine
        .eval("do setmetatable(_G, nil) function f() return 3 end end")
        .unwrap();
    assert_eq!(machine.call("f", &json!([])).unwrap(), json!(3));
}

#[test]
fn a_path_is_never_taken_for_a_name() {
    let code = "do shop = {price = function() return 'path' end} \
        _G['shop.price'] = function() return 'name' end end";
    let price = each_time(code, "shop.price", &json!([]));
    assert_eq!(price.unwrap(), json!("path"));
}

#[rstest]
#[case::longest_that_is_kept(64)]
#[case::longer(65)]
#[case::much_longer(5000)]
fn long_names(#[case] len: usize) {
    let name = "f".repeat(len);
    let code = format!("function {name}(n) return n + 1 end");
    assert_eq!(each_time(&code, &name, &json!([1])).unwrap(), json!(2));
}

#[test]
fn functions_in_turn() {
    let mut machine = Machine::new();
    machine
        .eval("do function f(n) return n end function g(n) return -n end end")
        .unwrap();
    for times in [1, 2, 3, 1, 2] {
        for (name, expected) in [("f", 5), ("g", -5)] {
            for _ in 0..times {
                assert_eq!(machine.call(name, &json!([5])).unwrap(), json!(expected));
            }
        }
        machine.call("h", &json!([5])).unwrap_err();
    }
}

#[test]
fn a_name_that_is_no_text_is_refused() {
    let mut machine = Machine::new();
    machine.eval("function f() return 1 end").unwrap();
    for _ in 0..TIMES {
        machine.call("f", &json!([])).unwrap();
        let request = [&1_u32.to_le_bytes()[..], b"\xff", b"\x90"].concat();
        let failure = machine.raw(2, &request).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Request, "{failure:?}");
    }
}
