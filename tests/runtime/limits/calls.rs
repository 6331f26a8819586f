//! The limits of host calls, output, and depth of values: each kept and broken. Options of a
//! run hold for all calls, or for some.

use std::time::{Duration, Instant};

use moonfork::{Deadline, Error, Grants, Limits, Pool, RunOptions};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

fn pool() -> Pool {
    common::builder()
        .function("nothing", |()| Ok(()))
        .module("m", "return {}")
        .grants(Grants::none().all_functions().all_modules())
        .build()
        .unwrap()
}

fn with(options: &RunOptions, code: &str) -> Result<Value, Error> {
    pool().branch_with(options)?.eval(code)
}

#[rstest]
#[case::functions("for i = 1, N do nothing() end")]
#[case::caught("for i = 1, N do pcall(nothing) end")]
#[case::in_a_coroutine("coroutine.wrap(function() for i = 1, N do nothing() end end)()")]
#[case::in_a_callback("local s = ('x'):rep(N):gsub('.', function() nothing() end)")]
#[case::unknown_modules("for i = 1, N do pcall(require, 'absent') end")]
#[case::both("for i = 1, N / 2 do nothing() pcall(require, 'absent') end")]
fn host_calls(#[case] code: &str) {
    let options = RunOptions::new().host_calls(10);
    with(&options, &code.replace('N', "10")).unwrap();
    let error = with(&options, &code.replace('N', "12")).unwrap_err();
    assert!(
        error.is_too_many_host_calls() && error.is_limit(),
        "{error}"
    );
    assert!(error.ends_instance());
    assert!(
        error.to_string().contains("more than 10 host calls"),
        "{error}"
    );
}

#[test]
fn no_host_calls_at_all() {
    let options = RunOptions::new().host_calls(0);
    with(&options, "1").unwrap();
    assert!(
        with(&options, "nothing()")
            .unwrap_err()
            .is_too_many_host_calls()
    );
}

#[rstest]
#[case::kept(20, "hello\n", false)]
#[case::just_kept(6, "hello\n", false)]
#[case::broken(5, "hello", true)]
#[case::none(0, "", true)]
fn output(#[case] limit: usize, #[case] text: &str, #[case] truncated: bool) {
    let pool = pool();
    let mut branch = pool.branch_with(&RunOptions::new().output(limit)).unwrap();
    branch.eval::<()>("print('hello')").unwrap();
    let report = branch.take_report();
    assert_eq!(
        (report.output.as_str(), report.output_truncated),
        (text, truncated)
    );
    assert_eq!(report.output_bytes, 6);
}

#[test]
fn output_without_end_takes_no_memory() {
    let pool = pool();
    let options = RunOptions::new()
        .output(1000)
        .wall(Duration::from_millis(300));
    let mut branch = pool.branch_with(&options).unwrap();
    let line = "local line = ('x'):rep(1e6) while true do print(line) end";
    assert!(branch.eval::<()>(line).unwrap_err().is_timeout());
    let report = branch.take_report();
    assert_eq!(report.output.len(), 1000);
    assert!(report.output_bytes > 1000);
}

/// Arrays in arrays, `depth` of them.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

#[rstest]
#[case::out("local t = {} for i = 2, N do t = {t} end return t")]
#[case::to_text("local t = {} for i = 2, N do t = {t} end return #json.encode(t)")]
#[case::from_text("type(json.decode(('['):rep(N) .. (']'):rep(N)))")]
fn depth_of_what_a_script_makes(#[case] code: &str) {
    let options = RunOptions::new().depth(8);
    with(&options, &code.replace('N', "8")).unwrap();
    let error = with(&options, &code.replace('N', "9")).unwrap_err();
    assert!(error.is_script(), "{error}");
    assert!(
        error.to_string().contains("8 levels are allowed"),
        "{error}"
    );
}

#[rstest]
#[case::kept(8, true)]
#[case::broken(9, false)]
fn depth_of_what_comes_in(#[case] depth: usize, #[case] passes: bool) {
    let pool = pool();
    let mut branch = pool.branch_with(&RunOptions::new().depth(8)).unwrap();
    // The array of arguments isn't a part of the value.
    let result = branch.eval_with::<_, Value>("return type(state)", &nested(depth));
    assert_eq!(result.is_ok(), passes, "{result:?}");
}

#[test]
fn options_of_an_instance_hold_for_each_of_its_calls() {
    let pool = pool();
    let mut branch = pool.branch_with(&RunOptions::new().host_calls(2)).unwrap();
    for _ in 0..3 {
        branch.eval::<()>("nothing() nothing()").unwrap();
    }
    assert!(branch.eval::<()>("nothing() nothing() nothing()").is_err());
}

#[test]
fn options_of_some_calls_hold_for_those() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    let one = RunOptions::new().depth(1);
    assert!(branch.with(&one).eval::<Value>("{{}}").is_err());
    assert!(branch.eval::<Value>("{{}}").is_ok());
    let wider = RunOptions::new().depth(3);
    let error = branch
        .with(&one)
        .with(&wider)
        .eval::<Value>("1")
        .unwrap_err();
    assert!(error.is_options(), "{error}");
    assert!(branch.is_live(), "nothing ran that could have ended it");
}

