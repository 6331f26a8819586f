//! What scripts find, and what they don't.

mod common;

use common::Machine;
use rstest::rstest;
use serde_json::json;

#[rstest]
fn absent_names_are_nil(
    #[values(
        "dofile",
        "loadfile",
        "require",
        "package",
        "io",
        "os",
        "debug",
        "string.dump",
        "native"
    )]
    name: &str,
) {
    assert_eq!(
        Machine::new().eval(&format!("{name} == nil")).unwrap(),
        json!(true)
    );
}

#[test]
fn the_globals_are_these_and_no_others() {
    let names = Machine::new()
        .eval("local names = {} for name in pairs(_G) do names[#names + 1] = name end table.sort(names) return table.concat(names, ' ')")
        .unwrap();
    assert_eq!(
        names,
        "_G _VERSION assert collectgarbage coroutine denied echo error fails getmetatable ipairs json \
         load math next null pairs pcall print rawequal rawget rawlen rawset select setmetatable \
         string table tonumber tostring type utf8 warn xpcall"
    );
}

#[rstest]
#[case::text("load('return 1 + 1')()", json!(2))]
#[case::with_environment("load('return x', 'c', 't', {x = 5})()", json!(5))]
#[case::without_environment("load('return x', 'c', 't', nil) ~= nil", json!(true))]
#[case::pieces("local i = 0; return load(function() i = i + 1; return ({'return ', '7'})[i] end)()", json!(7))]
#[case::syntax_error("select(2, load('x ='))", json!("[string \"x =\"]:1: unexpected symbol near <eof>"))]
fn load_takes_text(#[case] code: &str, #[case] expected: serde_json::Value) {
    assert_eq!(Machine::new().eval(code).unwrap(), expected);
}

#[rstest]
#[case::default("load('\\27Lua')", "binary chunk")]
#[case::asked_for("load('\\27Lua', 'c', 'b')", "bytecode is not allowed")]
#[case::either("load('\\27Lua', 'c', 'bt')", "binary chunk")]
#[case::from_a_function(
    "load(coroutine.wrap(function() coroutine.yield('\\27Lua') end))",
    "binary chunk"
)]
fn load_refuses_bytecode(#[case] call: &str, #[case] message: &str) {
    let code = format!("local f, message = {call} return {{f == nil, message}}");
    let result = Machine::new().eval(&code).unwrap();
    assert_eq!(result[0], json!(true), "{result}");
    assert!(result[1].as_str().unwrap().contains(message), "{result}");
}

#[test]
fn print_goes_to_the_host() {
    let mut lua = Machine::new();
    lua.eval(
        "print('a', 1, nil, setmetatable({}, {__tostring = function() return 'T' end})) print()",
    )
    .unwrap();
    assert_eq!(*lua.recorder.printed.borrow(), b"a\t1\tnil\tT\n\n");
}

#[test]
fn the_collector_only_counts() {
    let mut lua = Machine::new();
    assert!(
        lua.eval("collectgarbage('count') > 1")
            .unwrap()
            .as_bool()
            .unwrap()
    );
    for option in ["", "'collect'", "'stop'", "'generational'"] {
        let message = lua.error(&format!("collectgarbage({option})"));
        assert!(message.contains("only the option 'count'"), "{message}");
    }
}

#[test]
fn random_follows_the_seed_of_the_instance() {
    let draw = |lua: &mut Machine| lua.eval("{math.random(0), math.random(0)}").unwrap();
    let (mut one, mut other) = (Machine::new(), Machine::new());
    let first = draw(&mut one);
    assert_eq!(first, draw(&mut other), "the same seed was given to both");
    assert_ne!(first, draw(&mut one));
    one.eval("do math.randomseed() end").unwrap();
    assert_ne!(
        draw(&mut one),
        draw(&mut other),
        "one went on to a new seed"
    );
    one.eval("do math.randomseed(42) end").unwrap();
    other.eval("do math.randomseed(42) end").unwrap();
    assert_eq!(draw(&mut one), draw(&mut other));
}

#[test]
fn the_seed_is_that_of_randomseed() {
    let draw = |lua: &mut Machine| lua.eval("{math.random(0), math.random(0)}").unwrap();
    let (mut seeded, mut other) = (Machine::new(), Machine::new());
    let (low, high) = common::SEED;
    other
        .eval(&format!("do math.randomseed({low}, {high}) end"))
        .unwrap();
    assert_eq!(draw(&mut seeded), draw(&mut other));
}

#[rstest]
#[case::decode("json.decode('{\"a\": [1, null], \"b\": 5.0}')", json!({"a": [1, null], "b": 5.0}))]
#[case::round_trip("json.encode(json.decode('[[], {}, [null]]'))", json!("[[],{},[null]]"))]
#[case::null("json.decode('null') == nil", json!(true))]
fn json_for_scripts(#[case] code: &str, #[case] expected: serde_json::Value) {
    assert_eq!(Machine::new().eval(code).unwrap(), expected);
}

#[rstest]
#[case::not_json("pcall(json.decode, '{')", "EOF while parsing")]
#[case::trailing("pcall(json.decode, '1 2')", "trailing characters")]
#[case::function(
    "pcall(json.encode, {f = print})",
    "value.f: a function has no JSON counterpart"
)]
#[case::no_table("pcall(json.array, 1)", "table expected, got number")]
#[case::host("pcall(fails)", "function 1 always fails")]
fn errors_of_our_functions_are_text(#[case] call: &str, #[case] message: &str) {
    let code = format!("local ok, message = {call}; return {{ok, type(message), message}}");
    let result = Machine::new().eval(&code).unwrap();
    assert_eq!((&result[0], &result[1]), (&json!(false), &json!("string")));
    assert!(result[2].as_str().unwrap().contains(message), "{result}");
}

#[test]
fn host_functions_take_any_number_of_values() {
    let mut lua = Machine::new();
    assert_eq!(lua.eval("echo()").unwrap(), json!([]));
    assert_eq!(
        lua.eval("echo(nil, 1, {x = {}}, nil)").unwrap(),
        json!([null, 1, {"x": {}}, null])
    );
    let message = lua.error("echo(1, {print})");
    assert!(
        message.contains("args[2][1]: a function has no JSON counterpart"),
        "{message}"
    );
}
