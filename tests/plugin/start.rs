//! What instances of plugins begin with: what their entry leaves, or nothing, where running it again might
//! leave something else.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moonfork::plugin::{PluginHost, Reply};
use moonfork::{Access, Clock, Folder, Grants, Pool};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;
use crate::plugins::{Plugins, keeping};

const NOTHING: &[(); 0] = &[];

/// A host of one plugin on a pool with the host function `tick`, which counts. It grants all that there is.
struct Host {
    host: PluginHost,
    ticks: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl Host {
    fn new(manifest: &str, lua: &str) -> Host {
        let ticks = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&ticks);
        let pool: Pool = common::builder()
            .function("tick", move |(): ()| {
                Ok(counted.fetch_add(1, Ordering::Relaxed))
            })
            .module("words", "return {'from the pool'}")
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("note.txt"), "a note").unwrap();
        let grants = Grants::none()
            .all_functions()
            .all_modules()
            .clock(Clock::system())
            .folder(
                "notes",
                Folder::open(folder.path(), Access::ReadOnly).unwrap(),
            )
            .variable("currency", json!("EUR"));
        let manifest = format!("{manifest}\n[exports]\nrun = ''\n");
        let plugins = Plugins::new([
            (
                "one/plugin.toml",
                format!("name = 'one'\nversion = '1.0.0'\nentry = 'main.lua'\n{manifest}"),
            ),
            ("one/main.lua", lua.to_owned()),
            ("one/own.lua", "return {'its own'}".to_owned()),
        ]);
        let host = plugins
            .host(&pool, |builder| keeping(builder.grants(grants)))
            .unwrap();
        Host {
            host,
            ticks,
            _folder: folder,
        }
    }

    fn call(&self) -> Reply<Value> {
        self.host.tenant("t").call("one", "run", NOTHING).unwrap()
    }
}

fn has_begun(reply: &Reply<Value>) -> bool {
    reply.report.run.origin.snapshot_sha256.is_some()
}

#[rstest]
#[case::nothing("", "function run() return 1 end", json!(1))]
#[case::tables("", "local t = {} for i = 1, 999 do t[i] = 'item ' .. i end function run() return t[9] end", json!("item 9"))]
#[case::own_module("", "local own = require('own') function run() return own end", json!(["its own"]))]
#[case::module_of_the_pool("[wants]\nmodules = ['words']", "local w = require('words') function run() return w end", json!(["from the pool"]))]
#[case::variables("[wants]\nvariables = ['currency']", "local c = variables.currency function run() return c end", json!("EUR"))]
#[case::function_in_a_call("[wants]\nfunctions = ['tick']", "local tick = tick function run() return tick() * 0 end", json!(0))]
#[case::clock_in_a_call("[wants]\nclock = true", "function run() return os.time() > 0 end", json!(true))]
#[case::random_in_a_call("", "function run() return math.random() < 1 end", json!(true))]
#[case::coroutine("", "local c = coroutine.wrap(function() coroutine.yield(1) while true do coroutine.yield(2) end end) c() function run() return c() end", json!(2))]
fn an_entry_that_computes_is_run_once(
    #[case] manifest: &str,
    #[case] lua: &str,
    #[case] value: Value,
    #[values("", "instance = 'kept'\n")] instance: &str,
) {
    let host = Host::new(&format!("{instance}{manifest}"), lua);
    let replies = [host.call(), host.call()];
    assert_eq!(replies[0].value, value);
    assert!(has_begun(&replies[0]), "{:?}", replies[0].report);
    if instance.is_empty() {
        assert_eq!(replies[1].value, value);
        assert_ne!(
            replies[0].report.run.store_id,
            replies[1].report.run.store_id
        );
    }
}

