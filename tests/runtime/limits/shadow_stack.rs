//! What C and Rust keep in memory while they call each other lies on a small stack, in front of all
//! else, and goes on on a large one where it is nested deeply. Lua's own limits have to be reached long
//! before that ends, whichever functions a script nests; and whatever lies on either is as it was left.

use std::ops::Range;
use std::time::Duration;

use moonfork::testing::memory_of;
use moonfork::{Chunk, Grants, PoolBuilder, RunOptions};
use rstest::rstest;

use crate::common;

/// Where the stacks lie: `xtask/src/layout.rs` puts the large one behind what is copied for each instance.
struct Stacks {
    small: Range<usize>,
    large: Range<usize>,
}

/// As guest/wasi/recipe.toml has them.
fn stacks() -> Stacks {
    let recipe = include_str!("../../../guest/wasi/recipe.toml");
    let (_, small) = recipe.split_once("-zstack-size=").unwrap();
    let (small, _) = small.split_once('"').unwrap();
    let recipe: toml::Table = recipe.parse().unwrap();
    let number = |name: &str| recipe["memory"][name].as_integer().unwrap();
    let start = usize::try_from(number("hot")).unwrap();
    let size = usize::try_from(number("large_stack")).unwrap();
    Stacks {
        small: 0..small.parse().unwrap(),
        large: start..start + size,
    }
}

/// Bytes of `stack` that `used` wrote to, and a branch that ran nothing didn't: it grows downwards.
fn depth(stack: Range<usize>, untouched: &[u8], used: &[u8]) -> usize {
    let end = stack.end;
    let lowest = stack.into_iter().find(|&at| untouched[at] != used[at]);
    end - lowest.unwrap_or(end)
}

/// A pool that no slow machine runs out of time in.
fn builder() -> PoolBuilder {
    common::builder().wall(Duration::MAX)
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
    // A quarter of a million levels, since these take none of C's: a few of each thousand will do.
    "local deep \
     local level = 0 \
     local function closing() return setmetatable({}, { __close = function() deep() end }) end \
     function deep() \
       level = level + 1 if level < 500 or level % 1000 < 2 then leaf() end \
       local x <close> = closing() error('x') \
     end"
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
    let mut builder = builder().function("echo", |(value,): (serde_json::Value,)| Ok(value));
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
    let memory = memory_of(&branch);
    let Stacks { small, large } = stacks();
    let size = large.len();
    let used = depth(large, &untouched, &memory);
    // What `%f` alone takes.
    assert!(used > 7 << 10, "{used} bytes are too few to be true");
    assert!(
        used * 10 < size * 6,
        "{used} of {size} bytes were used: make the stack larger, in guest/wasi/recipe.toml",
    );
    let of_small = depth(small.clone(), &untouched, &memory);
    assert!(
        of_small * 2 > small.len() && untouched[..LOWEST] == memory[..LOWEST],
        "{of_small} bytes of the small stack were used, which comes first"
    );
}

/// Below this address there is no stack, for zero is no place.
const LOWEST: usize = 16;

