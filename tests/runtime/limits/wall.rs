//! The wall-clock limit: kept, broken, and broken by scripts that try hard.

use std::time::Duration;

use moonfork::Pool;
use rstest::rstest;

use crate::common;

fn pool(wall: Duration) -> Pool {
    common::builder()
        .wall(wall)
        .max_branches(4)
        .build()
        .unwrap()
}

#[test]
fn a_script_within_the_limit_ends_by_itself() {
    let mut branch = pool(Duration::from_secs(60)).branch().unwrap();
    let sum = branch.eval::<i64>("local n = 0 for i = 1, 1e6 do n = n + i end return n");
    assert_eq!(sum.unwrap(), 500_000_500_000);
}

#[rstest]
#[case::empty_loop("while true do end")]
#[case::in_a_coroutine("coroutine.wrap(function() while true do end end)()")]
#[case::pcall_in_a_loop("while true do pcall(error) end")]
#[case::pcall_of_exceptions("while true do pcall(string.rep) end")]
#[case::pcall_in_a_loop_in_a_coroutine(
    "coroutine.wrap(function() while true do pcall(error) end end)()"
)]
#[case::loop_in_pcall("while true do pcall(function() while true do end end) end")]
#[case::in_a_c_function("string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))")]
#[case::in_a_metamethod("return setmetatable({}, {__index = function() while true do end end}).x")]
#[case::in_a_sort(
    "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, function(a, b) return a > b end) end"
)]
#[case::in_gsub("while true do string.gsub(('x'):rep(1e5), '.', function() end) end")]
#[case::in_tostring(
    "while true do tostring(setmetatable({}, {__tostring = function() while true do end end})) end"
)]
#[case::closing("local x <close> = setmetatable({}, {__close = function() while true do end end})")]
#[case::in_an_error_object(
    "error(setmetatable({}, {__tostring = function() while true do end end}))"
)]
#[case::while_parsing("local s = ('x='):rep(1e6, '1 ') while true do load(s) end")]
#[case::printing("while true do print() end")]
fn a_script_beyond_it_is_stopped(#[case] code: &str) {
    let pool = pool(Duration::from_millis(50));
    let mut branch = pool.branch().unwrap();
    let error = branch.eval::<()>(code).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(!error.is_script());
    assert!(error.to_string().contains("50ms"), "{error}");
    assert!(!branch.is_live());
    assert_eq!(pool.live_count(), 0, "its slot is free at once");
    assert!(branch.eval::<()>("1").unwrap_err().is_poisoned());
}

#[test]
fn the_limit_holds_after_many_short_calls() {
    let pool = pool(Duration::from_secs(1));
    let mut branch = pool.branch().unwrap();
    branch
        .eval::<()>("function run(n) local i = 0 while i < n do i = i + 1 end return i end")
        .unwrap();
    for n in 0..1000 {
        assert_eq!(branch.call::<_, i64>("run", &(n,)).unwrap(), n);
    }
    let start = std::time::Instant::now();
    let error = branch.call::<_, ()>("run", &(f64::INFINITY,)).unwrap_err();
    assert!(error.is_argument(), "no infinity gets in: {error}");
    let error = branch.call::<_, ()>("run", &(i64::MAX,)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains("1s"), "{error}");
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(!branch.is_live());
}

#[test]
fn stopping_one_run_leaves_another_on_the_same_engine_alone() {
    let pool = pool(Duration::from_secs(2));
    let mut other = pool.branch().unwrap();
    other.set_global("n", &0).unwrap();
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| {
            let mut branch = pool.branch().unwrap();
            branch.eval::<()>("while true do end").unwrap_err()
        });
        // Short calls, each with a deadline of its own, all the time that the other runs.
        while !stopped.is_finished() {
            other.eval::<()>("n = n + 1").unwrap();
        }
        assert!(stopped.join().unwrap().is_timeout());
    });
    assert!(other.global::<u64>("n").unwrap() > 0);
}

#[test]
fn a_limit_of_zero_is_refused() {
    let error = common::builder().wall(Duration::ZERO).build().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the limit `wall` is 0s; it must be at least 1ns"),
        "{error}"
    );
}

#[test]
fn a_limit_beyond_all_time_is_none() {
    let mut branch = pool(Duration::MAX).branch().unwrap();
    assert_eq!(branch.eval::<i64>("1").unwrap(), 1);
}
