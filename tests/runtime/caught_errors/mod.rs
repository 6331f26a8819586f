//! Errors in the guest take shorter ways than in Lua as it comes (guest/lua/). Whatever
//! lies between an error and what catches it, all that a script sees is what native Lua shows.

use moonfork::Chunk;
use rstest::rstest;

use crate::common;

/// `log` collects what `note` is given. Tables are named in the order in which they are seen.
const PRELUDE: &str = "\
local log, names, count = {}, {}, 0
local function show(v)
  if type(v) == 'table' or type(v) == 'function' or type(v) == 'thread' then
    if not names[v] then count = count + 1 names[v] = type(v) .. count end
    return names[v]
  end
  return tostring(v)
end
local function note(...)
  local line = table.pack(...)
  for i = 1, line.n do line[i] = show(line[i]) end
  log[#log + 1] = table.concat(line, ' ')
end
local function closing(f)
  return setmetatable({}, { __close = function(_, e) note('closing', e) if f then f(e) end end })
end
local function drive(f, ...)
  local co = coroutine.create(f)
  note(coroutine.resume(co, ...))
  for i = 1, 4 do note(coroutine.status(co), coroutine.resume(co, i)) end
  return co
end
";

#[track_caller]
fn assert_same(script: &str) {
    let code = |run: &str| {
        format!(
            "{PRELUDE} local function main() {script} end \
             assert({run}) return table.concat(log, '\\n')"
        )
    };
    let lua = mlua::Lua::new();
    // The guest calls a script from a C function of its own, which counts where calls may nest.
    let native = code("select(2, pcall(pcall, main))");
    let native: String = lua.load(native).set_name("=script").eval().unwrap();
    let ours = Chunk::body(code("pcall(main)")).named("script");
    let ours: String = common::pool().branch().unwrap().eval(ours).unwrap();
    assert_eq!(ours, native);
    assert!(!native.is_empty());
}

#[rstest]
#[case::of_any_type(
    "local t = {} \
     for _, v in ipairs { 'text', 1, 1.5, true, t, print, coroutine.create(print) } do \
       local ok, e = pcall(error, v) note(ok, e, rawequal(e, v)) \
     end \
     note(pcall(error)) note(pcall(error, nil)) note(select('#', pcall(error, nil)))"
)]
#[case::with_positions(
    "local function at(level)
       local function raise() error('text', level) end
       return function()
         raise()
         return 1
       end
     end
     for level = 0, 3 do
       note(pcall(at(level)))
       note(pcall(error, 'text', level))
       note(pcall(function() return error('tail', level) end))
     end"
)]
#[case::with_a_bad_level("note(pcall(error, 'text', {})) note(pcall(error, {}, 'x'))")]
#[case::of_assert(
    "note(pcall(assert, false)) note(pcall(assert, nil, 'message')) note(pcall(assert, nil, {}, 2)) \
     note(pcall(assert, 1, 2, 3)) note(pcall(assert)) \
     note(pcall(function() assert(false, 'message') end)) \
     note(pcall(function() return assert(nil, 'tail') end))"
)]
#[case::that_are_texts_of_lua_itself(
    "note(pcall(error, 'not enough memory', 0)) note(pcall(error, 'error in error handling', 0))"
)]
fn values(#[case] script: &str) {
    assert_same(script);
}