#[rstest]
#[case::prints("", "print('loaded')")]
#[case::function("[wants]\nfunctions = ['tick']", "tick()")]
#[case::clock("[wants]\nclock = true", "started = os.time()")]
#[case::folder(
    "[wants]\nfolders = {notes = 'read-only'}",
    "note = fs.read('notes/note.txt')"
)]
#[case::random("", "chosen = math.random(1 << 40)")]
#[case::shuffled(
    "",
    "order = {} for i = 1, 50 do table.insert(order, math.random(#order + 1), i) end"
)]
#[case::seed("[wants]\nseed = 7", "")]
fn any_other_is_run_in_each_instance(#[case] manifest: &str, #[case] entry: &str) {
    let host = Host::new(manifest, &format!("{entry} function run() return 1 end"));
    assert!(!has_begun(&host.call()));
}

#[test]
fn what_an_entry_asks_of_the_host_happens_for_each_call() {
    let host = Host::new(
        "[wants]\nfunctions = ['tick']",
        "local number = tick() print('loaded') function run() return number end",
    );
    let before = host.ticks.load(Ordering::Relaxed);
    // Once, to see whether the plugin is sound.
    assert_eq!(before, 1);
    for call in 0..3 {
        let reply = host.call();
        assert_eq!(reply.value, json!(before + call));
        assert_eq!(reply.report.run.output, "loaded\n");
    }
}

#[test]
fn random_numbers_of_an_entry_are_not_those_of_another_call() {
    let host = Host::new(
        "",
        "local chosen = math.random(1 << 60) function run() return chosen end",
    );
    let chosen: HashSet<_> = (0..20).map(|_| host.call().value.to_string()).collect();
    assert_eq!(chosen.len(), 20);
}

#[test]
fn random_numbers_of_a_call_are_its_own() {
    let host = Host::new("", "function run() return math.random(1 << 60) end");
    assert!(has_begun(&host.call()));
    let chosen: HashSet<_> = (0..20).map(|_| host.call().value.to_string()).collect();
    assert_eq!(chosen.len(), 20);
}

#[test]
fn a_seed_gives_the_function_the_numbers_behind_those_of_the_entry() {
    let run = |entry: &str| {
        let host = Host::new(
            "[wants]\nseed = 7",
            &format!("{entry} function run() return math.random(1 << 60) end"),
        );
        let values = [host.call().value, host.call().value];
        assert_eq!(values[0], values[1]);
        values[0].clone()
    };
    assert_ne!(run(""), run("math.random()"));
}

#[test]
fn what_one_call_changes_no_other_sees() {
    let lua = "local seen = {} names = {} function run()
        local before = #seen + #names
        seen[#seen + 1] = 'x' names[#names + 1] = 'y' string.added = true
        return before end";
    let host = Host::new("", lua);
    for _ in 0..5 {
        let reply = host.call();
        assert!(has_begun(&reply));
        assert_eq!(reply.value, json!(0));
    }
}

#[rstest]
#[case::enough(2, true)]
#[case::one_too_few(1, false)]
fn modules_that_the_entry_asked_for_count_in_each_call(#[case] limit: u64, #[case] enough: bool) {
    let lua = "require('own') function run() require('words') return 1 end";
    let manifest = format!("[wants]\nmodules = ['words']\n[limits]\nhost_calls = {limit}");
    let host = Host::new(&manifest, lua);
    let reply = host
        .host
        .tenant("t")
        .call::<_, Value>("one", "run", NOTHING);
    match reply {
        Ok(reply) => {
            assert!(enough && has_begun(&reply));
            assert_eq!(reply.report.run.host_calls["require"], 2);
        }
        Err(error) => {
            assert!(
                !enough && error.run_error().unwrap().is_too_many_host_calls(),
                "{error}"
            );
            let said = format!("more than {limit} host call");
            assert!(error.to_string().contains(&said), "{error}");
        }
    }
}

#[test]
fn a_host_may_have_the_entry_run_in_each_instance() {
    let plugins = Plugins::one("one", "exports = {run = ''}", "function run() return 1 end");
    for once in [true, false] {
        let host = plugins.host(common::pool(), |builder| builder.run_entry_once(once));
        let tenant = host.unwrap().tenant("t");
        let reply = tenant.call::<_, Value>("one", "run", NOTHING).unwrap();
        assert_eq!((has_begun(&reply), reply.value), (once, json!(1)));
    }
}
