//! What a plugin wants, against what the host grants.

use std::time::Duration;

use moonfork::diagnostics::Code;
use moonfork::plugin::PluginHostBuilder;
use moonfork::{Access, Clock, Folder, Grants, Limits, Pool};
use rstest::rstest;

use crate::common;
use crate::plugins::{Plugins, one_file, plain};

fn pool() -> Pool {
    common::builder()
        .function("lookup", |(): ()| Ok(1))
        .function("store", |(): ()| Ok(2))
        .module("tax", "return {rate = 0.19}")
        .build()
        .unwrap()
}

/// A folder that is there, and holds no compiled code.
fn folder(access: Access) -> Folder {
    Folder::open(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"), access).unwrap()
}

/// What the plugins of this file may want.
fn generous(builder: PluginHostBuilder) -> PluginHostBuilder {
    let grants = Grants::none()
        .function("lookup")
        .module("tax")
        .clock(Clock::system())
        .variable("currency", "EUR")
        .folder("input", folder(Access::ReadOnly))
        .folder("output", folder(Access::ReadWrite));
    builder.grants(grants).max_kept(1)
}

#[rstest]
#[case::function(
    "[wants]\nfunctions = ['lookup']",
    "7:14: ",
    "the host function `lookup`"
)]
#[case::module("[wants]\nmodules = ['tax']", "7:12: ", "the host's module `tax`")]
#[case::clock("[wants]\nclock = true", "7:1: ", "a clock")]
#[case::variable(
    "[wants]\nvariables = ['currency']",
    "7:14: ",
    "the variable `currency`"
)]
#[case::folder(
    "[wants.folders]\ninput = 'read-only'",
    "7:1: ",
    "the folder `input` for reading"
)]
#[case::writing(
    "[wants.folders]\noutput = 'read-write'",
    "7:1: ",
    "the folder `output` for writing"
)]
#[case::kept("[x]", "4:1: ", "a kept instance")]
fn what_is_granted_may_be_wanted_and_nothing_else(
    #[case] wants: &str,
    #[case] place: &str,
    #[case] what: &str,
) {
    let manifest = match wants {
        "[x]" => "instance = 'kept'\n[exports]\nrun = ''".to_owned(),
        wants => format!("[exports]\nrun = ''\n{wants}"),
    };
    let plugins = Plugins::one("one", &manifest, "function run() end");
    let pool = pool();
    plugins.host(&pool, generous).unwrap();
    let problems = plugins.problems(&pool, plain);
    let expected = format!(
        "one.lua:{place}error [NOT_GRANTED]: the plugin wants {what}, which the host doesn't grant"
    );
    assert_eq!(problems, expected);
}

#[test]
fn a_folder_for_reading_is_not_one_for_writing() {
    let manifest = "[exports]\nrun = ''\n[wants.folders]\ninput = 'read-write'";
    let plugins = Plugins::one("one", manifest, "function run() end");
    let problems = plugins.problems(&pool(), generous);
    assert!(problems.contains("[NOT_GRANTED]: the plugin wants the folder `input` for writing"));
    assert!(
        problems.contains("hint: the host grants it for reading"),
        "{problems}"
    );
}

#[test]
fn a_function_that_the_pool_lacks_is_granted_by_no_one() {
    let manifest = "[exports]\nrun = ''\n[wants]\nfunctions = ['lokup']";
    let plugins = Plugins::one("one", manifest, "function run() end");
    let all = |builder: PluginHostBuilder| builder.grants(Grants::none().all_functions());
    let problems = plugins.problems(&pool(), all);
    assert!(problems.contains("[NOT_GRANTED]: the plugin wants the host function `lokup`"));
    assert!(
        problems.contains("hint: did you mean `lookup`?"),
        "{problems}"
    );
}

#[test]
fn a_seed_needs_no_grant() {
    let manifest = "[exports]\nrun = ''\n[wants]\nseed = 1";
    let plugins = Plugins::one(
        "one",
        manifest,
        "function run() return math.random(2^40|0) end",
    );
    let host = plugins.host(&pool(), plain).unwrap();
    let run = || {
        host.tenant("t")
            .call::<_, i64>("one", "run", &[(); 0])
            .unwrap()
            .value
    };
    assert_eq!(run(), run());
}

