//! Errors of scripts: their kind, their place, their traceback.

mod common;

use common::Machine;
use moonfork_guest::wire::{Denied, FailureKind, Op};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case::first_line("x ==", 1)]
#[case::third_line("local a = 1\n\nx ==", 3)]
#[case::expression("1 +", 1)]
fn syntax_errors_count_from_the_first_line(#[case] code: &str, #[case] line: u32) {
    let failure = Machine::new().eval(code).unwrap_err();
    assert!(matches!(
        failure.kind,
        FailureKind::Syntax | FailureKind::Unfinished
    ));
    assert!(
        failure.message.starts_with(&format!("test:{line}: ")),
        "{failure:?}"
    );
}

#[test]
fn an_unfinished_expression_is_reported_as_one() {
    let failure = Machine::new().eval("1 +").unwrap_err();
    assert_eq!(failure.message, "test:1: unexpected symbol near <eof>");
}

#[test]
fn runtime_errors_have_line_and_traceback() {
    let failure = Machine::new()
        .eval(
            "local function inner() error('boom') end\nlocal function outer() inner() end\nouter()",
        )
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Runtime);
    assert_eq!(failure.message, "test:1: boom");
    let traceback = failure.traceback.unwrap();
    assert!(traceback.contains("test:2: in"), "{traceback}");
    assert!(
        traceback.contains("test:3: in main chunk") || traceback.contains("test:3: in"),
        "{traceback}"
    );
}

#[rstest]
#[case::nothing("nothing", "can't call 'nothing': there is no such function")]
#[case::in_nothing(
    "nothing.at.all",
    "can't call 'nothing.at.all': 'nothing' is a nil value"
)]
#[case::no_function("math.pi", "can't call 'math.pi': it is a number value")]
fn calling_what_is_no_function(#[case] path: &str, #[case] message: &str) {
    let failure = Machine::new().call(path, &json!([])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotCallable);
    assert_eq!(failure.message, message);
}

#[test]
fn functions_are_called_by_path() {
    let mut lua = Machine::new();
    lua.eval("shop = {price = {of = function(n, each) return n * each end}}")
        .unwrap();
    assert_eq!(
        lua.call("shop.price.of", &json!([3, 5])).unwrap(),
        json!(15)
    );
    assert_eq!(lua.call("string.upper", &json!(["a"])).unwrap(), json!("A"));
}

#[test]
fn running_out_of_memory_can_be_caught_and_leaves_the_machine_usable() {
    let mut lua = Machine::with_memory(4 << 20);
    let failure = lua.eval("('x'):rep(1 << 24)").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Memory);
    let caught = lua
        .eval("local ok, message = pcall(string.rep, 'x', 1 << 24) return {ok, message}")
        .unwrap();
    assert_eq!(caught, json!([false, "not enough memory"]));
    assert_eq!(lua.eval("1 + 1").unwrap(), json!(2));
}

#[rstest]
#[case::empty(1, b"")]
#[case::short_header(1, b"\x05\0\0\0ab")]
#[case::huge_header(1, b"\xff\xff\xff\xffab")]
#[case::wrong_header(1, b"\x01\0\0\0\xc0")]
#[case::wrong_chunk(1, b"\x06\0\0\0\0\xff\0\0\0a")]
#[case::name_not_utf8(2, b"\x01\0\0\0\xff")]
#[case::no_such_operation(99, b"\0\0\0\0")]
fn malformed_requests_are_refused(#[case] op: u32, #[case] request: &[u8]) {
    assert_eq!(
        Machine::new().raw(op, request).unwrap_err().kind,
        FailureKind::Request
    );
}

#[test]
fn a_value_that_breaks_off_is_refused() {
    let mut request = b"\x01\0\0\0x".to_vec();
    request.extend(b"\x92\x01");
    assert_eq!(
        Machine::new()
            .raw(Op::Set as u32, &request)
            .unwrap_err()
            .kind,
        FailureKind::Argument
    );
}

#[rstest]
#[case::text("error(('x'):rep(200000))")]
#[case::tostring("error(setmetatable({}, {__tostring = function() return ('x'):rep(200000) end}))")]
fn long_messages_are_cut(#[case] code: &str) {
    let failure = Machine::new().eval(code).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Runtime);
    assert!(failure.message.len() < 80_000);
    assert!(
        failure.message.ends_with(" bytes in all)"),
        "{}",
        &failure.message[60_000..]
    );
}

