//! The conversion table of the contract, in both directions, and its errors.

mod common;

use std::collections::BTreeMap;

use common::Machine;
use moonfork_guest::wire::{Chunk, FailureKind, Op};
use rstest::rstest;
use serde::Serialize;
use serde_json::{Value, json};

#[rstest]
#[case::null(json!(null))]
#[case::bools(json!([true, false]))]
#[case::integers(json!([0, -1, i64::MAX, i64::MIN]))]
#[case::floats(json!([5.0, -0.5, 1e300]))]
#[case::strings(json!(["", "text", "ünïcode \u{0} nul"]))]
#[case::empty_array(json!([]))]
#[case::empty_object(json!({}))]
#[case::nested(json!({"a": [], "b": {}, "c": [[], {}, [{}]]}))]
#[case::hole(json!([1, null, 3]))]
#[case::trailing_nulls(json!([1, null, null]))]
#[case::only_nulls(json!([null, null]))]
#[case::sparse_that_came_in(json!([null, null, null, null, null, null, null, null, null, null, null, null, 1]))]
#[case::keys_like_numbers(json!({"1": "a", "2": "b"}))]
fn what_goes_in_comes_back(#[case] value: Value) {
    let mut lua = Machine::new();
    let state = json!({ "v": value });
    assert_eq!(
        lua.eval_with("return {state.v}", Some(&state)).unwrap(),
        if value.is_null() {
            json!({})
        } else {
            json!([value])
        }
    );
    assert_eq!(lua.call("echo", &json!([value])).unwrap(), json!([value]));
}

#[test]
fn a_float_without_fraction_stays_a_float() {
    let back = Machine::new()
        .eval_with("state", Some(&json!(5.0)))
        .unwrap();
    assert_eq!(back.to_string(), "5.0");
    assert_eq!(
        Machine::new().eval("2^53").unwrap().to_string(),
        "9007199254740992.0"
    );
    assert_eq!(
        Machine::new().eval("1 << 53").unwrap().to_string(),
        "9007199254740992"
    );
}

#[rstest]
#[case::array("{1, nil, 3}", json!([1, null, 3]))]
#[case::empty("{}", json!({}))]
#[case::marked("json.array({})", json!([]))]
#[case::mixed("{1, 2, x = 3}", json!({"1": 1, "2": 2, "x": 3}))]
#[case::not_positive("{[0] = 'a', [1] = 'b'}", json!({"0": "a", "1": "b"}))]
#[case::text_digits("{['1'] = 'a', ['2'] = 'b'}", json!({"1": "a", "2": "b"}))]
#[case::null("{a = null, b = {null, 1}}", json!({"a": null, "b": [null, 1]}))]
#[case::ten_apart("{[10] = 1}", json!([null, null, null, null, null, null, null, null, null, 1]))]
#[case::half_full("{[2]=1,[4]=1,[6]=1,[8]=1,[10]=1,[12]=1}",
    json!([null, 1, null, 1, null, 1, null, 1, null, 1, null, 1]))]
#[case::metatable_ignored("setmetatable({1}, {__len = function() return 9 end, __index = function() return 0 end, __pairs = error})", json!([1]))]
fn tables_become_arrays_or_objects(#[case] code: &str, #[case] expected: Value) {
    assert_eq!(Machine::new().eval(code).unwrap(), expected);
}

#[rstest]
#[case::emptied("table.remove(state)", json!([1]), json!([]))]
#[case::shortened("state[#state] = nil", json!([1, 2, null]), json!([1]))]
#[case::filled("state[2] = 2", json!([1, null, null]), json!([1, 2, null]))]
#[case::added("state[4] = 4", json!([1, null, null]), json!([1, null, null, 4]))]
#[case::own_metatable("setmetatable(state, {__metatable = 1})", json!([]), json!([]))]
#[case::named("state.x = 1", json!([5]), json!({"1": 5, "x": 1}))]
fn an_array_that_was_changed(#[case] change: &str, #[case] state: Value, #[case] expected: Value) {
    let code = format!("do {change} end return state");
    assert_eq!(
        Machine::new().eval_with(&code, Some(&state)).unwrap(),
        expected
    );
}

#[rstest]
#[case::nan("{a = 0/0}", "result.a: NaN and infinities have no JSON counterpart")]
#[case::infinity("{{1/0}}", "result[1][1]: NaN and infinities have no JSON counterpart")]
#[case::function("{f = print}", "result.f: a function has no JSON counterpart")]
#[case::thread("coroutine.create(print)", "result: a thread has no JSON counterpart")]
#[case::not_utf8(
    "{items = {0, 1, {x = '\\xff'}}}",
    "result.items[3].x: the string is not valid UTF-8"
)]
#[case::key_not_utf8("{['\\xff'] = 1}", "result: a key is not valid UTF-8")]
#[case::bool_key(
    "{[true] = 1}",
    "result: a key is a boolean; keys must be text or integers"
)]
#[case::float_key(
    "{a = {[1.5] = 1}}",
    "result.a: a key is a number; keys must be text or integers"
)]
#[case::clash(
    "{[1] = 1, ['1'] = 2}",
    "result: the integer key 1 and the text key \"1\" would be the same"
)]
#[case::sparse(
    "{[11] = 1}",
    "result: the table is excessively sparse (1 values, largest index 11); make its keys text, or fill it"
)]
#[case::odd_key(
    "{['a b'] = {print}}",
    "result[\"a b\"][1]: a function has no JSON counterpart"
)]
fn what_json_cannot_say_is_an_error_with_its_path(#[case] code: &str, #[case] message: &str) {
    let failure = Machine::new().eval(code).unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Value);
}