#[rstest]
#[case::as_the_function_itself("note(pcall(error, 1)) note(xpcall(error, show, 2))")]
#[case::through_lua_functions(
    "local function deep(n) if n == 0 then error('deep') end deep(n - 1) return n end \
     for _, n in ipairs { 0, 1, 100, 10000 } do note(pcall(deep, n)) end"
)]
#[case::through_tail_calls(
    "local function deep(n, ...) if n == 0 then return error('deep') end return deep(n - 1, n, ...) end \
     for _, n in ipairs { 0, 1, 100 } do note(pcall(deep, n)) end"
)]
#[case::with_many_arguments(
    "local function raise(...) return error(...) end \
     note(pcall(raise, {}, table.unpack({}, 1, 200))) \
     note(pcall(raise, 'text', 2, table.unpack({}, 1, 200)))"
)]
#[case::as_a_metamethod(
    "local t = setmetatable({}, { __index = error, __newindex = error, __call = error, \
       __add = error, __lt = error, __len = error, __unm = error, __concat = error, __eq = error }) \
     note(pcall(function() return t.x end)) note(pcall(function() t.x = 1 end)) \
     note(pcall(t, 1)) note(pcall(function() t(1) end)) note(pcall(function() return t(1) end)) \
     note(pcall(function() return t + 1 end)) note(pcall(function() return t < t end)) \
     note(pcall(function() return #t end)) note(pcall(function() return -t end)) \
     note(pcall(function() return t .. 'x' end)) \
     note(pcall(function() return t == setmetatable({}, getmetatable(t)) end))"
)]
#[case::inside_of_a_metamethod(
    "local t = setmetatable({}, { __index = function(_, k) error('no ' .. k, 2) end }) \
     note(pcall(function() return t.field end)) \
     note(pcall(function() local ok, e = pcall(function() return t.inner end) note(ok, e) error(e) end))"
)]
#[case::in_the_callback_of_a_sort(
    "local t = { 3, 2, 1 } note(pcall(table.sort, t, error)) \
     note(pcall(table.sort, t, function(a, b) error({}) end)) \
     note(pcall(table.sort, t, function(a, b) pcall(error) return a < b end)) note(table.unpack(t))"
)]
#[case::in_the_callback_of_gsub(
    "note(pcall(string.gsub, 'abc', '.', error)) \
     note(pcall(string.gsub, 'abc', '.', function(c) if c == 'b' then error('b') end end)) \
     note(string.gsub('abc', '.', function(c) return (select(2, pcall(error, c .. c))) end))"
)]
#[case::in_the_reader_of_load(
    "note(pcall(load, function() error('reads', 0) end)) \
     note(pcall(load, error)) \
     note(load(function() pcall(error) error({}) end))"
)]
#[case::in_an_iterator(
    "note(pcall(function() for x in error, 'state', 0 do end end)) \
     note(pcall(function() for x in function() error('next') end do end end)) \
     note(pcall(function() for i, x in ipairs(setmetatable({}, { __index = error })) do end end)) \
     note(pcall(function() for _ in pairs(setmetatable({}, { __pairs = error })) do end end))"
)]
#[case::in_tostring(
    "local t = setmetatable({}, { __tostring = function() error('shown') end }) \
     note(pcall(tostring, t)) note(pcall(string.format, '%s', t))"
)]
#[case::in_a_finalizer(
    "local function collected(raise) \
       local done = false \
       setmetatable({}, { __gc = error }) \
       setmetatable({}, { __gc = function(t) done = pcall(pcall, error, t) raise('x') end }) \
       while not done do local t = {} end \
       return done, pcall(error, 'after') \
     end \
     note(collected(error)) note(collected(function(e) return error(e) end)) \
     drive(function() note(pcall(collected, error)) error('end') end)"
)]
#[case::raised_by_lua_itself(
    "note(pcall(function() local t = nil return t.x end)) note(pcall(function() return 1 + {} end)) \
     note(pcall(nil)) note(pcall(pcall)) note(pcall(tonumber, {}, 10)) note(pcall(string.rep)) \
     note(pcall(setmetatable, 1)) note(pcall(function() for i = 1, 10, 0 do end end))"
)]
#[case::in_pcalls_in_pcalls(
    "note(pcall(pcall, error, 1)) note(pcall(pcall, pcall, error, 1)) \
     note(pcall(function() local ok, e = pcall(error, 'a') error(e .. 'b', 0) end)) \
     note(pcall(function() return pcall(function() return pcall(error, {}) end) end))"
)]
#[case::with_any_number_of_results(
    "local function give(...) return ... end \
     local function one(a) return a end \
     local function none() end \
     local function fail() error('x', 0) end \
     for _, f in ipairs { give, one, none, fail, select, print ~= nil } do \
       pcall(f, 1, 2) \
       local a = pcall(f, 1, 2) note(a) \
       local b, c = pcall(f, 1, 2) note(b, c) \
       local d, e, g, h = pcall(f, 1, 2) note(d, e, g, h) \
       note(pcall(f, 1, 2)) note((pcall(f, 1, 2))) note(#{ pcall(f, 1, 2) }) \
       note((function(...) return pcall(f, ...) end)(3, 4, 5)) \
       note((function() local v = 1 local get = function() return v end return pcall(f, get()) end)()) \
     end"
)]
#[case::with_too_few_arguments(
    "note(pcall(function(a, b, c) return c, b, a end, 1)) \
     note(pcall(function(a, ...) return select('#', ...), a end)) \
     note(pcall(setmetatable({}, { __call = function(self, a) return self, a end }), 1)) \
     note(pcall(setmetatable({}, { __call = function(self, a) error(a, 0) end }), 1))"
)]
#[case::nested_as_deep_as_can_be(
    "local function down(n) \
       local ok, deeper = pcall(down, n + 1) \
       if ok then return deeper end \
       note(deeper) return n \
     end \
     note(down(0)) note(down(0)) \
     local function both(n) \
       local ok, deeper = pcall(string.gsub, 'x', 'x', function() \
         local ok, deeper = pcall(both, n + 1) return ok and deeper or n \
       end) \
       return tonumber(deeper) or n \
     end \
     note(both(0)) note(pcall(both, 0)) \
     note(coroutine.wrap(function() return pcall(table.sort, { 3, 1, 2 }, function(a, b) \
       return down(0) + (pcall(error) and 1 or 0) > a - b \
     end) end)())"
)]
#[case::behind_others_in_the_same_function(
    "local function outer(f) pcall(print, 'no') f() end \
     note(pcall(outer, function() error({}) end)) \
     note(pcall(table.sort, { 3, 1, 2 }, function(a, b) pcall(error) return a < b end)) \
     note(pcall(table.sort, { 3, 1, 2 }, function(a, b) pcall(error) error('order', 0) end)) \
     note(pcall(table.sort, { 3, 1, 2 }, function(a, b) pcall(error) return a.x < b end)) \
     note(xpcall(outer, function(e) note(pcall(error, e)) return 'handled ' .. e end, \
       function() error('x', 0) end)) \
     note(xpcall(function() note(pcall(error, 'inner')) local t = nil return t.x end, \
       function(e) return 'handled ' .. e end)) \
     local t = setmetatable({}, { __index = function(_, k) \
       note(pcall(error, k)) if k == 'b' then error('no ' .. k, 0) end return k end }) \
     note(pcall(function() return t.a, t.b end)) note(t.c)"
)]
#[case::that_lua_itself_raises_at_some_depth(
    "local function at(n, f) if n == 0 then return f() end local r = at(n - 1, f) return r end \
     for i = 0, 3 do \
       note(pcall(at, i, function() local t = nil return t.x end)) \
       note(pcall(function() \
         local a <close> = closing() \
         note(pcall(at, i, function() return #5 end)) \
         local b <close> = closing(function() note(pcall(at, i, function() return {} .. {} end)) end) \
         return at(i, function() return pcall(string.rep) end), at(i, function() return -{} end) \
       end)) \
     end"
)]
#[case::again_and_again(
    "local n = 0 \
     for i = 1, 1000 do local ok, e = pcall(error, i) if not ok and e == i then n = n + 1 end end \
     note(n)"
)]
fn ways(#[case] script: &str) {
    assert_same(script);
}