#[rstest]
#[case::table("error({code = 1})", "(error object is a table value)")]
#[case::with_tostring(
    "error(setmetatable({}, {__tostring = function() return 'mine' end}))",
    "mine"
)]
#[case::nothing("error()", "nil")]
#[case::number("error(42)", "42")]
#[case::failing_tostring(
    "error(setmetatable({}, {__tostring = function() error('again', 0) end}))",
    "again"
)]
fn error_objects_are_described(#[case] code: &str, #[case] message: &str) {
    let failure = Machine::new().eval(code).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Runtime);
    assert!(failure.message.contains(message), "{failure:?}");
    assert!(
        !failure.message.contains("0x"),
        "no address of the guest: {failure:?}"
    );
}

#[test]
fn paths_may_be_odd() {
    let mut lua = Machine::new();
    lua.eval("_G[''] = {}").unwrap();
    for path in ["", ".", ".é.x", "é", "..é"] {
        let failure = lua.call(path, &json!([])).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NotCallable, "{path}");
    }
}

#[test]
fn as_many_arguments_as_there_may_be() {
    let mut lua = Machine::new();
    let arguments = |n: usize| Value::from(vec![1; n]);
    assert_eq!(lua.call("select", &json!(["#", 1, 2])).unwrap(), json!(2));
    assert_eq!(lua.call("math.max", &arguments(250)).unwrap(), json!(1));
    let failure = lua.call("math.max", &arguments(251)).unwrap_err();
    assert!(
        failure.message.contains("at most 250 arguments"),
        "{failure:?}"
    );
    lua.eval("do ones = {} for i = 1, 251 do ones[i] = 1 end end")
        .unwrap();
    let echoed = lua.eval("#echo(table.unpack(ones, 1, 250)) == 250");
    assert_eq!(echoed.unwrap(), json!(true));
    let message = lua.error("return echo(table.unpack(ones))");
    assert!(message.contains("too many arguments"), "{message}");
}

#[test]
fn without_a_state_the_name_is_free() {
    let mut lua = Machine::new();
    lua.eval("state = 5").unwrap();
    assert_eq!(lua.eval("state").unwrap(), json!(5));
    assert_eq!(lua.eval_with("state", Some(&json!(6))).unwrap(), json!(6));
}

#[rstest]
#[case::plain("denied()", Some(7))]
#[case::raised_again("local _, e = pcall(denied) error(e, 0)", Some(7))]
#[case::from_a_coroutine(
    "local _, e = coroutine.resume(coroutine.create(denied)) error(e, 0)",
    Some(7)
)]
#[case::written("error('it is not granted', 0)", None)]
#[case::after_one(
    "pcall(denied) error('test:1: it is not granted, which is longer than short', 0)",
    None
)]
#[case::of_a_function_that_fails("fails()", None)]
fn refusals_of_the_host_have_their_number(#[case] code: &str, #[case] number: Option<u32>) {
    let failure = Machine::new().eval(code).unwrap_err();
    assert_eq!(failure.denied, number.map(Denied::Refusal), "{failure:?}");
}

#[rstest]
#[case::of_the_function("local x\nx.y = 1", 2)]
#[case::of_its_caller("local function f() error('x', 2) end\n\nf()", 3)]
#[case::of_none("\nerror('x', 0)", 2)]
#[case::of_no_text("\nerror({})", 2)]
#[case::in_another("local function f() error('x', 0) end\n\nf()", 1)]
#[case::of_what_does_not_parse("x =\n\n=", 3)]
fn errors_have_a_position(#[case] code: &str, #[case] line: u32) {
    let failure = Machine::new().eval(code).unwrap_err();
    let position = failure.position.expect("a position");
    assert_eq!((&*position.chunk, position.line), ("test", line));
}

#[rstest]
#[case::an_expression("1 +", FailureKind::Unfinished)]
#[case::a_block("if x then", FailureKind::Unfinished)]
#[case::a_string("return 'x", FailureKind::Unfinished)]
#[case::a_text_that_says_so("return = '<eof>'", FailureKind::Syntax)]
#[case::another("return = 1", FailureKind::Syntax)]
fn texts_that_end_too_early_are_told_apart(#[case] code: &str, #[case] kind: FailureKind) {
    assert_eq!(Machine::new().eval(code).unwrap_err().kind, kind);
    let chunk = common::chunk("test", code, true);
    let checked = Machine::new().request::<()>(Op::Check, &chunk, None);
    assert_eq!(checked.unwrap_err().kind, kind);
}

#[test]
fn what_is_checked_does_not_run() {
    let mut lua = Machine::new();
    let chunk = common::chunk("test", "ran = true", false);
    assert_eq!(
        lua.request::<()>(Op::Check, &chunk, None).unwrap(),
        Value::Null
    );
    assert_eq!(lua.eval("ran").unwrap(), Value::Null);
}
