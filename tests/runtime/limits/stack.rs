//! Deep recursion is an error that scripts can catch, in Lua and in C alike, before the
//! WebAssembly stack ends: on a thread with a small stack as on any other.

use rstest::rstest;

use crate::common;

/// Scripts that define `deep()`, which recurses without end.
#[rstest]
#[case::lua("function deep() return 1 + deep() end")]
#[case::gsub("function deep() return (string.gsub('x', '.', deep)) end")]
#[case::sort("function deep() table.sort({1, 2, 3}, deep) end")]
#[case::pcall("function deep() local ok, e = pcall(deep) if not ok then error(e, 0) end end")]
#[case::pcall_before_gsub(
    "function deep() pcall(type, 1) return (string.gsub('x', '.', deep)) end"
)]
#[case::pcall_before_sort("function deep() pcall(type, 1) table.sort({1, 2, 3}, deep) end")]
#[case::pcall_before_close(
    "function deep() pcall(type, 1) local x <close> = setmetatable({}, {__close = function() deep() end}) end"
)]
#[case::xpcall(
    "function deep() local ok, e = xpcall(deep, function(e) return e end) if not ok then error(e, 0) end end"
)]
#[case::index(
    "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end function deep() return t.x end"
)]
#[case::index_chain(
    "local t = {} for i = 1, 5000 do t = setmetatable({}, {__index = t}) end function deep() return t.x or deep() + 1 end"
)]
#[case::tostring(
    "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return tostring(t) end function deep() return tostring(t) end"
)]
#[case::format(
    "local t = setmetatable({}, {}) getmetatable(t).__tostring = function(t) return string.format('%s', t) end function deep() return tostring(t) end"
)]
#[case::concat(
    "local t = setmetatable({}, {}) getmetatable(t).__concat = function(a, b) return a .. b end function deep() return t .. t end"
)]
#[case::compare(
    "local t = setmetatable({}, {}) getmetatable(t).__lt = function(a, b) return a < b end function deep() return t < t end"
)]
#[case::coroutines("function deep() return coroutine.wrap(deep)() end")]
#[case::load("function deep() return assert(load(deep))() end")]
#[case::parser(
    "function deep() return assert(load('return ' .. ('('):rep(10000) .. '1' .. (')'):rep(10000))) end"
)]
#[case::parser_blocks(
    "function deep() return assert(load(('do '):rep(10000) .. ('end '):rep(10000))) end"
)]
#[case::pattern("function deep() return string.match(('a'):rep(10000), ('a?'):rep(10000)) end")]
#[case::close(
    "function deep() local x <close> = setmetatable({}, {__close = function() deep() end}) end"
)]
#[case::ipairs(
    "local t = setmetatable({}, {}) getmetatable(t).__index = function() for _ in ipairs(t) do end end function deep() for _ in ipairs(t) do end error('stack overflow') end"
)]
#[case::next_pairs(
    "local t = setmetatable({}, {}) getmetatable(t).__pairs = function(t) return pairs(t) end function deep() return pairs(t) end"
)]
#[case::unpack("function deep() return table.unpack({}, 1, 1e7) end")]
fn recursion_without_end_is_an_error(#[case] define: &str, #[values(256, 2048)] kibibytes: usize) {
    let code =
        format!("{define}\nlocal ok, message = pcall(deep)\nreturn {{ok, tostring(message)}}");
    let run = move || {
        let mut branch = common::pool().branch().unwrap();
        let caught: (bool, String) = branch.eval(code).unwrap();
        assert!(!caught.0);
        // A Lua stack may also grow into the memory limit before it grows into its own.
        let known = [
            "not enough memory",
            "too long",
            "overflow",
            "too complex",
            "too many",
            "error in error handling",
        ];
        assert!(
            known.iter().any(|known| caught.1.contains(known)),
            "{}",
            caught.1
        );
        assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2, "it goes on");
    };
    std::thread::Builder::new()
        .stack_size(kibibytes << 10)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn recursion_within_the_limit_ends_by_itself() {
    let mut branch = common::pool().branch().unwrap();
    let code = "local function depth(n) if n == 0 then return 0 end return 1 + depth(n - 1) end return depth(10000)";
    assert_eq!(branch.eval::<i64>(code).unwrap(), 10_000);
    let code = "local function nest(n) if n > 0 then string.gsub('x', '.', function() nest(n - 1) end) end return n end return nest(150)";
    assert_eq!(branch.eval::<i64>(code).unwrap(), 150);
}
