//! Translated Lua is held to the limits that the interpreter is held to, and says where it was stopped.

use std::ops::RangeInclusive;
use std::time::Duration;

use moonfork::{Chunk, Error, RunOptions};
use rstest::rstest;

use super::{compiling, has_places};

#[rstest]
#[case::an_empty_loop("local x = 1\n\n\nwhile true do end\nreturn x", 4..=4)]
#[case::a_loop_at_the_beginning_of_a_function("local function f()\nwhile true do end\nend f()", 2..=2)]
#[case::a_loop_over_numbers("local n = 0\nfor i = 1, math.huge do\nn = i\nend", 2..=3)]
#[case::a_loop_of_an_iterator("for _ in function() return 1 end do\nend", 1..=2)]
#[case::a_goto("local n = 0\n::again::\ngoto again", 3..=3)]
#[case::endless_calls("local function f() end\nwhile true do\nf()\nend", 1..=4)]
#[case::endless_tail_calls("local function f()\nreturn f()\nend f()", 2..=2)]
#[case::endless_recursion("local function f(n)\nif n == 0 then return 0 end\nreturn f(n - 1) + f(n - 1)\nend f(100)", 2..=3)]
#[case::in_pcall("pcall(function()\nlocal x\nwhile true do end\nend)", 3..=3)]
#[case::pcall_in_a_loop("while true do\npcall(error, 'x')\nend", 1..=3)]
#[case::in_a_coroutine("coroutine.wrap(function()\nwhile true do end\nend)()", 2..=2)]
#[case::in_a_metamethod("local t = setmetatable({}, {__index = function()\nwhile true do end\nend})\nreturn t.x", 2..=2)]
#[case::in_a_comparator("table.sort({3, 2, 1}, function()\nwhile true do end\nend)", 2..=2)]
fn a_script_that_does_not_end_is_stopped(#[case] code: &str, #[case] lines: RangeInclusive<u32>) {
    let pool = compiling().build().unwrap();
    let options = RunOptions::new().wall(Duration::from_millis(200));
    let mut branch = pool.branch_with(&options).unwrap();
    let error = branch
        .eval::<()>(Chunk::body(code).named("spin"))
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(!has_places() || pool.compiled_lua()[0].functions() > 0);
    let line = line(&error);
    assert!(lines.contains(&line), "{line}: {error}");
}

fn line(error: &Error) -> u32 {
    error
        .site()
        .unwrap_or_else(|| panic!("{error}"))
        .position
        .line
}

#[test]
fn fuel_ends_and_what_is_burnt_is_the_same_each_time() {
    let pool = compiling().metered().build().unwrap();
    let code = "local n = 0 for i = 1, 100000 do n = n + i % 7 end return n";
    let burnt = [(); 2].map(|()| {
        let mut branch = pool.branch().unwrap();
        branch.eval::<i64>(code).unwrap();
        branch.take_report().fuel.unwrap()
    });
    assert_eq!(burnt[0], burnt[1]);
    let run = |fuel| {
        let options = RunOptions::new().fuel(fuel);
        pool.branch_with(&options).unwrap().eval::<i64>(code)
    };
    assert!(run(burnt[0]).is_ok());
    assert!(run(burnt[0] / 2).unwrap_err().is_out_of_fuel());
}

#[test]
fn memory_ends_in_an_error_that_can_be_caught() {
    let code = "local t = {} \
        local ok, message = pcall(function() for i = 1, 1e9 do t[i] = {i} end end) \
        t = nil \
        return {ok, message}";
    let pool = compiling().memory(16 << 20).build().unwrap();
    let caught: (bool, String) = pool.branch().unwrap().eval(code).unwrap();
    assert_eq!(caught, (false, "not enough memory".to_owned()));
    let fits = "local t = {} for i = 1, 1e4 do t[i] = {i} end return #t";
    assert_eq!(pool.branch().unwrap().eval::<i64>(fits).unwrap(), 10_000);
}

/// However Lua and C call each other, Lua's own bound comes before the end of the native stack, also
/// where functions are large.
#[rstest]
#[case::lua("function deep() return 1 + deep() end")]
#[case::lua_then_sort(
    "local function down(n) if n == 0 then return deep() end return 1 + down(n - 1) end \
     function deep() table.sort({1, 2, 3}, function() return down(700) end) end"
)]
#[case::lua_then_gsub(
    "local function down(n) if n == 0 then return deep() end return 1 + down(n - 1) end \
     function deep() return (string.gsub('x', '.', function() return down(700) end)) end"
)]
#[case::lua_then_index(
    "local t = setmetatable({}, {__index = function() return deep() end}) \
     local function down(n) if n == 0 then return t.x end return 1 + down(n - 1) end \
     function deep() return down(700) end"
)]
#[case::lua_then_newindex(
    "local t = setmetatable({}, {__newindex = function() return deep() end}) \
     local function down(n) if n == 0 then t.x = 1 end return 1 + down(n - 1) end \
     function deep() return down(700) end"
)]
#[case::lua_then_coroutine(
    "local function down(n) if n == 0 then return deep() end return 1 + down(n - 1) end \
     function deep() return coroutine.wrap(function() return down(700) end)() end"
)]
#[case::lua_then_pcall(
    "local function down(n) \
       if n == 0 then local ok, e = pcall(deep) if not ok then error(e, 0) end return 1 end \
       return 1 + down(n - 1) \
     end \
     function deep() return down(700) end"
)]
#[case::large_functions(
    "local function large(n, a, b, c, d) \
       local e, f, g, h, i, j, k, l = a + 1.5, b + 2.5, c + 3.5, d + 4.5, a * 2, b * 3, c * 4, d * 5 \
       local m, o, p, q, r, s, u, v = e * f, f * g, g * h, h * i, i * j, j * k, k * l, l * e \
       local x = n == 0 and deep() or large(n - 1, e, f, g, h) \
       return x + a + b + c + d + e + f + g + h + i + j + k + l + m + o + p + q + r + s + u + v \
     end \
     function deep() table.sort({1, 2, 3}, function() return large(700, 1.0, 2.0, 3.0, 4.0) end) end"
)]
fn recursion_without_end_is_an_error(#[case] define: &str, #[values(256, 2048)] kibibytes: usize) {
    let code =
        format!("{define}\nlocal ok, message = pcall(deep)\nreturn {{ok, tostring(message)}}");
    let pool = compiling().build().unwrap();
    let run = move || {
        let caught: (bool, String) = pool.branch().unwrap().eval(code).unwrap();
        assert!(!caught.0);
        let known = ["not enough memory", "overflow", "error in error handling"];
        assert!(
            known.iter().any(|known| caught.1.contains(known)),
            "{}",
            caught.1
        );
    };
    let thread = std::thread::Builder::new().stack_size(kibibytes << 10);
    thread.spawn(run).unwrap().join().unwrap();
}
