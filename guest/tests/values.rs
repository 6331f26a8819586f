//! The conversion table of the contract, in both directions, and its errors.

mod common;

use std::collections::BTreeMap;

use common::Machine;
use moonfork_guest::wire::{FailureKind, Numbered, Op};
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
    "result: as a list the table is excessively sparse (1 values, largest index 11); keys that are text, such as `t[tostring(id)]`, make it a mapping"
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
    "state.items[1].x: 18446744073709551615 is too large for an integer (-9223372036854775808 to 9223372036854775807); quote it, to pass it as text")]
fn what_lua_cannot_hold_is_an_error_with_its_path(#[case] state: Value, #[case] message: &str) {
    let failure = Machine::new().eval_with("state", Some(&state)).unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Argument);
}

/// What serde lets programs write, and JSON doesn't have.
#[rstest]
#[case::a_key_that_is_no_text(
    &[(1, BTreeMap::from([(true, 1)]))],
    "state[1][2]: a key is a boolean; it has to be text or an integer"
)]
#[case::infinity(&[f64::INFINITY], "state[1]: NaN and infinities have no JSON counterpart")]
fn what_json_cannot_hold_is_an_error_with_its_path<T: Serialize>(
    #[case] state: &[T],
    #[case] message: &str,
) {
    let chunk = common::chunk("test", "return state", false);
    let failure = Machine::new()
        .request(Op::Eval, &chunk, Some(&state))
        .unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Argument);
}

#[rstest]
#[case::one_value(json!(5), "args: an integer is passed for the arguments; pass an array or a tuple of them")]
#[case::text(json!("x"), "args: text is passed for the arguments; pass an array or a tuple of them")]
#[case::an_object(json!({"x": 1}), "args: an object is passed for the arguments; pass an array or a tuple of them")]
fn arguments_are_an_array(#[case] args: Value, #[case] message: &str) {
    let failure = Machine::new().call("type", &args).unwrap_err();
    assert_eq!(failure.message, message);
    assert_eq!(failure.kind, FailureKind::Argument);
}

/// What goes by a number is a value of its own in each place.
#[test]
fn numbers_stand_for_what_they_were_defined_for() {
    let rows = json!([1, {"b": 2}]);
    let run = |code: &str, number| {
        let state = (
            Numbered::Definition(0),
            (
                (Numbered::Definition(1), &rows),
                Numbered::Reference(number),
            ),
        );
        let chunk = common::chunk("test", code, false);
        Machine::new().request(Op::Eval, &chunk, Some(&state))
    };
    let changed = run("state[1][2].b = 3 return state", 1);
    assert_eq!(changed, Ok(json!([[1, {"b": 3}], [1, {"b": 2}]])));
    for number in [0, 2, u32::MAX] {
        let failure = run("return 1", number).unwrap_err();
        assert_eq!(
            failure.message,
            "state[2]: what was passed in has a number that stands for nothing"
        );
    }
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

/// What passes as bytes: strings that aren't UTF-8, both ways.
#[test]
fn strings_may_hold_any_bytes() {
    let mut lua = Machine::new();
    let out = lua.raw_eval("{'text', '\\xff\\0', {x = '\\x80'}}").unwrap();
    let expected = [
        &[0x93][..],
        b"\xa4text",
        b"\xc4\x02\xff\0",
        b"\x81\xa1x\xc4\x01\x80",
    ];
    assert_eq!(out, expected.concat());

    #[derive(Serialize)]
    struct Bytes<'b>(#[serde(serialize_with = "bytes")] &'b [u8]);

    fn bytes<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    let chunk = common::chunk("test", "return {#state, state:byte(1, -1)}", false);
    let state = Bytes(b"\xff\0a");
    let seen = lua.request(Op::Eval, &chunk, Some(&state)).unwrap();
    assert_eq!(seen, json!([3, 255, 0, 97]));
}

#[rstest]
#[case::in_text("json.encode('\\xff')", "value: the string is not valid UTF-8")]
#[case::inside(
    "json.encode({a = {'\\xff'}})",
    "value.a[1]: the string is not valid UTF-8"
)]
fn json_text_is_utf8(#[case] code: &str, #[case] message: &str) {
    let said = Machine::new().error(&format!("return {code}"));
    assert_eq!(said, format!("test:1: {message}"));
}

/// Nulls in objects come back, those of arrays do anyway.
#[rstest]
#[case::one(json!({"a": null}))]
#[case::some(json!({"a": null, "b": 1, "c": null, "d": "x"}))]
#[case::nested(json!({"a": {"b": null}, "c": [{"d": null}, {}, {"e": [null, {"f": null}]}]}))]
#[case::keys_like_numbers(json!({"1": null, "2": null}))]
#[case::odd_keys(json!({"": null, "a.b": null, "\u{0}": null}))]
fn nulls_in_objects_come_back(#[case] value: Value) {
    let mut lua = Machine::new();
    let state = json!({"v": value});
    assert_eq!(lua.eval_with("state", Some(&state)).unwrap(), state);
    assert_eq!(lua.eval_with("state.v", Some(&state)).unwrap(), value);
    assert_eq!(lua.call("echo", &json!([value])).unwrap(), json!([value]));
    let text = value.to_string();
    let through_text = lua.eval_with("json.encode(json.decode(state))", Some(&json!(text)));
    let again: Value = serde_json::from_str(through_text.unwrap().as_str().unwrap()).unwrap();
    assert_eq!(again, value);
    assert_eq!(
        lua.eval_with("json.decode(state)", Some(&json!(text)))
            .unwrap(),
        value
    );
}