/// `leaf()` does what takes much of a stack, and gives all that it found, as text.
const WORK: &str = "\
local text, optional = ('a'):rep(100), ('a?'):rep(30)
local function nested(n) return n == 0 and {} or { nested(n - 1), n } end
local value = nested(30)
local function leaf()
  local found = {}
  local function add(...) for i = 1, select('#', ...) do found[#found + 1] = tostring((select(i, ...))) end end
  add(pcall(string.match, text, '(' .. optional .. ')' .. ('a'):rep(40)))
  add(pcall(string.gsub, 'hello world', '(%w)(%w*)', function(a, b) return b .. a end))
  add(pcall(string.format, '%99.99f %a %q', 1e308, 0.1, 1/3))
  add(pcall(tonumber, '1' .. ('0'):rep(150) .. '.5e100'))
  add(pcall(json.encode, value))
  add(pcall(json.encode, json.decode(('['):rep(50) .. (']'):rep(50))))
  add(pcall(load, 'return ' .. ('{'):rep(50)))
  add(pcall(error, 'thrown'))
  add(pcall(function() local t = nil return t.x end))
  add(pcall(function() local x <close> = setmetatable({}, { __close = function(_, e) add(e) end }) error('closed') end))
  local t = { 5, 3, 1, 4, 2 }
  add(pcall(table.sort, t, function(a, b) return a < b end))
  add(table.concat(t, ','))
  add(coroutine.wrap(function() return pcall(coroutine.yield, 'yielded') end)())
  add(string.pack('<i4z', 7, 'packed'):byte(1, -1))
  return table.concat(found, ' ')
end
";

/// Wherever a small stack's end comes, in the midst of whatever takes much of it, all goes on as it
/// would have: `nest(n)` calls `leaf()` below `n` calls of a kind.
#[rstest]
#[case::plain_calls(
    "local function nest(n) if n == 0 then return leaf() end return (nest(n - 1)) end",
    150
)]
#[case::pcall(
    "local function nest(n) if n == 0 then return leaf() end return (select(2, pcall(nest, n - 1))) end",
    100
)]
#[case::gsub(
    "local function nest(n) \
       if n == 0 then return leaf() end \
       local found string.gsub('x', 'x', function() found = nest(n - 1) end) return found \
     end",
    60
)]
#[case::sort(
    "local function nest(n) \
       if n == 0 then return leaf() end \
       local found table.sort({ 1, 2 }, function(a, b) found = found or nest(n - 1) return a < b end) return found \
     end",
    60
)]
#[case::metamethods(
    "local t = setmetatable({}, { __concat = function(_, n) return n end }) \
     local function nest(n) if n == 0 then return leaf() end return (t .. nest(n - 1)) end",
    100
)]
#[case::format(
    "local function nest(n) \
       if n == 0 then return leaf() end \
       return (string.format('%s', setmetatable({}, { __tostring = function() return nest(n - 1) end }))) \
     end",
    60
)]
#[case::coroutines(
    "local function nest(n) if n == 0 then return leaf() end return coroutine.wrap(nest)(n - 1) end",
    60
)]
#[case::load(
    "local function nest(n) \
       if n == 0 then return leaf() end \
       local found load(function() found = nest(n - 1) end) return found \
     end",
    60
)]
#[case::closing(
    "local function nest(n) \
       if n == 0 then return leaf() end \
       local found \
       pcall(function() \
         local x <close> = setmetatable({}, { __close = function() found = nest(n - 1) end }) error('x') \
       end) \
       return found \
     end",
    60
)]
fn what_runs_across_the_small_ones_end_is_not_changed(#[case] define: &str, #[case] most: usize) {
    let pool = builder().max_branches(1).build().unwrap();
    let mut branch = pool.branch().unwrap();
    let untouched = memory_of(&branch);
    let calls = format!("{WORK}{define}\nfunction at(n) return nest(n) end");
    branch.eval::<()>(Chunk::body(calls)).unwrap();
    let expected: String = branch.call("at", &[0]).unwrap();
    assert!(
        expected.contains("thrown") && expected.contains("yielded"),
        "{expected}"
    );
    for n in 1..=most {
        let found: String = branch.call("at", &[n]).unwrap();
        assert_eq!(found, expected, "below {n} calls");
    }
    let memory = memory_of(&branch);
    let Stacks { small, large } = stacks();
    assert_eq!(untouched[..LOWEST], memory[..LOWEST]);
    assert!(depth(small, &untouched, &memory) > 0);
    assert!(
        depth(large, &untouched, &memory) > 0,
        "it never came to its end"
    );
}

/// What is thrown on the large stack and caught on the small one leaves neither any smaller.
#[test]
fn errors_lead_back_to_the_small_stack() {
    let pool = builder().max_branches(1).build().unwrap();
    let mut branch = pool.branch().unwrap();
    let code = "\
local function deep(n)
  if n == 0 then error('thrown') end
  local found string.gsub('x', 'x', function() deep(n - 1) end)
end
function throw(times)
  local caught = 0
  for _ = 1, times do if not pcall(deep, 100) then caught = caught + 1 end end
  return caught
end
";
    branch.eval::<()>(Chunk::body(code)).unwrap();
    let Stacks { large, .. } = stacks();
    assert_eq!(branch.call::<_, i64>("throw", &[1]).unwrap(), 1);
    let once = memory_of(&branch);
    assert_eq!(branch.call::<_, i64>("throw", &[1000]).unwrap(), 1000);
    let often = memory_of(&branch);
    let lowest = |memory: &[u8]| large.clone().find(|&at| memory[at] != 0).unwrap();
    assert_eq!(lowest(&once), lowest(&often));
}
