//! The memory limit: a script sees an error it can catch before the sandbox has to stop it.

use std::time::Duration;

use moonfork::{Limits, Pool, RunOptions};
use rstest::rstest;
use serde_json::Value;

use crate::common;

const MIB: usize = 1 << 20;

fn pool(memory: usize) -> Pool {
    common::builder()
        .memory(memory)
        .max_branches(2)
        .build()
        .unwrap()
}

#[test]
fn a_script_within_the_limit_has_its_memory() {
    let mut branch = pool(16 * MIB).branch().unwrap();
    assert_eq!(
        branch.eval::<usize>("#('x'):rep(3 << 20)").unwrap(),
        3 * MIB
    );
}

#[rstest]
fn a_script_beyond_it_gets_an_error_it_can_catch(
    #[values(8, 32)] mebibytes: usize,
    #[values(
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, math.huge do t[i] = i end",
        "local t = {} for i = 1, math.huge do t[i] = {} end",
        "local t = {} for i = 1, math.huge do t['k' .. i] = i end",
        "string.rep('x', 1 << 30)",
        "local t = {} for i = 1, math.huge do t[i] = tostring(i) end return table.concat(t)",
        "local function f() return 1 + f() end f()",
        "local t = {} while true do t = {t} end",
        "local t = {} for i = 1, math.huge do t[i] = coroutine.create(print) end",
        "local t = {} for i = 1, math.huge do t[i] = ('x'):rep(i * 1000) end",
        "local s = ('x'):rep(100000) for i = 1, math.huge do s = s:gsub('x', 'yx') end"
    )]
    code: &str,
) {
    // Some of these take long on a machine that is busy.
    let pool = common::builder()
        .memory(mebibytes * MIB)
        .wall(Duration::MAX);
    let pool = pool.max_branches(2).build().unwrap();
    let mut branch = pool.branch().unwrap();
    let caught = format!("return {{pcall(function() {code} end)}}");
    let caught: (bool, String) = branch.eval(caught).unwrap();
    assert!(!caught.0);
    assert!(
        caught.1.contains("not enough memory") || caught.1.contains("overflow"),
        "{}",
        caught.1
    );
    assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2, "it goes on");
}

#[test]
fn an_error_that_is_not_caught_says_what_the_limit_is() {
    let mut branch = pool(16 * MIB).branch().unwrap();
    let error = branch.eval::<()>("string.rep('x', 1 << 30)").unwrap_err();
    assert!(
        error.is_out_of_memory() && !error.ends_instance(),
        "{error}"
    );
    assert!(error.to_string().contains("the limit is 16MiB"), "{error}");
}

#[test]
fn a_value_that_does_not_fit_is_an_error_and_the_instance_goes_on() {
    let mut branch = pool(8 * MIB).branch().unwrap();
    let error = branch.set_global("s", &"x".repeat(7 * MIB)).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
}

#[test]
fn what_unfolds_beyond_all_measure_is_an_error_for_every_kind_of_caller() {
    let pool = common::builder()
        .max_branches(1)
        .grants(moonfork::Grants::none().all_functions())
        .function("takes", |(n,): (i64,)| Ok(n))
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    let code =
        "a = {[''] = null} for _ = 1, 4 do local b = {} for j = 1, 177 do b[j] = a end a = b end";
    branch.eval::<()>(code).unwrap();
    assert!(
        branch
            .eval::<serde_json::Value>("a")
            .unwrap_err()
            .is_value()
    );
    assert!(branch.eval::<i64>("a").unwrap_err().is_value());
    let caught: (bool, String) = branch.eval("return {pcall(takes, a)}").unwrap();
    assert!(caught.1.contains("larger than"), "{}", caught.1);
}

/// What the guest lets out, the host takes in: both count the same.
#[test]
fn a_value_that_is_just_small_enough_passes_whatever_it_is_made_of() {
    let limits = Limits::default().value(100_000);
    let pool = common::builder()
        .limits(limits)
        .max_branches(1)
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    for make in [
        "t['k' .. i] = i",
        "t[i] = {}",
        "t[i] = {k = i}",
        "t[i] = ('x'):rep(i)",
        "t[i] = i / 2",
        "t[i] = {i, {i}, null}",
    ] {
        // One entry more each time, until the script is told that it is too much.
        let code = format!("local t = {{}} for i = 1, state do {make} end return t");
        let first_refused = (0..4000).step_by(7).find(|n| {
            let result = branch.eval_with::<_, serde_json::Value>(code.as_str(), n);
            if let Err(error) = &result {
                assert!(error.is_value(), "{make} with {n}: {error}");
            }
            result.is_err()
        });
        assert!(
            first_refused.is_some_and(|n| n > 100),
            "{make}: {first_refused:?}"
        );
    }
}

#[test]
fn a_message_of_any_length_is_an_error_that_leaves_the_instance() {
    let mut branch = pool(64 * MIB).branch().unwrap();
    for code in [
        "error(('x'):rep(9 << 20))",
        "error(('x'):rep(12 << 20))",
        "error(setmetatable({}, {__tostring = function() return ('x'):rep(12 << 20) end}))",
    ] {
        let error = branch.eval::<()>(code).unwrap_err();
        assert!(error.is_script(), "{:?}", error.kind());
        assert!(error.to_string().len() < 100_000);
    }
    assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
}

#[test]
fn a_value_larger_than_allowed_is_refused_on_both_ways() {
    let limits = Limits::default().value(MIB);
    let pool = common::builder()
        .limits(limits)
        .max_branches(1)
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    assert!(branch.set_global("s", &"x".repeat(MIB / 2)).is_ok());
    let error = branch.set_global("s", &"x".repeat(3 * MIB)).unwrap_err();
    assert!(error.is_argument(), "{error}");
    let error = branch.eval::<String>("('x'):rep(2 << 20)").unwrap_err();
    assert!(error.is_value(), "{error}");
}

#[rstest]
#[case::too_little(1 << 20)]
#[case::too_much(usize::MAX)]
fn limits_that_cannot_be_kept_are_refused(#[case] memory: usize) {
    let error = common::builder().memory(memory).build().unwrap_err();
    assert!(error.to_string().contains("must be between"), "{error}");
}

/// A limit below what the instance has already: everything is "not enough memory", and nothing
/// is lost by that.
#[rstest]
#[case("local t = {} for i = 1, 1e5 do t[i] = {} end")]
#[case("error({1})")]
#[case("json.encode({1, 2, 3})")]
#[case("local x = = 1")]
fn less_than_there_is_already(#[case] code: &str) {
    let mut branch = common::pool().branch().unwrap();
    branch
        .eval::<()>("kept = {} for i = 1, 20 do kept[i] = (i .. ''):rep(1 << 20) end")
        .unwrap();
    let less = RunOptions::new().memory(8 << 20);
    let error = branch.with(&less).eval::<Value>(code).unwrap_err();
    assert!(!error.ends_instance() && !error.is_internal(), "{error}");
    let large = vec!["x".repeat(100); 10_000];
    let error = branch
        .with(&less)
        .eval_with::<_, usize>("#state", &large)
        .unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!(branch.eval::<usize>("#kept").unwrap(), 20);
}
