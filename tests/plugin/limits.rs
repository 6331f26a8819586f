//! The limits of plugins, in pairs: kept and broken. They hold for a call as a whole: what
//! loading the plugin took is not there for the function.

use std::time::{Duration, Instant};

use moonfork::plugin::{CallError, CallOptions, PluginHost, PluginHostBuilder};
use moonfork::{Cancel, Deadline, Error, Grants, Limits};
use rstest::rstest;
use serde_json::Value;

use crate::common;
use crate::plugins::Plugins;

const NOTHING: &[(); 0] = &[];

/// A host of one plugin, on a pool that meters, with the host function `tick`.
fn host(limits: &str, lua: &str) -> PluginHost {
    let pool = common::builder()
        .metered()
        .function("tick", |(): ()| Ok(()))
        .build()
        .unwrap();
    let manifest =
        format!("[exports]\nrun = ''\n[wants]\nfunctions = ['tick']\n[limits]\n{limits}");
    let granting = |builder: PluginHostBuilder| builder.grants(Grants::none().all_functions());
    Plugins::one("one", &manifest, lua)
        .host(&pool, granting)
        .unwrap()
}

fn call(host: &PluginHost, n: u64) -> Result<Value, CallError> {
    let reply = host.tenant("t").call("one", "run", &[n]);
    reply.map(|reply| reply.value)
}

#[rstest]
#[case::wall(
    "wall = '3s'",
    "function run(n) if n > 1 then while true do end end end",
    Error::is_timeout
)]
#[case::fuel(
    "fuel = 3000000",
    "function run(n) for i = 1, n * 10000 do end end",
    Error::is_out_of_fuel
)]
#[case::memory(
    "memory = '8MiB'",
    "function run(n) return #('x'):rep(n * 2^20 // 1) end",
    Error::is_out_of_memory
)]
#[case::host_calls(
    "host_calls = 5",
    "function run(n) for i = 1, n do tick() end end",
    Error::is_too_many_host_calls
)]
#[case::value(
    "value = '1MiB'",
    "function run(n) return ('x'):rep(n * 2^17 // 1) end",
    Error::is_value
)]
#[case::depth(
    "depth = 5",
    "function run(n) local t = {} for i = 2, n do t = {t} end return t end",
    Error::is_value
)]
fn a_limit_holds_for_the_function(
    #[case] limits: &str,
    #[case] lua: &str,
    #[case] is_it: fn(&Error) -> bool,
) {
    let host = host(limits, lua);
    call(&host, 1).unwrap();
    let error = call(&host, 20).unwrap_err();
    assert!(is_it(error.run_error().unwrap()), "{error}");
    assert!(error.report().is_some());
    // And nothing of it is left for the next call.
    call(&host, 1).unwrap();
}

#[test]
fn host_calls_of_loading_and_of_the_function_are_one_sum() {
    let host = host(
        "host_calls = 5",
        "tick() tick() function run(n) for i = 1, n do tick() end end",
    );
    call(&host, 3).unwrap();
    let error = call(&host, 4).unwrap_err();
    assert!(
        error.run_error().unwrap().is_too_many_host_calls(),
        "{error}"
    );
    assert!(
        error.to_string().contains("more than 5 host calls"),
        "{error}"
    );
    assert_eq!(error.report().unwrap().run.host_calls["tick"], 5);
}

#[test]
fn fuel_of_loading_and_of_the_function_is_one_sum() {
    let work = |n: u64| format!("for i = 1, {n} do end");
    let spent = |load: u64, run: u64| {
        let lua = format!("{} function run() {} end", work(load), work(run));
        let host = host("fuel = 1000000000", &lua);
        let reply = host
            .tenant("t")
            .call::<_, Value>("one", "run", &[0])
            .unwrap();
        reply.report.run.fuel.unwrap()
    };
    let (half, whole) = (spent(100_000, 0), spent(100_000, 100_000));
    assert!(half < whole, "{half} {whole}");
    // Enough for either part, not for both.
    let lua = format!("{} function run() {} end", work(100_000), work(100_000));
    let limit = (half + whole) / 2;
    let host = host(&format!("fuel = {limit}"), &lua);
    let error = call(&host, 0).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("more than {limit} units")),
        "{error}"
    );
    assert!(error.run_error().unwrap().is_out_of_fuel(), "{error}");
}

