//! Fuel: kept, broken, wherever it is burnt; and only where it is metered.

use std::sync::OnceLock;

use moonfork::{Limits, Pool, RunOptions};
use rstest::rstest;

use crate::common;

fn metered() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| common::builder().metered().build().unwrap())
}

const FUEL: u64 = 50_000_000;

#[test]
fn a_script_within_the_limit_ends_by_itself() {
    let options = RunOptions::new().fuel(FUEL);
    let mut branch = metered().branch_with(&options).unwrap();
    let sum = branch.eval::<i64>("local n = 0 for i = 1, 1e4 do n = n + i end return n");
    assert_eq!(sum.unwrap(), 50_005_000);
    let fuel = branch.take_report().fuel.unwrap();
    assert!(fuel > 10_000 && fuel < FUEL, "{fuel}");
}

#[rstest]
#[case::empty_loop("while true do end")]
#[case::in_a_coroutine("coroutine.wrap(function() while true do end end)()")]
#[case::pcall_in_a_loop("while true do pcall(function() while true do end end) end")]
#[case::in_a_c_function("string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))")]
#[case::in_a_sort("local t = {} for i = 1, 1e6 do t[i] = i % 7 end table.sort(t)")]
#[case::in_rep("local s = ('x'):rep(1e7) for i = 1, 1e7 do s = s:reverse() end")]
#[case::while_converting(
    "local t = {} for i = 1, 1e5 do t[i] = t end t = nil return json.decode('[' .. ('1,'):rep(1e6) .. '1]')"
)]
fn a_script_beyond_it_is_stopped(#[case] code: &str) {
    let options = RunOptions::new().fuel(FUEL);
    let mut branch = metered().branch_with(&options).unwrap();
    let error = branch.eval::<()>(code).unwrap_err();
    assert!(error.is_out_of_fuel() && error.is_limit(), "{error}");
    assert!(error.ends_instance() && !branch.is_live());
    assert!(
        error.to_string().contains("50000000 units of fuel"),
        "{error}"
    );
    assert_eq!(branch.take_report().fuel, Some(FUEL));
}

#[test]
fn every_call_has_the_whole_of_it() {
    let code = "local n = 0 for i = 1, 1e4 do n = n + i end return n";
    let used = {
        let mut branch = metered().branch().unwrap();
        branch.eval::<i64>(code).unwrap();
        branch.take_report().fuel.unwrap()
    };
    let options = RunOptions::new().fuel(2 * used);
    let mut branch = metered().branch_with(&options).unwrap();
    for _ in 0..5 {
        branch.eval::<i64>(code).unwrap();
    }
    assert!(branch.take_report().fuel.unwrap() > 4 * used);
}

#[test]
fn the_same_script_burns_the_same() {
    let burnt = || {
        let grants = moonfork::Grants::none().seed(1);
        let options = RunOptions::new().grants(grants);
        let mut branch = metered().branch_with(&options).unwrap();
        branch
            .eval::<()>("local t = {} for i = 1, 1000 do t[i] = ('%d'):format(i) end")
            .unwrap();
        branch.take_report().fuel
    };
    assert_eq!(burnt(), burnt());
}

#[test]
fn a_pool_that_does_not_meter_refuses_a_limit_of_it() {
    let pool = common::pool();
    let error = pool.branch_with(&RunOptions::new().fuel(FUEL)).unwrap_err();
    assert!(error.is_options(), "{error}");
    assert!(error.to_string().contains("`metered`"), "{error}");
    let limits = Limits::default().fuel(FUEL);
    assert!(common::builder().limits(limits).build().is_err());
    assert!(common::builder().limits(limits).metered().build().is_ok());
}

#[test]
fn a_pool_that_does_not_meter_reports_none() {
    let mut branch = common::pool().branch().unwrap();
    branch.eval::<()>("x = 1").unwrap();
    assert_eq!(branch.take_report().fuel, None);
}
