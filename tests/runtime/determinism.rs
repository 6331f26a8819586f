//! Deterministic runs: where fuel is metered, a seed is given and the clock is the embedder's, a branch's
//! result, output and fuel are the same each time, in any pool, on any thread, on every machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use moonfork::{Branch, Clock, Grants, HostError, Pool, RunOptions};

use crate::common;

/// What all that the scripts below give comes to. It has to be the same on every machine; it may change
/// with the guest, with wasmtime's way of counting fuel, and with the scripts. If one of these was changed on
/// purpose, the number that the failing test shows belongs here.
const EXPECTED: u64 = 12_490_284_245_118_348_792;

/// What scripts could tell machines, processes, threads or instances apart by.
const SCRIPTS: &[(&str, &str)] = &[
    (
        "random numbers",
        "local t = {} for i = 1, 50 do t[i] = math.random(1000) end
         math.randomseed() for i = 1, 50 do t[#t + 1] = math.random() end
         math.randomseed(7) t[#t + 1] = math.random(0) return t",
    ),
    (
        "floats",
        "local t = {} for i = -20, 20 do
           for _, f in ipairs {'sin', 'cos', 'tan', 'exp', 'sqrt', 'atan', 'asin'} do
             t[#t + 1] = ('%.17g %a'):format(math[f](i * 0.37), math[f](i / 21))
           end
           t[#t + 1] = tostring(2.5 ^ i) .. ' ' .. (i * 1.1) // 0.3 .. ' ' .. (i * 1.1) % 0.7
         end return t",
    ),
    (
        "signs of NaNs",
        "local zero, inf = 0.0, math.huge
         local t = {} for _, nan in ipairs {
           zero / zero, inf - inf, inf * zero, -(zero / zero), math.sqrt(-1), math.fmod(inf, 2),
           zero % zero, math.acos(2), math.log(-1), (-8) ^ (1 / 3), tonumber('nan') or inf / inf, inf % 2,
         } do
           t[#t + 1] = ('%s %g %.3f %a '):format(nan, nan, nan, nan)
             .. ('<d'):pack(nan):byte(8) .. ' ' .. ('<f'):pack(nan):byte(4)
         end return t",
    ),
    (
        "the order of keys",
        "local t, order = {}, {}
         for i = 1, 60 do
           t['k' .. i] = i t[{}] = i t[function() end] = i t[i * 1.5] = i t[coroutine.create(print)] = i
         end
         t[print], t[string.format] = 1, 2
         for k, v in pairs(t) do order[#order + 1] = type(k) .. v end
         return order",
    ),
    (
        "addresses",
        "local function f() end
         print(f, print, {}, coroutine.create(f), string.format('%p %p', {}, 'a text of more than forty bytes ......'))
         return tostring {} .. tostring(f) .. tostring(io) .. tostring(string.gmatch('', ''))",
    ),
    ("an address in an error", "error(tostring {})"),
    ("an error with a table", "error {code = 7, at = tostring {}}"),
    ("an error of the interpreter's", "local t = setmetatable({}, {__name = 'mine'}) return t + 1"),
    (
        "the clock",
        "local t = {os.time(), os.clock(), os.date('%Y-%m-%d %H:%M:%S', 0), os.date('!%c')}
         for i = 1, 5 do t[#t + 1] = os.clock() end return t",
    ),
    (
        "sorting badly balanced lists",
        "local t, c = {}, 0 for i = 1, 800 do t[i] = i % 2 == 0 and i or 800 - i end
         table.sort(t, function(a, b) c = c + 1 return a < b end)
         local u = {} for i = 1, 400 do u[i] = i % 3 end table.sort(u, function(a, b) c = c + 1 return a > b end)
         return {c, t[1], t[400], u[1]}",
    ),
    (
        "garbage",
        "local died, weak = 0, setmetatable({}, {__mode = 'k'})
         for i = 1, 1000 do
           weak[{}] = i
           setmetatable({('x'):rep(i % 100)}, {__gc = function() died = died + 1 end})
         end
         local n = 0 for _ in pairs(weak) do n = n + 1 end
         return {died, n, collectgarbage('count'), (collectgarbage())}",
    ),
    (
        "calls of the host",
        "local t = {} for i = 1, 20 do t[i] = add(i, i / 2) end
         t[#t + 1] = select(2, pcall(add, {}, 1)) print(table.concat(t, ' ')) return t",
    ),
    (
        "modules and variables",
        "local m = require 'shapes' local t = {m.area(2), tostring(m), tostring(variables)}
         for k, v in pairs(variables) do t[#t + 1] = k .. tostring(v) end return t",
    ),
    (
        "JSON",
        "local t = json.decode('{\"b\":1,\"a\":[1,2.5,null],\"c\":{\"z\":0,\"y\":-0.0}}')
         t.more = state return {json.encode(t), t}",
    ),
    (
        "coroutines and errors",
        "local t = {} for i = 1, 30 do
           local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) error({b = b}) end)
           t[i] = {co(i), select(2, pcall(co, i * 2)).b}
         end return t",
    ),
    ("no memory", "local s = 'xyz' while true do s = s .. s end"),
    ("no stack", "local function f(s) return (s:gsub('.', f)) end return f('x')"),
    ("no fuel", "local n = 0 while true do n = n + #tostring(n) end"),
    (
        "a printed flood",
        "for i = 1, 2000 do print(i, ('y'):rep(50)) end return 1",
    ),
];

/// What a seed, a clock and a limit of fuel leave open: nothing.
fn options() -> RunOptions {
    let readings = Arc::new(AtomicU64::new(0));
    let clock = Clock::from_fn(move || {
        let reading = readings.fetch_add(1, Ordering::Relaxed);
        Duration::from_micros(1_700_000_000_000_000 + 1_234 * reading)
    });
    let grants = Grants::none()
        .function("add")
        .module("shapes")
        .variable("region", "north")
        .variable("rates", serde_json::json!({"a": 1.5, "b": [1, 2]}))
        .clock(clock)
        .seed(42);
    RunOptions::new()
        .grants(grants)
        .fuel(30_000_000)
        .output(100_000)
}

fn pool(branches: u32, prelude: Option<&str>) -> Pool {
    let mut builder = common::interpreting_builder()
        .metered()
        .max_branches(branches)
        .memory(16 << 20)
        .module(
            "shapes",
            "return {area = function(r) return math.pi * r ^ 2 end}",
        )
        .function("add", |(a, b): (f64, f64)| Ok::<_, HostError>(a + b));
    if let Some(prelude) = prelude {
        builder = builder.prelude(prelude);
    }
    builder.build().unwrap()
}

/// Result, output and fuel of a script that is the first to run on this branch.
fn outcome(mut branch: Branch, code: &str) -> String {
    let state = serde_json::json!({"items": [1, "two", {"three": 3.0}], "long": "z".repeat(9000)});
    let result = match branch.eval_with::<_, serde_json::Value>(code, &state) {
        Ok(value) => value.to_string(),
        Err(error) => format!(
            "{} {error} {:?} {:?}",
            error.code(),
            error.value(),
            error.traceback()
        ),
    };
    let report = branch.take_report();
    format!("{result}\n{}\n{}", report.output, report.fuel.unwrap())
}

/// What comes of all that a pool can do without anything that differs.
fn outcomes(pool: &Pool) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, code) in SCRIPTS {
        let branch = pool.branch_with(&options()).unwrap();
        all.push(((*name).to_owned(), outcome(branch, code)));
    }
    // Copies: each has a stream of its own, and those of one snapshot have the same.
    let code = "local t = {base = base} for k in pairs(base) do t[#t + 1] = k .. math.random(100) end
                t[#t + 1] = tostring {} t[#t + 1] = ('<d'):pack(0.0 / #t * 0) return {#t, t[5], t[#t - 1]}";
    let mut parent = pool.branch_with(&options()).unwrap();
    parent
        .exec("base = {} for i = 1, 300 do base['key' .. i] = {i, tostring {}} end")
        .unwrap();
    for number in 1..=3 {
        let fork = parent.fork_with(&options()).unwrap();
        all.push((format!("fork {number}"), outcome(fork, code)));
    }
    let snapshot = parent.snapshot().unwrap();
    for number in 1..=2 {
        let branch = snapshot.branch_with(&options()).unwrap();
        all.push((
            format!("branch {number} of a snapshot"),
            outcome(branch, code),
        ));
    }
    all
}

/// FNV-1a.
fn hash(outcomes: &[(String, String)]) -> u64 {
    let texts = outcomes.iter().flat_map(|(name, outcome)| [name, outcome]);
    let bytes = texts.flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Says where they differ first.
fn assert_same(one: &[(String, String)], other: &[(String, String)]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

#[test]
fn result_output_and_fuel_are_the_same_on_every_machine() {
    let outcomes = outcomes(&pool(4, None));
    let shown = |(name, outcome): &(String, String)| {
        let last = outcome.lines().next_back().unwrap_or_default().to_owned();
        let first: String = outcome.chars().take(300).collect();
        format!("{name}: fuel {last}: {first}\n")
    };
    // Another guest, such as one without what makes Lua faster, burns other fuel.
    if env!("MOONFORK_GUEST_WASM").ends_with("host/prebuilt/moonfork-guest.wasm") {
        assert_eq!(
            hash(&outcomes),
            EXPECTED,
            "{}",
            outcomes.iter().map(shown).collect::<String>()
        );
    }
}

#[test]
fn a_hundred_times_from_several_threads_and_pools() {
    let (first, other) = (pool(4, None), pool(200, None));
    // Something has run there before, and something else runs meanwhile.
    for _ in 0..3 {
        let mut before = other.branch().unwrap();
        before
            .exec("for i = 1, 1e4 do _G['x' .. i] = {} end")
            .unwrap();
    }
    let expected = outcomes(&first);
    thread::scope(|scope| {
        for pool in [&first, &other, &first, &other] {
            let expected = &expected;
            scope.spawn(move || {
                for _ in 0..25 {
                    assert_same(&outcomes(pool), expected);
                }
            });
        }
    });
}

#[test]
fn instances_that_begin_behind_a_prelude_are_the_same_too() {
    let prelude = "helpers = {} for i = 1, 200 do helpers['h' .. i] = function() return {} end end";
    let (one, other) = (pool(4, Some(prelude)), pool(8, Some(prelude)));
    let expected = outcomes(&one);
    assert_same(&outcomes(&one), &expected);
    assert_same(&outcomes(&other), &expected);
}

#[test]
fn nans_have_one_sign_where_fuel_is_metered() {
    // That of an x86 processor has the other one by itself.
    let code =
        "local zero = 0.0 return ('%g %d'):format(zero / zero, ('<d'):pack(zero / zero):byte(8))";
    let mut branch = pool(1, None).branch().unwrap();
    assert_eq!(branch.eval::<String>(code).unwrap(), "nan 127");
}

#[test]
fn another_seed_gives_something_else() {
    let pool = pool(2, None);
    let draw = |seed| {
        let grants = Grants::none().seed(seed);
        let options = RunOptions::new().grants(grants);
        let mut branch = pool.branch_with(&options).unwrap();
        branch.eval::<i64>("math.random(0)").unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}