#[rstest]
#[case::are_closed(
    "note(pcall(function() local a <close> = closing() local b <close> = closing() error('x', 0) end))"
)]
#[case::are_closed_by_a_tail_call_s_error(
    "note(pcall(function() local a <close> = closing() do return error('x', 0) end end))"
)]
#[case::that_fail(
    "note(pcall(function() \
       local a <close> = closing(function() error('second', 0) end) \
       local b <close> = closing(function(e) note(pcall(error, e)) error('first', 0) end) \
       error('x', 0) \
     end))"
)]
#[case::that_raise_directly(
    "note(pcall(function() local a <close> = setmetatable({}, { __close = error }) error('x') end)) \
     note(pcall(function() local a <close> = setmetatable({}, { __close = error }) end))"
)]
#[case::that_go_on_after_pcalls(
    "note(pcall(function() \
       local a <close> = closing(function() for i = 1, 3 do note(pcall(error, i)) end end) \
       error({}) \
     end))"
)]
#[case::of_a_loop(
    "note(pcall(function() \
       for i in function(_, i) return (i or 0) + 1 end, nil, nil, closing() do \
         if i == 3 then error('third') end \
       end \
     end))"
)]
#[case::that_are_upvalues(
    "local get, set \
     note(pcall(function() \
       local a, b = 1, {} \
       get, set = function() return a, b end, function(v) a = v end \
       a = 2 error('x', 0) \
     end)) \
     note(get()) set(3) pcall(error) note(get())"
)]
#[case::of_coroutines_that_are_closed(
    "local co = coroutine.create(function() \
       local a <close> = closing(function() error('closing fails', 0) end) \
       pcall(function() local b <close> = closing() coroutine.yield(1) end) \
     end) \
     note(coroutine.resume(co)) note(coroutine.close(co)) note(coroutine.status(co)) \
     note(coroutine.resume(co)) note(coroutine.close(co))"
)]
#[case::that_yield_while_an_error_passes(
    "drive(function() \
       return pcall(function() \
         local a <close> = closing(function(e) note(coroutine.yield('closing', e)) error('late', 0) end) \
         local b <close> = closing(function() note(pcall(error, coroutine.yield('first'))) end) \
         error('x', 0) \
       end) \
     end)"
)]
fn variables(#[case] script: &str) {
    assert_same(script);
}

