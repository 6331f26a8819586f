//! Ways out that other sandboxes had, each tried.

use std::time::Duration;

use moonfork::{Branch, Chunk, Error, Grants, RunOptions};
use rstest::rstest;
use serde_json::Value;

use crate::common;

fn branch() -> Branch {
    common::pool().branch().unwrap()
}

fn eval(code: &str) -> Result<Value, Error> {
    branch().eval(Chunk::body(code))
}

/// What must not be there, by any of the ways to a name.
#[rstest]
fn no_way_to_what_is_not_there(
    #[values(
        "require",
        "package",
        "io",
        "debug",
        "dofile",
        "loadfile",
        "os",
        "fs",
        "ffi",
        "jit",
        "getfenv",
        "setfenv",
        "loadstring",
        "module",
        "newproxy"
    )]
    name: &str,
    #[values(
        "return NAME",
        "return _G.NAME",
        "return _ENV.NAME",
        "return rawget(_G, 'NAME')",
        "return load('return NAME')()",
        "return load('return NAME', 'x', 't', _G)()",
        "return coroutine.wrap(function() return NAME end)()",
        "for k, v in next, _G do if k == 'NAME' then return v end end",
        "local mt = getmetatable('') return mt and mt.__index.NAME"
    )]
    way: &str,
) {
    assert_eq!(eval(&way.replace("NAME", name)).unwrap(), Value::Null);
}

#[rstest]
#[case::signature("load('\\27Lua')")]
#[case::with_mode_b("load('\\27Lua', 'x', 'b')")]
#[case::with_both_modes("load('\\27Lua', 'x', 'bt')")]
#[case::in_pieces("local n = 0 load(function() n = n + 1 return ({'\\27', 'Lua', 'T'})[n] end)")]
#[case::in_pieces_with_mode(
    "local n = 0 load(function() n = n + 1 return ({'\\27', 'Lua', 'T'})[n] end, 'x', 'bt')"
)]
fn bytecode_is_not_loaded(#[case] code: &str) {
    let code = code.replace("load(", "return load(");
    let result = eval(&format!(
        "local f = (function() {code} end)() return f == nil"
    ));
    assert_eq!(result.unwrap(), Value::Bool(true));
}

#[test]
fn bytecode_is_not_run_as_a_chunk_either() {
    let error = branch().eval::<()>("\u{1b}Lua").unwrap_err();
    assert!(error.is_syntax(), "{error}");
}

#[test]
fn functions_can_not_be_dumped() {
    assert_eq!(eval("return string.dump").unwrap(), Value::Null);
    assert_eq!(eval("return (''):rep(0).dump").unwrap(), Value::Null);
}

#[rstest]
#[case::strings("getmetatable('').__index = function() return 'taken over' end")]
#[case::string_library("string.rep = nil string.format = function() return 'taken over' end")]
#[case::globals("setmetatable(_G, {__index = function() return 'taken over' end})")]
#[case::base("tostring, pairs, pcall, error, type = nil")]
#[case::environment("_ENV = {} local x = 1")]
#[case::json("json.encode = nil json.decode = function() return 'taken over' end")]
#[case::null("null = 1")]
#[case::coroutines("coroutine.wrap = nil")]
#[case::collector("collectgarbage = nil")]
#[case::math("math.random = function() return 4 end")]
fn what_one_instance_changes_no_other_sees(#[case] change: &str) {
    let mut first = branch();
    let _ = first.eval::<Value>(Chunk::body(change));
    let probe = "
        local s = ('a'):rep(3) .. string.format('%d', 1) .. tostring(true)
        local t = json.decode(json.encode({1, null}))
        return {s, #t, undefined == nil, type(coroutine.wrap), collectgarbage('count') > 0,
          math.random(1000000) ~= math.random(1000000)}";
    assert_eq!(
        eval(probe).unwrap(),
        serde_json::json!(["aaa1true", 1, true, "function", true, true])
    );
    drop(first);
    // Nor does one that has its slot afterwards.
    assert!(eval(probe).is_ok());
}

/// What the library itself needs keeps working in an instance that a script has turned upside
/// down, or is an error of the script's.
#[rstest]
#[case("for k in pairs(_G) do _G[k] = nil end")]
#[case("for k in pairs(string) do string[k] = nil end for k in pairs(table) do table[k] = nil end")]
#[case(
    "setmetatable(_G, {__newindex = function() error('no') end, __index = function() error('no') end})"
)]
#[case("getmetatable('').__index = nil getmetatable('').__name = 1")]
#[case("_G._G = nil _ENV = nil")]
#[case("error = function() end pcall = nil xpcall = nil tostring = nil")]
fn an_instance_turned_upside_down_still_answers(#[case] code: &str) {
    let mut branch = branch();
    let _ = branch.eval::<Value>(Chunk::body(code));
    assert_eq!(branch.eval::<i64>("return 1 + 1").unwrap(), 2);
    let error = branch.eval::<i64>("local x = nil; return x.y").unwrap_err();
    assert!(error.is_script(), "{error}");
    assert!(branch.is_live());
}

