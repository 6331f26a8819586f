//! Calls of plugins: values, errors, modules, reports.

use moonfork::plugin::{CallErrorKind, CallReport, Lifetime, PluginHostBuilder};
use moonfork::{Grants, HostError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::{self, pool};
use crate::plugins::{Plugins, one_file, plain};

const NOTHING: &[(); 0] = &[];

fn manifest(name: &str) -> String {
    format!("name = '{name}'\nversion = '0.1.0'\nentry = 'main.lua'\nexports = {{run = ''}}\n")
}

#[test]
fn arguments_and_results_are_serde_types() {
    #[derive(Serialize)]
    struct Order {
        price: f64,
        count: u32,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Total {
        total: f64,
        note: Option<String>,
    }
    let lua =
        "function total(order, note) return {total = order.price * order.count, note = note} end";
    let plugins = Plugins::one("orders", "exports = {total = ''}", lua);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    let order = Order {
        price: 2.5,
        count: 4,
    };
    let reply = tenant
        .call::<_, Total>("orders", "total", &(&order, "gift"))
        .unwrap();
    assert_eq!(
        reply.value,
        Total {
            total: 10.0,
            note: Some("gift".into())
        }
    );
    let reply = tenant
        .call::<_, Total>("orders", "total", &[order])
        .unwrap();
    assert_eq!(reply.value.note, None);
}

#[test]
fn a_fresh_instance_remembers_nothing() {
    let lua = "count = 0 function run() count = count + 1 return count end";
    let plugins = Plugins::one("one", "exports = {run = ''}", lua);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    let replies = [(); 3].map(|()| tenant.call::<_, i64>("one", "run", NOTHING).unwrap());
    assert_eq!(replies.each_ref().map(|reply| reply.value), [1, 1, 1]);
    let ids = replies.map(|reply| reply.report.run.store_id);
    assert!(
        ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2],
        "{ids:?}"
    );
}

#[test]
fn only_what_is_exported_can_be_called() {
    let lua = "function run() end function hidden() end";
    let plugins = Plugins::one("one", "exports = {run = ''}", lua);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    for name in ["hidden", "print", "rum"] {
        let error = tenant.call::<_, Value>("one", name, NOTHING).unwrap_err();
        assert!(error.is_unknown(), "{error}");
        assert!(
            matches!(error.kind(), CallErrorKind::UnknownExport { .. }),
            "{error}"
        );
    }
    let error = tenant.call::<_, Value>("one", "rum", NOTHING).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plugin `one` exports no function `rum`; did you mean `run`?"
    );
    let error = tenant.call::<_, Value>("on", "run", NOTHING).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no plugin `on`; did you mean `one`?"
    );
    assert!(error.report().is_none());
}

#[test]
fn two_plugins_never_see_each_others_modules() {
    let entry = "local rate = require('rate') function run() return rate end";
    let plugins = Plugins::new([
        ("a/plugin.toml", manifest("a")),
        ("a/main.lua", entry.into()),
        ("a/rate.lua", "return 'of a'".into()),
        ("b/plugin.toml", manifest("b")),
        ("b/main.lua", entry.into()),
        ("b/rate.lua", "return 'of b'".into()),
        ("c/plugin.toml", manifest("c")),
        (
            "c/main.lua",
            "function run() return pcall(require, 'rate') end".into(),
        ),
        ("c/own/deep.lua", "return 5".into()),
    ]);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    let run = |plugin| {
        tenant
            .call::<_, Value>(plugin, "run", NOTHING)
            .map(|reply| reply.value)
    };
    assert_eq!(run("a").unwrap(), "of a");
    assert_eq!(run("b").unwrap(), "of b");
    let error = run("c");
    assert!(!format!("{error:?}").contains("of a"), "{error:?}");
}

#[test]
fn modules_lie_in_folders_and_run_once() {
    let plugins = Plugins::new([
        ("a/plugin.toml", manifest("a")),
        (
            "a/main.lua",
            "function run() return {require('lib.deep.n').n, require('lib.deep.n').n} end".into(),
        ),
        (
            "a/lib/deep/n.lua",
            "ran = (ran or 0) + 1 return {n = ran}".into(),
        ),
    ]);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    let reply = tenant.call::<_, [i64; 2]>("a", "run", NOTHING).unwrap();
    assert_eq!(reply.value, [1, 1]);
    assert_eq!(reply.report.run.host_calls["require"], 1);
}

#[test]
fn the_entry_is_no_module_and_nothing_else_is_found() {
    let plugins = Plugins::new([
        ("a/plugin.toml", manifest("a")),
        (
            "a/main.lua",
            "function run(name) local ok, message = pcall(require, name) return message end".into(),
        ),
        ("a/lib.lua", "return 'lib'".into()),
    ]);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    for (name, found) in [
        ("lib", true),
        ("main", false),
        ("../a/lib", false),
        ("a.lib", false),
    ] {
        let reply = tenant.call::<_, String>("a", "run", &[name]).unwrap();
        assert_eq!(reply.value == "lib", found, "{name}: {}", reply.value);
    }
}