#[rstest]
#[case::get_the_error_where_it_was_raised(
    "note(xpcall(function() error({}) end, function(e) note('handles', e) return e, 2 end)) \
     note(xpcall(function() error('text', 2) end, function(e) return e .. '!' end)) \
     note(xpcall(error, function(...) note(...) end, 'direct', 0))"
)]
#[case::see_open_variables(
    "note(xpcall(function() local a <close> = closing() error('x', 0) end, function(e) note('handles') return e end))"
)]
#[case::that_fail(
    "note(xpcall(error, error, 'x')) \
     note(xpcall(error, function(e) error(e) end, 'x')) \
     note(xpcall(error, function(e) return e.x.y end, 'x')) \
     local n = 0 \
     note(xpcall(error, function(e) n = n + 1 if n < 5 then error(n, 0) end return e end, 'x')) note(n)"
)]
#[case::that_catch_errors(
    "note(xpcall(error, function(e) note(pcall(error, e)) return select(2, pcall(error, 'other', 0)) end, 'x'))"
)]
#[case::that_are_not_for_inner_errors(
    "note(xpcall(function() note(pcall(error, 'inner')) error('outer', 0) end, function(e) return e .. ' handled' end)) \
     note(pcall(function() note(xpcall(error, function(e) return e .. ' handled' end, 'inner')) error('outer', 0) end))"
)]
#[case::that_yield(
    "drive(function() return xpcall(error, function(e) return coroutine.yield(e) end, 'x') end)"
)]
#[case::in_coroutines(
    "drive(function() \
       note(xpcall(error, function(e) return e .. ' handled' end, 'x')) \
       note(xpcall(function() coroutine.yield(1) error('y', 0) end, function(e) return e .. ' handled' end)) \
       return xpcall(coroutine.yield, show, 2) \
     end)"
)]
#[case::that_are_no_functions("note(pcall(xpcall, error)) note(pcall(xpcall, error, {}))")]
fn handlers(#[case] script: &str) {
    assert_same(script);
}

#[rstest]
#[case::end_one(
    "drive(function() error('x') end) drive(error, {}) drive(error) drive(assert, false)"
)]
#[case::end_one_by_a_tail_call("drive(function(...) return error(...) end, 'x', 0)")]
#[case::end_one_after_a_yield("drive(function() coroutine.yield(1) error('x') end)")]
#[case::in_a_pcall("drive(function() note(pcall(error, 1)) return pcall(error, {}) end)")]
#[case::in_pcalls_in_pcalls(
    "drive(function() \
       note(pcall(pcall, error, 1)) \
       note(pcall(function() note(pcall(function() note(pcall(error, 1)) error('2', 0) end)) error('3', 0) end)) \
       error('4') \
     end)"
)]
#[case::after_yields_across_pcalls(
    "drive(function(...) \
       note(pcall(function(...) \
         note('got', pcall(coroutine.yield, 1)) \
         note('got', pcall(function() return coroutine.yield(2) end)) \
         error('x', 0) \
       end)) \
       note(pcall(error, coroutine.yield(3))) \
       return pcall(function() return error({}) end) \
     end)"
)]
#[case::before_yields(
    "drive(function() \
       for i = 1, 3 do \
         local ok, e = pcall(function() local a <close> = closing() error(i) end) \
         note('got', coroutine.yield(ok, e)) \
       end \
     end)"
)]
#[case::between_metamethods(
    "local t = setmetatable({}, { __index = function(_, k) return coroutine.yield(k) or error('nothing', 2) end }) \
     drive(function() note(pcall(function() return t.a end)) note(pcall(function() return t.b.c end)) return t.d end)"
)]
#[case::in_callbacks_that_cannot_yield(
    "drive(function() \
       note(pcall(table.sort, { 3, 2, 1 }, function(a, b) note(pcall(error, 1)) note(pcall(coroutine.yield)) error({}) end)) \
       return (string.gsub('ab', '.', function(c) return coroutine.isyieldable() and 'y' or select(2, pcall(error, c .. 'x')) end)) \
     end)"
)]
#[case::through_wrapped_ones(
    "local wrap = coroutine.wrap \
     note(pcall(wrap(error), 'x')) note(pcall(wrap(error), {})) note(pcall(wrap(function() error('x') end))) \
     note(pcall(function() wrap(wrap(wrap(function() error('deep') end)))() end)) \
     note(pcall(function() return wrap(function() return wrap(error)('tail') end)() end)) \
     note(pcall(function() for x in wrap(function() coroutine.yield(1) error('x') end) do note(x) end end)) \
     local f = wrap(function() local a <close> = closing() coroutine.yield(1) error('x') end) \
     note(f()) note(pcall(f)) note(pcall(f))"
)]
#[case::resumed_in_others(
    "drive(function() \
       local inner = coroutine.create(function() pcall(error) coroutine.yield(1) error('inner', 0) end) \
       for i = 1, 4 do note(coroutine.resume(inner)) note(pcall(coroutine.yield, i)) end \
       error('outer', 0) \
     end)"
)]
#[case::of_resuming(
    "local co co = coroutine.wrap(function() note(pcall(co)) co() end) note(pcall(co)) \
     note(coroutine.resume(coroutine.running())) note(pcall(coroutine.yield))"
)]
fn coroutines(#[case] script: &str) {
    assert_same(script);
}