#[rstest]
#[case::finalizer(
    "setmetatable({}, {__gc = function() while true do end end}) while true do local t = {} end"
)]
#[case::finalizer_that_makes_more(
    "local function more() setmetatable({}, {__gc = more}) end more() while true do local t = {{}} end"
)]
#[case::close(
    "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end"
)]
#[case::close_in_a_coroutine(
    "local co = coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) coroutine.yield() end) co() while true do end"
)]
#[case::catching(
    "while true do xpcall(function() while true do end end, function() while true do end end) end"
)]
#[case::coroutine_close(
    "local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) coroutine.yield() end) coroutine.resume(co) coroutine.close(co)"
)]
fn nothing_runs_on_after_a_kill(#[case] code: &str) {
    let options = RunOptions::new().wall(Duration::from_millis(200));
    let mut branch = common::pool().branch_with(&options).unwrap();
    let error = branch.eval::<()>(Chunk::body(code)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(!branch.is_live());
    assert!(branch.eval::<()>("1").unwrap_err().is_poisoned());
}

#[test]
fn a_coroutine_kept_across_a_kill_is_gone_with_its_instance() {
    let pool = common::builder().build().unwrap();
    let mut main = pool.main().unwrap();
    main.eval::<()>(
        "co = coroutine.create(function() coroutine.yield() secret = 1 end) coroutine.resume(co)",
    )
    .unwrap();
    let options = RunOptions::new().wall(Duration::from_millis(200));
    main.with(&options)
        .eval::<()>("while true do end")
        .unwrap_err();
    let mut again = pool.main().unwrap();
    assert_eq!(again.replaces(), Some(main.store_id()));
    assert_eq!(again.eval::<Value>("return co").unwrap(), Value::Null);
}

#[rstest]
#[case("collectgarbage('stop')")]
#[case("collectgarbage('generational')")]
#[case("collectgarbage('setpause', 1000)")]
#[case("collectgarbage('step', 0)")]
#[case("collectgarbage()")]
fn the_collector_is_not_the_script_s(#[case] code: &str) {
    let error = branch().eval::<Value>(Chunk::body(code)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("only the option 'count' is allowed"),
        "{error}"
    );
}

/// Tables whose keys a script chose to collide: the limits bound what they cost.
#[test]
fn strings_that_collide_cost_time_that_is_bounded() {
    let options = RunOptions::new().wall(Duration::from_millis(500));
    let mut branch = common::pool().branch_with(&options).unwrap();
    let code = "local t = {} for i = 1, 1e9 do t[('x'):rep(i % 40) .. i] = true t[i] = nil end";
    let error = branch.eval::<()>(code).unwrap_err();
    assert!(error.is_limit(), "{error}");
}

#[test]
fn a_host_function_that_was_kept_is_denied_to_a_narrower_call() {
    let pool = common::builder()
        .function("secret", |()| Ok("secret"))
        .build()
        .unwrap();
    let grants = Grants::none().function("secret");
    let mut branch = pool.branch_with(&RunOptions::new().grants(grants)).unwrap();
    branch
        .eval::<()>("kept = secret co = coroutine.wrap(function() while true do coroutine.yield(kept()) end end)")
        .unwrap();
    let nothing = RunOptions::new().grants(Grants::none());
    for way in [
        "return (kept())",
        "return (co())",
        "return (select(2, pcall(kept)))",
    ] {
        let result = branch.with(&nothing).eval::<Value>(way);
        let text = result.map_or_else(|error| error.to_string(), |value| value.to_string());
        assert!(text.contains("not granted to this run"), "{way}: {text}");
    }
}

/// Fills memory in pieces of all sizes, through all that allocates.
#[rstest]
#[case("local t = {} while true do t[#t + 1] = {} end")]
#[case("local s = 'x' while true do s = s .. s end")]
#[case("return ('x'):rep(1 << 40)")]
#[case(
    "return table.concat(setmetatable({}, {__index = function() return ('x'):rep(1 << 20) end}), ',', 1, 1 << 30)"
)]
#[case("local t = {} for i = 1, 1e9 do t[i] = function() return i end end")]
#[case("local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end")]
#[case("return string.format(('%99d'):rep(1e7), table.unpack({}, 1, 100))")]
#[case("return ('x'):rep(1e6):gsub('.', ('y'):rep(1e6))")]
#[case("return load(function() return ('x '):rep(1e6) end)")]
#[case("return table.unpack({}, 1, 1e8)")]
#[case("local t = {} while true do t = {t, t} json.encode(t) end")]
#[case("return json.decode(('['):rep(1e7))")]
#[case("return json.decode('\"' .. ('\\\\u0041'):rep(1e6) .. '\"'):rep(1e6)")]
#[case(
    "return utf8.char(table.unpack(setmetatable({}, {__index = function() return 65 end}), 1, 1e6)):rep(1e9)"
)]
fn memory_without_end_is_an_error(#[case] code: &str) {
    let options = RunOptions::new()
        .memory(16 << 20)
        .wall(Duration::from_secs(20));
    let mut branch = common::pool().branch_with(&options).unwrap();
    let error = branch.eval::<Value>(Chunk::body(code)).unwrap_err();
    assert!(!error.is_internal() && !error.is_timeout(), "{error}");
    if !error.ends_instance() {
        assert_eq!(branch.eval::<i64>("return 1 + 1").unwrap(), 2);
    }
}