#[test]
fn a_plugin_has_what_it_wanted_and_not_the_rest_of_the_grants() {
    let pool = common::builder()
        .function("one", |(): ()| Ok(1))
        .function("other", |(): ()| Ok(2))
        .build()
        .unwrap();
    let plugins = Plugins::one(
        "a",
        "[exports]\nwanted = ''\nunwanted = ''\n[wants]\nfunctions = ['one']\nvariables = ['x']",
        "function wanted() return one() + variables.x end function unwanted() return other() end",
    );
    let grants = Grants::none()
        .all_functions()
        .variable("x", 5)
        .variable("y", 6);
    let granting = |builder: PluginHostBuilder| builder.grants(grants);
    let tenant = plugins.host(&pool, granting).unwrap().tenant("acme");
    assert_eq!(
        tenant.call::<_, i64>("a", "wanted", NOTHING).unwrap().value,
        6
    );
    let error = tenant.call::<_, i64>("a", "unwanted", NOTHING).unwrap_err();
    assert!(error.run_error().unwrap().is_denied(), "{error}");
}

#[test]
fn errors_name_the_plugin_and_the_line_and_come_with_a_report() {
    let lua = "function run()\n  print('so far')\n  error('no')\nend";
    let plugins = Plugins::one("one", "exports = {run = ''}", lua);
    let tenant = plugins.host(pool(), plain).unwrap().tenant("acme");
    let error = tenant.call::<_, Value>("one", "run", NOTHING).unwrap_err();
    assert_eq!(error.to_string(), "plugin `one`: one.lua:8: no");
    let traceback = error.run_error().unwrap().traceback().unwrap();
    assert!(traceback.contains("one.lua:8:"), "{traceback}");
    assert_eq!(error.report().unwrap().run.output, "so far\n");
    assert!(!error.loses_state());
}

#[test]
fn a_report_tells_of_loading_and_of_the_call() {
    let pool = common::builder()
        .metered()
        .function("tick", |(): ()| Ok(()))
        .build()
        .unwrap();
    let manifest = "[exports]\nrun = ''\n[wants]\nfunctions = ['tick']";
    let lua = "print('loaded') tick() function run() print('called') tick() end";
    let plugins = Plugins::one("one", manifest, lua);
    let granting =
        |builder: PluginHostBuilder| builder.grants(Grants::none().all_functions()).max_kept(1);
    let tenant = plugins.host(&pool, granting).unwrap().tenant("acme");
    let report = tenant
        .call::<_, Value>("one", "run", NOTHING)
        .unwrap()
        .report;
    assert_eq!(report.run.output, "loaded\ncalled\n");
    assert_eq!(
        (report.run.output_bytes, report.run.output_truncated),
        (14, false)
    );
    assert_eq!((report.run.calls, report.run.host_calls["tick"]), (2, 2));
    assert!(report.run.fuel.unwrap() > 0 && report.run.peak_memory > 0);
    assert_eq!(
        (report.plugin.as_str(), report.version.as_str()),
        ("one", "1.0.0")
    );
    assert_eq!(
        (report.tenant.as_str(), report.export.as_str()),
        ("acme", "run")
    );
    assert_eq!((report.instance, report.replaces), (Lifetime::Fresh, None));

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["schema_version"], json!(CallReport::SCHEMA_VERSION));
    assert_eq!(json["instance"], "fresh");
    assert_eq!(serde_json::from_value::<CallReport>(json).unwrap(), report);
}

#[test]
fn what_plugins_print_goes_where_the_hosts_grants_send_it() {
    let (send, printed) = std::sync::mpsc::channel();
    let plugins = Plugins::one(
        "one",
        "exports = {run = ''}",
        "function run() print('hello') end",
    );
    let grants = Grants::none().output(move |text| send.send(text.to_vec()).unwrap());
    let host = plugins
        .host(pool(), |builder| builder.grants(grants))
        .unwrap();
    host.tenant("t")
        .call::<_, Value>("one", "run", NOTHING)
        .unwrap();
    assert_eq!(printed.try_recv().unwrap(), b"hello\n");
}

#[test]
fn a_host_function_may_call_plugins_itself() {
    use std::sync::{Arc, OnceLock};
    let host: Arc<OnceLock<moonfork::plugin::PluginHost>> = Arc::default();
    let inner = Arc::clone(&host);
    let pool = common::builder()
        .function("ask_inner", move |(n,): (i64,)| {
            let tenant = inner.get().unwrap().tenant("acme");
            let reply = tenant.call::<_, i64>("inner", "run", &[n]);
            reply.map(|reply| reply.value).map_err(HostError::from)
        })
        .build()
        .unwrap();
    let outer = "[exports]\nrun = ''\n[wants]\nfunctions = ['ask_inner']";
    let plugins = Plugins::new([
        (
            "inner.lua",
            one_file(
                "inner",
                "exports = {run = ''}",
                "function run(n) return n * 2 end",
            ),
        ),
        (
            "outer.lua",
            one_file(
                "outer",
                outer,
                "function run(n) return ask_inner(n) + 1 end",
            ),
        ),
    ]);
    let granting = |builder: PluginHostBuilder| builder.grants(Grants::none().all_functions());
    host.set(plugins.host(&pool, granting).unwrap()).unwrap();
    let reply = host
        .get()
        .unwrap()
        .tenant("acme")
        .call::<_, i64>("outer", "run", &[20]);
    assert_eq!(reply.unwrap().value, 41);
}