#[test]
fn output_of_loading_and_of_the_function_is_one_sum() {
    let host = host(
        "output = 10",
        "print('1234') function run(n) print(('x'):rep(n)) end",
    );
    let report = |n: u64| {
        let reply = host
            .tenant("t")
            .call::<_, Value>("one", "run", &[n])
            .unwrap();
        reply.report.run
    };
    let kept = report(4);
    assert_eq!(
        (kept.output.as_str(), kept.output_truncated),
        ("1234\nxxxx\n", false)
    );
    let broken = report(9);
    assert_eq!(
        (broken.output.as_str(), broken.output_truncated),
        ("1234\nxxxxx", true)
    );
    assert_eq!(broken.output_bytes, 15);
}

#[test]
fn a_deadline_ends_a_call_before_its_limit_does() {
    let host = host("wall = '30s'", "function run(n) while n > 1 do end end");
    let tenant = host.tenant("t");
    let in_time = CallOptions::new().deadline(Instant::now() + Duration::from_secs(60));
    tenant
        .call_with::<_, Value>("one", "run", &[1], &in_time)
        .unwrap();
    let soon = CallOptions::new().deadline(Instant::now() + Duration::from_millis(50));
    let error = tenant
        .call_with::<_, Value>("one", "run", &[2], &soon)
        .unwrap_err();
    assert!(error.run_error().unwrap().is_timeout(), "{error}");
    assert_eq!(
        error.to_string(),
        "plugin `one`: stopped: the run's deadline passed (at one.lua:11)"
    );
}

#[test]
fn the_time_of_a_call_is_told_as_it_was_given() {
    let host = host("wall = '30s'", "function run(n) while n > 1 do end end");
    let tenant = host.tenant("t");
    let said = |time: Duration| {
        let options = CallOptions::new().deadline(Deadline::after(time));
        let error = tenant.call_with::<_, Value>("one", "run", &[2], &options);
        error.unwrap_err().to_string()
    };
    let message = said(Duration::from_millis(50));
    assert!(message.contains("ran longer than 50ms"), "{message}");
    let message = said(Duration::ZERO);
    assert!(
        message.contains("the run's time of 0ns passed"),
        "{message}"
    );
}

#[test]
fn a_call_is_cancelled_by_its_own_handle_only() {
    let host = host(
        "wall = '30s'",
        "function run(n) while n > 1 do end return n end",
    );
    let tenant = host.tenant("t");
    let (cancel, other) = (Cancel::new(), Cancel::new());
    other.cancel();
    let error = std::thread::scope(|scope| {
        let options = CallOptions::new().cancel_handle(&cancel);
        let tenant = &tenant;
        let running = scope.spawn(move || {
            tenant
                .call_with::<_, Value>("one", "run", &[2], &options)
                .unwrap_err()
        });
        cancel.cancel();
        running.join().unwrap()
    });
    assert!(error.run_error().unwrap().is_cancelled(), "{error}");
    let options = CallOptions::new().cancel_handle(&other);
    let error = tenant
        .call_with::<_, Value>("one", "run", NOTHING, &options)
        .unwrap_err();
    assert!(error.run_error().unwrap().is_cancelled(), "{error}");
    assert_eq!(call(&host, 1).unwrap(), 1);
}

#[test]
fn what_a_manifest_leaves_out_is_the_hosts() {
    let pool = common::builder().build().unwrap();
    let plugins = Plugins::one(
        "one",
        "[exports]\nrun = ''\n[limits]\nmemory = '6MiB'",
        "function run() end",
    );
    let host = plugins
        .host(&pool, |builder| builder.limits(Limits::strict()))
        .unwrap();
    let expected = Limits::strict().memory(6 << 20);
    assert_eq!(host.limits("one"), Some(expected));
}
