//! What C and Rust keep in memory while they call each other lies on a stack of a fixed size, in
//! front of all else. Lua's own limits have to be reached long before it ends, whichever functions
//! a script nests.

use moonfork::testing::memory_of;
use moonfork::{Chunk, Grants, RunOptions};
use rstest::rstest;

use crate::common;

/// How large it is, in bytes.
fn size() -> usize {
    let recipe = include_str!("../../../guest/wasi/recipe.toml");
    let (_, size) = recipe.split_once("-zstack-size=").unwrap();
    let (size, _) = size.split_once('"').unwrap();
    size.parse().unwrap()
}

/// Bytes of it that `used` wrote to, and a branch that ran nothing didn't: it grows downwards.
fn depth(untouched: &[u8], used: &[u8]) -> usize {
    let stack = size();
    let lowest = (0..stack).find(|&at| untouched[at] != used[at]);
    stack - lowest.unwrap_or(stack)
}

/// Functions to end with, when all is nested as deep as it can be: `leaf()`.
const LEAF: &str = "\
local text, optional = ('a'):rep(1000), ('a?'):rep(190)
local function leaf()
  pcall(string.match, text, optional .. ('a'):rep(150))
  pcall(string.format, '%99.99f', 1e308)
  pcall(tonumber, '1' .. ('0'):rep(150) .. '.5e100')
  pcall(load, 'return ' .. ('{'):rep(150))
  pcall(error, {})
  pcall(function() local t = nil return t.x end)
end
";

/// Functions that call `deep()`, by way of as much C as there is, until Lua won't have it.
#[rstest]
#[case::gsub("local function deep() leaf() return (string.gsub('x', '(((x)))', deep)) end")]
#[case::gsub_in_a_table(
    "local t = setmetatable({}, {}) \
     local function deep() leaf() return (string.gsub('x', 'x', t)) end \
     getmetatable(t).__index = deep"
)]
#[case::gsub_behind_pcall(
    "local function deep() pcall(type, 1) leaf() return (string.gsub('x', '(((x)))', deep)) end"
)]
#[case::gsub_in_pcall(
    "local function deep() leaf() return (select(2, pcall(string.gsub, 'x', 'x', deep))) end"
)]
#[case::gsub_in_xpcall(
    "local function deep() leaf() xpcall(string.gsub, function(e) leaf() return e end, 'x', 'x', deep) end"
)]
#[case::sort(
    "local function deep() leaf() local t = {} for i = 1, 200 do t[i] = i end table.sort(t, deep) end"
)]
#[case::concat(
    "local t = setmetatable({}, { __len = function() return 3 end }) \
     local function deep() leaf() return table.concat(t, ',') end \
     getmetatable(t).__index = deep"
)]
#[case::format(
    "local t = setmetatable({}, {}) \
     local function deep() leaf() return string.format('%s %99s', t, t) end \
     getmetatable(t).__tostring = deep"
)]
#[case::print(
    "local t = setmetatable({}, {}) \
     local function deep() leaf() print(t) return '' end \
     getmetatable(t).__tostring = deep"
)]
#[case::load("local function deep() leaf() return load(deep) end")]
#[case::load_in_functions(
    "local n = 0 \
     local function deep() \
       leaf() local first = true \
       return load(function() \
         if first then first = false return ('return function() '):rep(3) end deep() \
       end) \
     end"
)]
#[case::load_in_expressions(
    "local function deep() \
       leaf() local first = true \
       return load(function() if first then first = false return 'return {{' end deep() end) \
     end"
)]
#[case::load_of_all_nestings(
    "local function deep() \
       leaf() \
       for _, s in ipairs { 'return function() ', 'do ', 'return {', 'return (', 'if x then ', \
           'return function(...) for i = {function() repeat local x <close> = ' } do \
         load(s:rep(500)) \
       end \
       error('overflow') \
     end"
)]
#[case::coroutines("local function deep() leaf() return coroutine.wrap(deep)() end")]
#[case::coroutines_with_gsub(
    "local function deep() leaf() return coroutine.wrap(string.gsub)('x', 'x', deep) end"
)]
#[case::metamethods(
    "local t = setmetatable({}, {}) \
     local function deep() leaf() return t .. t end \
     getmetatable(t).__concat = deep"
)]
#[case::compared(
    "local t, u = setmetatable({}, {}), {} \
     local function deep() leaf() return t < t end \
     getmetatable(t).__lt = deep"
)]
#[case::closing(
    "local deep \
     local function closing() return setmetatable({}, { __close = function() deep() end }) end \
     function deep() leaf() local x <close> = closing() error('x') end"
)]
#[case::iterators("local function deep() leaf() for _ in deep do end end")]
#[case::moved(
    "local t = setmetatable({}, { __len = function() return 3 end }) \
     local function deep() leaf() table.move(t, 1, 3, 2) table.unpack(t, 1, 3) return 1 end \
     getmetatable(t).__index = deep"
)]
#[case::modules("local function deep() leaf() return require('module1') end")]
#[case::encoded(
    "local function nested(n) return n == 0 and {} or { nested(n - 1) } end \
     local value = nested(100) \
     local function deep() \
       pcall(json.decode, json.encode(value)) pcall(json.decode, ('['):rep(500)) \
       return (string.gsub('x', 'x', deep)) \
     end"
)]
#[case::passed_to_the_host(
    "local function nested(n) return n == 0 and {} or { nested(n - 1) } end \
     local value = nested(98) \
     local function deep() pcall(echo, value) return (string.gsub('x', 'x', deep)) end"
)]
#[case::passed_to_the_host_from_format(
    "local function nested(n) return n == 0 and {} or { nested(n - 1) } end \
     local value, t = nested(98), setmetatable({}, {}) \
     local function deep() leaf() pcall(echo, value) return string.format('%99s', t) end \
     getmetatable(t).__tostring = deep"
)]
fn no_script_comes_near_its_end(#[case] define: &str) {
    const MODULE: &str = "\
local t = setmetatable({}, { __tostring = function() return require(next) end })
return string.format('%s', t)
";
    let mut builder = common::builder().function("echo", |(value,): (serde_json::Value,)| {
        Ok::<_, String>(value)
    });
    for n in 1..250 {
        let next = format!("'module{}'", n + 1);
        builder = builder.module(format!("module{n}"), MODULE.replace("next", &next));
    }
    let grants = Grants::none().function("echo").all_modules();
    let pool = builder.build().unwrap();
    let options = RunOptions::new().grants(grants);
    let mut branch = pool.branch_with(&options).unwrap();
    let untouched = memory_of(&branch);
    let code = format!("{LEAF}{define}\nlocal _, message = pcall(deep) return tostring(message)");
    branch.eval::<String>(Chunk::body(code)).unwrap();
    let used = depth(&untouched, &memory_of(&branch));
    // What `%f` alone takes.
    assert!(used > 7 << 10, "{used} bytes are too few to be true");
    assert!(
        used * 10 < size() * 6,
        "{used} of {} bytes were used: make the stack larger, in guest/wasi/recipe.toml",
        size()
    );
}