#[test]
fn as_many_nulls_as_there_are() {
    let keys: serde_json::Map<_, _> = (0..5000).map(|n| (format!("k{n}"), Value::Null)).collect();
    let state = Value::Object(keys);
    let mut lua = Machine::new();
    lua.allowance.max_value = 8 << 20;
    assert_eq!(lua.eval_with("return state", Some(&state)).unwrap(), state);
}

#[rstest]
#[case::unless_it_has_a_value("s.a = 1", json!({"a": 1, "b": null}))]
#[case::of_nil_again("s.a = 1 s.a = nil", json!({"a": null, "b": null}))]
#[case::beside_others("s.x = 1", json!({"a": null, "b": null, "x": 1}))]
#[case::with_null("s.a = null", json!({"a": null, "b": null}))]
#[case::with_integer_keys("s[1] = 'x'", json!({"1": "x", "a": null, "b": null}))]
#[case::behind_an_integer_key_of_its_name("s[1] = 'x' s.a = 0 s.b = 0", json!({"1": "x", "a": 0, "b": 0}))]
#[case::in_a_copy("local t = {} for k, v in pairs(s) do t[k] = v end s = t", json!({}))]
#[case::with_a_metatable("setmetatable(s, {__index = function() return 5 end})", json!({"a": null, "b": null}))]
fn a_null_is_one_as_long_as_it_is_nil(#[case] change: &str, #[case] expected: Value) {
    let code = format!("local s = state {change} return s");
    let state = json!({"a": null, "b": null});
    let mut lua = Machine::new();
    assert_eq!(lua.eval_with(&code, Some(&state)).unwrap(), expected);
}

/// The key "1" was null, and the script set the integer key 1, which is written the same way.
#[test]
fn a_null_gives_way_to_an_integer_key() {
    let mut lua = Machine::new();
    let state = json!({"1": null, "01": null});
    let seen = lua.eval_with("state[1] = 'x' return state", Some(&state));
    assert_eq!(seen.unwrap(), json!({"1": "x", "01": null}));
}

/// Of a key that is there twice the last counts, as without nulls.
#[rstest]
#[case(r#"{"a": null, "a": 1}"#, json!({"a": 1}))]
#[case(r#"{"a": 1, "a": null}"#, json!({"a": null}))]
#[case(r#"{"a": null, "a": null}"#, json!({"a": null}))]
fn the_last_of_two_keys_counts(#[case] text: &str, #[case] expected: Value) {
    let mut lua = Machine::new();
    let code = "return json.decode(state)";
    assert_eq!(lua.eval_with(code, Some(&json!(text))).unwrap(), expected);
}

/// Numbers that Lua can't hold are refused alike, with what to do.
#[rstest]
#[case::beyond_64_bits(
    "[1, {\"x\": 123456789012345678901234567890}]",
    "value[2].x: 123456789012345678901234567890 is too large for an integer"
)]
#[case::beyond_63_bits(
    "{\"ids\": [1, 9223372036854775808]}",
    "value.ids[2]: 9223372036854775808 is too large for an integer"
)]
#[case::negative(
    "-9223372036854775809",
    "value: -9223372036854775809 is too large for an integer"
)]
#[case::a_float(
    "[1e400]",
    "value[1]: 1e400 is too large for a number (up to 1.7976931348623157e308)"
)]
fn numbers_in_json_text_that_are_too_large(#[case] text: &str, #[case] message: &str) {
    let mut lua = Machine::new();
    let failure = lua
        .eval_with("return json.decode(state)", Some(&json!(text)))
        .unwrap_err();
    let said = failure.message.strip_prefix("test:1: ").unwrap();
    assert!(said.starts_with(message), "{said}");
    assert!(said.ends_with("; quote it, to pass it as text"), "{said}");
}

#[rstest]
#[case("[9223372036854775807, -9223372036854775808]", json!([i64::MAX, i64::MIN]))]
#[case("[1e19, 9223372036854775808.0, -0.0]", json!([1e19, 9_223_372_036_854_775_808.0, -0.0]))]
#[case("[\"9223372036854775808\"]", json!(["9223372036854775808"]))]
fn numbers_in_json_text_that_are_not(#[case] text: &str, #[case] expected: Value) {
    let mut lua = Machine::new();
    let code = "return json.decode(state)";
    assert_eq!(lua.eval_with(code, Some(&json!(text))).unwrap(), expected);
}
