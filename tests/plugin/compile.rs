//! Plugins whose entries are translated to WebAssembly, where the host says so: they do the same, in instances that begin behind the
//! entry too, and are let go of when they change.

use moonfork::plugin::{PluginHost, PluginHostBuilder};
use moonfork::{CodeOrigin, Grants, Pool, Processors};
use rstest::rstest;

use crate::common;
use crate::plugins::{Plugins, keeping, one_file};

/// Whether the guest has places for translated functions: see `tests/runtime/compiled_lua`.
fn has_places() -> bool {
    env!("MOONFORK_GUEST_WASM").ends_with("host/prebuilt/moonfork-guest.wasm")
}

fn lua(factor: u32) -> String {
    format!(
        "calls = 0
         function run(n)
           calls = calls + 1
           local sum = 0
           for i = 1, n do sum = sum + i * {factor} end
           return {{sum, calls}}
         end
         function fail(t) return t.x.y end"
    )
}

const EXPORTS: &str = "[exports]\nrun = ''\nfail = ''\n";

fn pool() -> Pool {
    common::interpreting_builder().metered().build().unwrap()
}

/// What a call gives, and the fuel of that alone: that of a call of another length is taken away.
#[track_caller]
fn call(host: &PluginHost, name: &str) -> ((u64, u64), u64) {
    let call = |n: u64| {
        let tenant = host.tenant("t");
        let reply = tenant.call::<_, (u64, u64)>(name, "run", &[n]).unwrap();
        (reply.value, reply.report.run.fuel.unwrap())
    };
    // A kept instance runs its entry in its first call.
    call(0);
    let (_, short) = call(1000);
    let (value, long) = call(2000);
    (value, long - short)
}

/// Whether translated functions burnt this, where `interpreted` is what others burn for the same.
fn is_translated(fuel: u64, interpreted: u64) -> bool {
    fuel < interpreted / 2
}

#[rstest]
#[case::fresh("", true)]
#[case::without_beginning_behind_the_entry("", false)]
#[case::kept("instance = 'kept'\n", true)]
fn a_plugin_that_the_host_names_does_the_same(#[case] manifest: &str, #[case] once: bool) {
    if !has_places() {
        return;
    }
    let plugins = Plugins::new([
        (
            "one.lua",
            one_file("one", &format!("{manifest}{EXPORTS}"), &lua(1)),
        ),
        (
            "two.lua",
            one_file("two", &format!("{manifest}{EXPORTS}"), &lua(2)),
        ),
    ]);
    let pool = pool();
    let settings = |builder: PluginHostBuilder| keeping(builder.run_entry_once(once));
    let host = plugins
        .host(&pool, |builder| settings(builder).compile("one"))
        .unwrap();
    let chunks = pool.compiled_lua();
    assert_eq!(chunks.len(), 1);
    assert_eq!((chunks[0].name(), chunks[0].functions()), ("one.lua", 3));
    let (one, fuel) = call(&host, "one");
    let (two, interpreted) = call(&host, "two");
    assert!(is_translated(fuel, interpreted), "{fuel} of {interpreted}");
    let calls = if manifest.is_empty() { 1 } else { 3 };
    assert_eq!(one, (2_001_000, calls));
    assert_eq!(two, (4_002_000, calls));
    let errors = ["one", "two"].map(|name| {
        let error = host
            .tenant("t")
            .call::<_, ()>(name, "fail", &[1])
            .unwrap_err();
        error.to_string().replace(name, "it")
    });
    assert_eq!(errors[0], errors[1]);
    let message = "attempt to index a number value (local 't')";
    assert!(errors[0].contains(message), "{}", errors[0]);
}

