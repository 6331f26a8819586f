//! What reports say of the runs they are about.

use std::time::{Duration, Instant};

use moonfork::{Grants, HostCall, Outcome, Pool, Report, Role, RunOptions};
use serde_json::json;

use crate::common;

fn pool() -> Pool {
    common::builder()
        .function("one", |()| Ok(1))
        .function("two", |()| Ok(2))
        .module("m", "return {}")
        .grants(Grants::none().all_functions().all_modules())
        .build()
        .unwrap()
}

#[test]
fn a_report_is_about_the_calls_since_the_last_one() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    branch.eval::<()>("print('a') one() two() one()").unwrap();
    branch.eval::<()>("require 'm' print('b')").unwrap();
    let first = branch.take_report();
    assert_eq!(first.store_id, branch.store_id());
    assert_eq!(first.role, Role::Branch);
    assert_eq!(first.outcome, Outcome::Done);
    assert_eq!(first.calls, 2);
    assert_eq!(first.output, "a\nb\n");
    assert!(first.wall.as_nanos() > 0);
    let counts: Vec<_> = first.host_calls.into_iter().collect();
    let expected = [("one", 2), ("require", 1), ("two", 1)];
    assert_eq!(
        counts,
        expected.map(|(name, count)| (name.to_owned(), count))
    );

    branch.eval::<i64>("two()").unwrap();
    let second = branch.take_report();
    assert_eq!((second.calls, second.output.as_str()), (1, ""));
    assert_eq!(second.host_calls["two"], 1);
    assert_eq!(second.host_calls.len(), 1);
}

/// The time of calls is that between their beginnings and ends, however many and however short they are.
#[test]
fn a_long_call_among_many_short_ones_counts() {
    const WAIT: Duration = Duration::from_millis(20);
    let pool = common::builder()
        .function_with("wait", |call: &HostCall, ()| {
            let start = Instant::now();
            while start.elapsed() < WAIT {
                std::hint::spin_loop();
            }
            Ok(call.remaining().is_some())
        })
        .grants(Grants::none().all_functions())
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    branch
        .eval::<()>("function run(long) return long and wait() end")
        .unwrap();
    branch.take_report();
    let (mut long, start) = (0, Instant::now());
    for n in 1..=300 {
        let wait = n % 80 == 0 || n == 99;
        long += u32::from(wait);
        let waited: Option<bool> = branch.call("run", &(wait.then_some(true),)).unwrap();
        assert_eq!(waited, wait.then_some(true), "it knows how much is left");
    }
    let (report, elapsed) = (branch.take_report(), start.elapsed());
    assert_eq!(
        (report.calls, report.host_calls["wait"]),
        (300, long.into())
    );
    assert!(report.wall >= WAIT * long, "{:?}", report.wall);
    assert!(
        report.wall <= elapsed,
        "more than there was: {:?}",
        report.wall
    );
}

#[test]
fn a_long_call_counts_without_calling_the_host() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    branch
        .eval::<()>("function run(n) local i = 0 while i < n do i = i + 1 end return i end")
        .unwrap();
    for _ in 0..100 {
        branch.call::<_, i64>("run", &(1,)).unwrap();
    }
    branch.take_report();
    for _ in 0..70 {
        branch.call::<_, i64>("run", &(1,)).unwrap();
    }
    branch.take_report();
    let mut n = 1_i64 << 20;
    // However fast the machine is: long enough to see a few ticks of the pool's clock.
    loop {
        let start = Instant::now();
        branch.call::<_, i64>("run", &(n,)).unwrap();
        let (wall, elapsed) = (branch.take_report().wall, start.elapsed());
        assert!(wall <= elapsed, "{wall:?} of {elapsed:?}");
        if wall >= Duration::from_millis(20) {
            break;
        }
        n *= 2;
        assert!(n < 1 << 40, "a call of {elapsed:?} counts as {wall:?}");
    }
}

#[test]
fn nothing_ran() {
    let report = pool().branch().unwrap().take_report();
    assert_eq!((report.outcome, report.calls), (Outcome::Idle, 0));
}

#[test]
fn an_instance_that_was_stopped_has_one() {
    let pool = pool();
    let options = RunOptions::new().host_calls(3);
    let mut branch = pool.branch_with(&options).unwrap();
    branch
        .eval::<()>("print('before') while true do one() end")
        .unwrap_err();
    let report = branch.take_report();
    assert_eq!(report.store_id, branch.store_id());
    assert_eq!(report.host_calls["one"], 3);
    assert_eq!(report.output, "before\n");
    let Outcome::Failed { code, message } = report.outcome else {
        panic!("{report:?}");
    };
    assert_eq!(code, "too_many_host_calls");
    assert!(message.contains("more than 3"), "{message}");
}

#[test]
fn peak_memory_grows_with_what_is_held() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    branch.eval::<()>("x = 1").unwrap();
    let small = branch.take_report().peak_memory;
    branch
        .eval::<()>("x = ('x'):rep(16 << 20) x = nil")
        .unwrap();
    let large = branch.take_report().peak_memory;
    assert!(large >= small + (16 << 20), "{small} {large}");
    branch.eval::<()>("x = 1").unwrap();
    assert_eq!(
        branch.take_report().peak_memory,
        large,
        "it is the most there was"
    );
}

#[test]
fn a_report_is_json_with_a_version() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    branch.eval::<()>("one() print('x')").unwrap();
    let report = branch.take_report();
    let mut value = serde_json::to_value(&report).unwrap();
    assert_eq!(
        serde_json::from_value::<Report>(value.clone())
            .unwrap()
            .calls,
        1
    );
    let guest = value["origin"]["guest_sha256"].take();
    assert_eq!(guest.as_str().unwrap().len(), 64);
    for measured in ["wall_ms", "peak_memory", "store_id"] {
        assert!(value[measured].as_f64().unwrap() > 0.0, "{value}");
        value.as_object_mut().unwrap().remove(measured);
    }
    assert_eq!(
        value,
        json!({
            "schema_version": 1,
            "origin": {"parent": null, "guest_sha256": null, "snapshot_sha256": null},
            "role": "branch",
            "outcome": {"status": "done"},
            "calls": 1,
            "fuel": null,
            "output": "x\n",
            "output_bytes": 2,
            "output_truncated": false,
            "host_calls": {"one": 1},
        })
    );
}