#[test]
fn a_refusal_lists_all_that_is_too_much() {
    let greedy = "instance = 'kept'\n[exports]\nrun = ''\n\
                  [wants]\nfunctions = ['lookup', 'store']\nclock = true\n\
                  [limits]\nwall = '1h'\nmemory = '1GiB'";
    let plugins = Plugins::new([
        ("a.lua", one_file("a", greedy, "function run() end")),
        (
            "b.lua",
            one_file(
                "b",
                "[exports]\nrun = ''\n[wants]\nmodules = ['tax']",
                "function run() end",
            ),
        ),
    ]);
    let places: Vec<String> = plugins
        .problems(&pool(), plain)
        .lines()
        .map(|line| line.split(": error").next().unwrap().to_owned())
        .collect();
    let expected = [
        "a.lua:4:1",
        "a.lua:8:14",
        "a.lua:8:24",
        "a.lua:9:1",
        "a.lua:11:1",
        "a.lua:12:1",
        "b.lua:7:12",
    ];
    assert_eq!(places, expected);
}

#[rstest]
#[case::wall("wall = '2s'", "wall = '3s'", "`wall` of 3s, and the host gives 2s")]
#[case::fuel(
    "fuel = 1000000",
    "fuel = 1000001",
    "`fuel` of 1000001, and the host gives 1000000"
)]
#[case::memory(
    "memory = '8MiB'",
    "memory = '9MiB'",
    "`memory` of 9MiB, and the host gives 8MiB"
)]
#[case::output(
    "output = 10",
    "output = 11",
    "`output` of 11B, and the host gives 10B"
)]
#[case::host_calls(
    "host_calls = 3",
    "host_calls = 4",
    "`host_calls` of 4, and the host gives 3"
)]
#[case::value(
    "value = '1MiB'",
    "value = '2MiB'",
    "`value` of 2MiB, and the host gives 1MiB"
)]
#[case::depth("depth = 9", "depth = 10", "`depth` of 10, and the host gives 9")]
fn limits_are_narrowed_only(#[case] kept: &str, #[case] broken: &str, #[case] said: &str) {
    let pool = common::builder().metered().build().unwrap();
    let limits = Limits::default()
        .wall(Duration::from_secs(2))
        .fuel(1_000_000)
        .memory(8 << 20)
        .output(10)
        .host_calls(3)
        .value(1 << 20)
        .depth(9);
    let problems = |limit: &str| {
        let manifest = format!("[exports]\nrun = ''\n[limits]\n{limit}");
        let plugins = Plugins::one("one", &manifest, "function run() end");
        let limited = |builder: PluginHostBuilder| builder.limits(limits);
        match plugins.host(&pool, limited) {
            Ok(host) => Err(host.limits("one").unwrap()),
            Err(_) => Ok(plugins.problems(&pool, limited)),
        }
    };
    assert_eq!(problems(kept), Err(limits));
    let problems = problems(broken).unwrap();
    assert_eq!(
        problems,
        format!("one.lua:7:1: error [LIMIT_TOO_WIDE]: the plugin wants a limit {said}")
    );
}

#[test]
fn fuel_needs_a_meter() {
    let manifest = "[exports]\nrun = ''\n[limits]\nfuel = 1000000";
    let plugins = Plugins::one("one", manifest, "function run() end");
    let problems = plugins.problems(&pool(), plain);
    assert!(
        problems.contains("one.lua:7:1: error [LIMIT_TOO_WIDE]"),
        "{problems}"
    );
    assert!(
        problems.contains("the host doesn't meter fuel"),
        "{problems}"
    );
}

#[test]
fn a_host_that_gives_more_than_its_pool_loads_nothing() {
    let plugins = Plugins::one("one", "[exports]\nrun = ''", "function run() end");
    for too_much in [
        |builder: PluginHostBuilder| builder.limits(Limits::unlimited()),
        |builder: PluginHostBuilder| builder.grants(Grants::none().function("absent")),
    ] {
        let error = plugins.host(&pool(), too_much).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].code(), Code::HostSetup, "{error}");
    }
}