#[rstest]
#[case::too_large(json!({"items": [{"x": u64::MAX}]}),
    "state.items[1].x: 18446744073709551615 is too large for a Lua integer (the largest is 9223372036854775807)")]
fn what_lua_cannot_hold_is_an_error_with_its_path(#[case] state: Value, #[case] message: &str) {
    let failure = Machine::new().eval_with("state", Some(&state)).unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Value);
}

/// What serde lets programs write, and JSON doesn't have.
#[rstest]
#[case::a_key_that_is_no_text(
    &[(1, BTreeMap::from([(true, 1)]))],
    "state[1][2]: a key is a boolean; it has to be text or an integer"
)]
#[case::an_integer_of_128_bits(
    &[(1, 7_u128)],
    "state[1][2]: raw bytes, and integers of 128 bits, have no JSON counterpart; pass text or an array"
)]
#[case::infinity(&[f64::INFINITY], "state[1]: NaN and infinities have no JSON counterpart")]
fn what_json_cannot_hold_is_an_error_with_its_path<T: Serialize>(
    #[case] state: &[T],
    #[case] message: &str,
) {
    let chunk = Chunk {
        name: "test".into(),
        code: "return state".into(),
        expression: false,
        first_line: 1,
    };
    let failure = Machine::new()
        .request(Op::Eval, &chunk, Some(&state))
        .unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Value);
}

#[rstest]
#[case::one_value(json!(5), "args: an integer is passed for the arguments; pass an array or a tuple of them")]
#[case::text(json!("x"), "args: text is passed for the arguments; pass an array or a tuple of them")]
#[case::an_object(json!({"x": 1}), "args: an object is passed for the arguments; pass an array or a tuple of them")]
fn arguments_are_an_array(#[case] args: Value, #[case] message: &str) {
    let failure = Machine::new().call("type", &args).unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Value);
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[test]
fn nesting_is_kept_up_to_the_limit() {
    let deep = nested(100);
    assert_eq!(
        Machine::new().eval_with("state", Some(&deep)).unwrap(),
        deep
    );
}

#[test]
fn nesting_beyond_the_limit_is_an_error() {
    let too_deep = Machine::new()
        .eval_with("state", Some(&nested(101)))
        .unwrap_err();
    assert!(
        too_deep.message.contains("nested too deeply"),
        "{too_deep:?}"
    );
    assert!(too_deep.message.starts_with("state[1][1]"), "{too_deep:?}");
    let message = Machine::new().error("local t = {} for _ = 1, 1e5 do t = {t} end return t");
    assert!(message.contains("nested too deeply"), "{message}");
}

#[test]
fn a_cycle_is_an_error() {
    let message = Machine::new().error("local t = {} t.a = {b = t} return t");
    assert_eq!(message, "result.a.b: the table contains itself");
}

#[test]
fn a_table_met_twice_is_no_cycle() {
    let value = Machine::new().eval("local t = {1} return {t, t}").unwrap();
    assert_eq!(value, json!([[1], [1]]));
}

#[test]
fn an_array_marked_as_one_does_not_hide_a_huge_index() {
    let message = Machine::new().error("local t = json.array({}) t[1 << 40] = 1 return t");
    assert!(message.contains("excessively sparse"), "{message}");
    let state = json!([1, null]);
    let code = "state[1 << 40] = 1 return state";
    let message = Machine::new()
        .eval_with(code, Some(&state))
        .unwrap_err()
        .message;
    assert!(message.contains("excessively sparse"), "{message}");
}

#[test]
fn a_value_larger_than_allowed_is_an_error() {
    let mut lua = Machine::new();
    assert!(lua.eval("('x'):rep(1000000)").is_ok());
    let failure = lua.eval("('x'):rep(2000000)").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Value);
    assert!(failure.message.contains("larger than"), "{failure:?}");
}

#[test]
fn several_results_are_refused() {
    let failure = Machine::new().eval("return 1, 2").unwrap_err();
    assert_eq!(
        failure.message,
        "result: 2 values were returned; return one table that holds them"
    );
}

#[test]
fn a_value_that_unfolds_beyond_all_measure_is_an_error() {
    // A few kilobytes of Lua: each level holds the one below many times.
    let code = "local a = {[''] = null} for _ = 1, 4 do local b = {} \
                for j = 1, 177 do b[j] = a end a = b end return a";
    let failure = Machine::new().eval(code).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Value);
    assert!(failure.message.contains("larger than"), "{failure:?}");
}

#[test]
fn a_finalizer_that_converts_values_does_not_disturb_the_conversion_it_interrupts() {
    let mut lua = Machine::new();
    lua.eval(
        "do function mk() setmetatable({}, {__gc = function() json.encode({1}) mk() end}) end \
         for _ = 1, 50 do mk() end end",
    )
    .unwrap();
    let items: Vec<Value> = (0..2000).map(|n| json!({"n": n, "list": [n]})).collect();
    let state = json!({ "items": items });
    for _ in 0..5 {
        let back = lua.eval_with("return {items = state.items}", Some(&state));
        assert_eq!(back.unwrap(), state);
    }
    let too_deep = lua.eval_with("state", Some(&nested(101))).unwrap_err();
    assert!(
        too_deep.message.contains("nested too deeply"),
        "{too_deep:?}"
    );
}