#[test]
fn limits_only_narrow() {
    let pool = common::builder().limits(Limits::strict()).build().unwrap();
    for (name, options) in [
        ("wall", RunOptions::new().wall(Duration::from_secs(2))),
        ("memory", RunOptions::new().memory(9 << 20)),
        ("host_calls", RunOptions::new().host_calls(1001)),
        ("all", RunOptions::new().limits(Limits::default())),
    ] {
        let error = pool.branch_with(&options).unwrap_err();
        assert!(error.is_options(), "{name}: {error}");
        assert!(
            error.to_string().contains("can only be narrowed"),
            "{error}"
        );
    }
    assert_eq!(pool.live_count(), 0);
}

#[test]
fn less_memory_for_one_call() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    let less = RunOptions::new().memory(8 << 20);
    let code = "return #('x'):rep(16 << 20)";
    let error = branch.with(&less).eval::<usize>(code).unwrap_err();
    assert!(
        error.is_out_of_memory() && !error.ends_instance(),
        "{error}"
    );
    assert_eq!(branch.eval::<usize>(code).unwrap(), 16 << 20);
}

#[test]
fn a_deadline_is_for_all_calls_together() {
    let pool = pool();
    let deadline = Instant::now() + Duration::from_millis(300);
    let mut branch = pool
        .branch_with(&RunOptions::new().deadline(deadline))
        .unwrap();
    let error = loop {
        if let Err(error) = branch.eval::<()>("for i = 1, 1e5 do end") {
            break error;
        }
    };
    assert!(error.is_timeout(), "{error}");
    assert!(Instant::now() >= deadline);
}

#[test]
fn waiting_for_an_instance_ends_at_the_deadline() {
    let pool = common::builder().max_branches(1).build().unwrap();
    let _only = pool.branch().unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    let error = pool
        .branch_with(&RunOptions::new().deadline(deadline))
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn times_are_told_as_they_were_given_and_never_measured() {
    let short = Deadline::after(Duration::from_millis(50));
    let pool = common::builder()
        .max_branches(1)
        .async_function("sleep", |_, ()| async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(0)
        })
        .grants(Grants::none().all_functions())
        .slot_timeout(Duration::from_millis(70))
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    // While it runs: its deadline, and that of a wider one around it.
    let options = RunOptions::new().deadline(short);
    let error = branch.with(&options).eval::<()>("while true do end");
    let message = error.unwrap_err().to_string();
    assert!(message.contains("ran longer than 50ms"), "{message}");
    // In a host function that Rust calls.
    let options = RunOptions::new().wall(Duration::from_millis(60));
    let error = pool.call_function::<_, i64>("sleep", &(), &options);
    let message = error.unwrap_err().to_string();
    assert_eq!(message, "stopped: the run's time of 60ms passed");
    drop(branch);
    // While it waits for an instance.
    let _only = pool.branch().unwrap();
    let options = RunOptions::new().deadline(Deadline::after(Duration::from_millis(40)));
    let message = pool.branch_with(&options).unwrap_err().to_string();
    assert_eq!(message, "stopped: the run's time of 40ms passed");
    let message = pool.branch().unwrap_err().to_string();
    assert!(message.contains("in use for 70ms;"), "{message}");
}

#[test]
fn the_presets_can_be_kept() {
    for limits in [Limits::strict(), Limits::default(), Limits::unlimited()] {
        let pool = common::builder()
            .max_branches(1)
            .max_runs(1)
            .limits(limits)
            .build()
            .unwrap();
        assert_eq!(pool.branch().unwrap().eval::<i64>("1 + 1").unwrap(), 2);
    }
}

#[test]
fn a_call_whose_deadline_has_passed_does_not_begin() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    branch.eval::<()>("x = 1").unwrap();
    let over = RunOptions::new().deadline(Instant::now());
    let error = branch.with(&over).eval::<()>("x = 2").unwrap_err();
    assert!(error.is_timeout() && !error.ends_instance(), "{error}");
    assert_eq!(error.to_string(), "stopped: the run's deadline passed");
    assert_eq!(branch.eval::<i64>("x").unwrap(), 1);
}

#[test]
fn limits_of_the_first_call_are_not_those_of_what_the_instance_is_granted() {
    let pool = pool();
    let grants = Grants::none().variable("deep", json!([[[1]]]));
    let mut branch = pool.branch_with(&RunOptions::new().grants(grants)).unwrap();
    let shallow = RunOptions::new().depth(1);
    assert_eq!(branch.with(&shallow).eval::<i64>("1").unwrap(), 1);
}

#[test]
fn options_of_some_calls_end_with_them_also_by_a_panic() {
    struct Panics;
    impl serde::Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("of the caller's own");
        }
    }
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    let one = RunOptions::new().depth(1);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        branch.with(&one).eval_with::<_, ()>("1", &Panics)
    }));
    assert!(result.is_err());
    assert_eq!(branch.eval::<Value>("{{1}}").unwrap(), json!([[1]]));
}