#[rstest]
#[case::of_pcalls(
    "local n = 0 local function f() n = n + 1 return select(2, pcall(f)) end note(f()) note(n)"
)]
#[case::of_pcalls_with_errors(
    "local n = 0 local function f() n = n + 1 pcall(error) return select(2, pcall(f)) end note(f()) note(n)"
)]
#[case::of_pcalls_in_a_coroutine(
    "local n = 0 local function f() n = n + 1 return select(2, pcall(f)) end drive(f) note(n)"
)]
#[case::of_pcalls_in_a_coroutine_after_an_error(
    "local n = 0 local function f() n = n + 1 return select(2, pcall(f)) end \
     drive(function() note(pcall(pcall, pcall, error)) return f() end) note(n)"
)]
#[case::of_pcalls_with_errors_in_a_coroutine(
    "local n = 0 \
     local function f() n = n + 1 pcall(error) if n == 1000 then error('enough', 0) end return select(2, pcall(f)) end \
     drive(f) note(n)"
)]
#[case::of_handlers(
    "local n = 0 local function h(e) n = n + 1 error(e, 0) end note(xpcall(error, h, 'x')) note(n)"
)]
#[case::of_metamethods(
    "local n = 0 local t = setmetatable({}, {}) \
     getmetatable(t).__index = function(t, k) n = n + 1 return t[k] end \
     note(pcall(function() return t.x end)) note(n)"
)]
#[case::of_coroutines(
    "local n = 0 local function f() n = n + 1 coroutine.wrap(f)() end note(pcall(f)) note(n)"
)]
#[case::of_functions(
    "local n = 0 local function f(...) n = n + 1 return 1 + f(...) end \
     local function overflow() return pcall(f, table.unpack({}, 1, 200)) end \
     note(overflow()) note(n) note(pcall(error, 'after')) \
     note(xpcall(f, function(e) note(pcall(error, 'in the handler')) return e end, table.unpack({}, 1, 200))) \
     drive(function() note(overflow()) note(pcall(error, 'after')) error('end') end)"
)]
fn recursion_ends_where_it_does_natively(#[case] script: &str) {
    assert_same(script);
}

#[rstest]
fn random_programs_do_what_they_do_natively(#[values(0, 1, 2, 3, 4, 5, 6, 7)] chunk: i64) {
    let code = format!("function run(...) {} end", include_str!("random.lua"));
    let lua = mlua::Lua::new();
    lua.load(&*code).set_name("=script").exec().unwrap();
    let natively: mlua::Function = lua.globals().get("run").unwrap();
    let mut branch = common::pool().branch().unwrap();
    branch
        .eval::<()>(Chunk::body(code).named("script"))
        .unwrap();
    for seed in chunk * 40..(chunk + 1) * 40 {
        let ours: String = branch.call("run", &[seed]).unwrap();
        let native: String = natively.call(seed).unwrap();
        for (line, (ours, native)) in ours.lines().zip(native.lines()).enumerate() {
            assert_eq!(ours, native, "seed {seed}, line {line}");
        }
        assert_eq!(ours, native, "seed {seed}");
    }
}
