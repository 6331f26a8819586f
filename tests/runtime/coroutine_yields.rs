//! Yields in the guest take shorter ways than in Lua as it comes (guest/lua/).
//! Every kind of frame that can lie between a yield and its resume gives what native Lua gives.

use std::sync::LazyLock;

use moonfork::Pool;
use rstest::rstest;

/// Every case has a branch of its own.
static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::builder().build().unwrap());

/// `log` collects what resuming a coroutine gives, and its status after that.
const PRELUDE: &str = "local log = {} \
    local function resume(co, ...) \
      local got = table.pack(coroutine.resume(co, ...)) \
      for i = 1, got.n do got[i] = tostring(got[i]) end \
      log[#log + 1] = table.concat(got, ' ') .. ' ' .. coroutine.status(co) \
    end \
    local function drive(f) \
      local co = coroutine.create(f) \
      for i = 1, 6 do resume(co, i, -i) end \
    end ";

#[rstest]
#[case::from_a_function("drive(function(a) return coroutine.yield(a, coroutine.yield()) end)")]
#[case::from_a_nested_function(
    "local function inner(x) local y = coroutine.yield(x) return y end \
     drive(function() return inner(1) + inner(2) end)"
)]
#[case::as_a_tail_call("drive(function(...) return coroutine.yield(...) end)")]
#[case::as_the_body("drive(coroutine.yield)")]
#[case::as_the_body_of_another("drive(coroutine.wrap(coroutine.yield))")]
#[case::in_a_pcall("drive(function() return pcall(coroutine.yield, 1) end)")]
#[case::in_a_function_in_a_pcall(
    "drive(function() \
       local ok, e = pcall(function() coroutine.yield('in') error('failed', 0) end) \
       coroutine.yield(ok, e) error('again', 0) \
     end)"
)]
#[case::in_pcalls_in_pcalls(
    "drive(function() \
       local function inner(x) local y = coroutine.yield(x) return y, coroutine.yield(-x) end \
       return pcall(pcall, function() return xpcall(inner, error, 1) end) \
     end)"
)]
#[case::in_a_pcall_that_is_a_tail_call(
    "drive(function(...) return pcall(coroutine.yield, ...) end)"
)]
#[case::as_a_tail_call_in_a_pcall(
    "drive(function(...) \
       return pcall(function(...) return coroutine.yield(...) end, coroutine.yield(...)) \
     end)"
)]
#[case::after_an_error_was_caught(
    "drive(function() \
       for i = 1, 2 do local ok, e = pcall(error, i) coroutine.yield(ok, e) end \
     end)"
)]
#[case::after_a_yield_in_a_pcall_failed(
    "drive(function() \
       pcall(function() coroutine.yield(1) error('x', 0) end) \
       coroutine.yield(2) coroutine.yield(3) return 4 \
     end)"
)]
#[case::in_an_iterator(
    "drive(function() \
       for x in function() return (coroutine.yield('next')) end do log[#log + 1] = x end \
     end)"
)]
#[case::in_metamethods(
    "local t = setmetatable({}, { \
       __index = function(_, k) return (coroutine.yield(k)) end, \
       __add = function() return (coroutine.yield('sum')) end, \
       __call = function(_, x) return (coroutine.yield(x)) end, \
       __lt = function() return (coroutine.yield('less')) end, \
     }) \
     drive(function() local a = t.field local b = t + 1 local c = t(5) return a, b, c, t < t end)"
)]
#[case::in_a_variable_that_closes(
    "drive(function() \
       local x <close> = setmetatable({}, { __close = function() coroutine.yield('closing') end }) \
       coroutine.yield('open') return 'result' \
     end)"
)]
#[case::through_wrapped_coroutines(
    "local outer = coroutine.wrap(function() \
       local inner = coroutine.wrap(function() coroutine.yield(1) coroutine.yield(2) end) \
       coroutine.yield(inner()) coroutine.yield(inner()) \
     end) \
     log[#log + 1] = outer() + outer()"
)]
#[case::across_a_function_that_cannot(
    "drive(function() table.sort({3, 2, 1}, function(a, b) coroutine.yield() return a < b end) end)"
)]
#[case::outside_of_a_coroutine("log[#log + 1] = tostring(select(2, pcall(coroutine.yield)))")]
#[case::with_variables_of_the_stack_moved(
    "local function deep(n) if n == 0 then return (coroutine.yield('deep')) end return 1 + deep(n - 1) end \
     drive(function() return deep(150) end)"
)]
#[case::and_closed_before_the_end(
    "local co = coroutine.create(function() \
       local x <close> = setmetatable({}, { __close = function() log[#log + 1] = 'closed' end }) \
       coroutine.yield() \
     end) \
     resume(co) log[#log + 1] = tostring(coroutine.close(co)) resume(co)"
)]
#[case::with_many_values(
    "drive(function(...) \
       local sum = 0 \
       for i = 1, 3 do sum = sum + select('#', coroutine.yield(table.unpack({}, 1, 100 * i))) end \
       return sum \
     end)"
)]
fn a_yield_gives_what_it_gives_natively(#[case] script: &str) {
    let code = format!("{PRELUDE} {script} return table.concat(log, '\\n')");
    let native: String = mlua::Lua::new().load(&code).eval().unwrap();
    let ours: String = POOL.branch().unwrap().eval(code.as_str()).unwrap();
    assert_eq!(ours, native);
    assert!(!native.is_empty());
}