/// Its own modules are its Lua, too; those of the pool aren't.
#[rstest]
fn modules_of_a_plugin_are_translated_with_it(#[values(true, false)] once: bool) {
    if !has_places() {
        return;
    }
    let plugins = Plugins::new([
        (
            "one/plugin.toml",
            format!("name = 'one'\nversion = '1.0.0'\nentry = 'main.lua'\n[wants]\nmodules = ['words']\n{EXPORTS}"),
        ),
        (
            "one/main.lua",
            "local own, words = require('deep.own'), require('words')
             function run(n) return {own.sum(n), #words} end
             function fail(t) return own.fail(t) end"
                .to_owned(),
        ),
        (
            "one/deep/own.lua",
            "local name = ...
             return {
               sum = function(n) assert(name == 'deep.own') local s = 0 for i = 1, n do s = s + i end return s end,
               fail = function(t) return t.x.y end,
             }"
                .to_owned(),
        ),
    ]);
    let run = |settings: fn(PluginHostBuilder) -> PluginHostBuilder| {
        let pool = common::interpreting_builder()
            .metered()
            .module("words", "return {'a', 'b'}");
        let pool = pool.build().unwrap();
        let grants = Grants::none().all_modules();
        let host = plugins.host(&pool, |builder| {
            settings(builder.grants(grants).run_entry_once(once))
        });
        let host = host.unwrap();
        let (value, fuel) = call(&host, "one");
        let error = host
            .tenant("t")
            .call::<_, ()>("one", "fail", &[1])
            .unwrap_err();
        let mut chunks: Vec<_> = pool
            .compiled_lua()
            .iter()
            .map(|it| (it.name().to_owned(), it.functions()))
            .collect();
        chunks.sort();
        (value, fuel, error.to_string(), chunks)
    };
    let interpreted = run(|builder| builder);
    let translated = run(|builder| builder.compile("one"));
    assert_eq!(
        (interpreted.0, &interpreted.2),
        (translated.0, &translated.2)
    );
    assert!(
        translated.2.contains("one/deep/own.lua:4:"),
        "{}",
        translated.2
    );
    assert_eq!(interpreted.3, []);
    assert!(is_translated(translated.1, interpreted.1));
    let expected = [("one/deep/own.lua", 3), ("one/main.lua", 3)];
    let expected = expected.map(|(name, functions)| (name.to_owned(), functions));
    assert_eq!(translated.3, expected);
}

/// Places are a plugin's own, so there are as many however often plugins are loaded again.
#[test]
fn a_plugin_that_changes_is_translated_again_and_the_old_one_let_go_of() {
    if !has_places() {
        return;
    }
    let write = |plugins: &Plugins, factor: u32| {
        let functions: String = (0..150)
            .map(|n| format!("local function f{n}() return {n} end "))
            .collect();
        let functions = format!("do {functions} end\n{}", lua(factor));
        std::fs::write(
            plugins.path("one.lua"),
            one_file("one", EXPORTS, &functions),
        )
        .unwrap();
    };
    let plugins = Plugins::new([("one.lua", "")]);
    write(&plugins, 1);
    // On a pool of its own: the other knows the text by its translation.
    let interpreting = plugins.host(&pool(), |builder| builder).unwrap();
    let pool = pool();
    let host = plugins.host(&pool, PluginHostBuilder::compile_all).unwrap();
    let (_, interpreted) = call(&interpreting, "one");
    for factor in 2..6 {
        write(&plugins, factor);
        assert_eq!(host.reload().changed, ["one"]);
        let chunks = pool.compiled_lua();
        assert_eq!(chunks.len(), 1);
        assert_eq!(
            (chunks[0].functions(), chunks[0].interpreted().count()),
            (153, 0)
        );
        let ((sum, _), fuel) = call(&host, "one");
        assert_eq!(sum, u64::from(factor) * 2_001_000);
        assert!(is_translated(fuel, interpreted));
    }
    std::fs::remove_file(plugins.path("one.lua")).unwrap();
    assert_eq!(host.reload().removed, ["one"]);
    assert_eq!(pool.compiled_lua().len(), 0);
}

#[test]
fn what_is_shipped_is_not_compiled_again() {
    if !has_places() {
        return;
    }
    let plugins = Plugins::one("one", EXPORTS, &lua(1));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.code");
    Pool::builder()
        .precompile(&file, Processors::LikeThisOne)
        .unwrap();
    let build = || Pool::builder().precompiled(&file).build().unwrap();
    moonfork::plugin::precompile(&build(), &[plugins.path("one.lua")], &file).unwrap();
    let pool = build();
    let host = plugins.host(&pool, PluginHostBuilder::compile_all).unwrap();
    let chunks = pool.compiled_lua();
    let origin = chunks[0].code().unwrap().origin();
    assert!(matches!(origin, CodeOrigin::Precompiled(_)), "{origin:?}");
    let reply = host
        .tenant("t")
        .call::<_, (u64, u64)>("one", "run", &[10])
        .unwrap();
    assert_eq!(reply.value, (55, 1));
}
