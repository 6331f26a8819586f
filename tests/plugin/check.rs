//! What loading finds out about the Lua of plugins.

use std::time::Duration;

use moonfork::plugin::{PluginHost, PluginHostBuilder};
use rstest::rstest;

use crate::common::{self, pool};
use crate::plugins::{Plugins, one_file, plain};

const MANIFEST: &str = "name = 'a'\nversion = '0.1.0'\nentry = 'main.lua'\nexports = {run = ''}\n";

/// The Lua begins on line 7.
#[rstest]
#[case::syntax(
    "\nlocal = 5",
    "one.lua:8: error [LUA_SYNTAX]: the entry doesn't parse: "
)]
#[case::failing(
    "local t\nfunction run() end\nprint(t.x)",
    "one.lua:9: error [ENTRY_FAILED]: the entry fails: attempt to index a nil value (local 't')"
)]
#[case::denied(
    "print(os.time())\nfunction run() end",
    "one.lua:7: error [ENTRY_FAILED]: the entry fails: "
)]
#[case::a_table_returned(
    "local M = {} function M.run() end return M",
    "one.lua: error [ENTRY_FAILED]: the entry fails: "
)]
#[case::local_function(
    "local function run() end",
    "one.lua:5:1: error [EXPORT_MISSING]: the plugin exports `run`, and its entry defines no such function"
)]
#[case::no_function(
    "run = {}",
    "one.lua:5:1: error [EXPORT_MISSING]: the plugin exports `run`, which is a table value"
)]
#[case::endless(
    "\nwhile true do end",
    "one.lua:8: error [ENTRY_FAILED]: the entry fails: stopped: the script ran longer than 100ms"
)]
fn broken_lua(#[case] lua: &str, #[case] expected: &str) {
    let plugins = Plugins::one("one", "[exports]\nrun = ''", lua);
    let limits = pool().limits().wall(if lua.contains("while") {
        Duration::from_millis(100)
    } else {
        pool().limits().wall
    });
    let problems = plugins.problems(pool(), |builder| builder.limits(limits));
    assert!(
        problems.starts_with(expected),
        "{expected:?} is not what it says: {problems}"
    );
    assert_eq!(problems.matches("error [").count(), 1, "{problems}");
}

#[test]
fn dotted_names_lead_through_tables() {
    let manifest = "[exports]\n'orders.price' = ''\n'orders.total' = ''\n'none.at.all' = ''";
    let lua = "orders = {price = function() end, total = 5}";
    let plugins = Plugins::one("one", manifest, lua);
    let problems = plugins.problems(pool(), plain);
    let said: Vec<_> = problems
        .lines()
        .filter(|line| line.contains("error"))
        .collect();
    assert_eq!(said.len(), 2, "{problems}");
    assert!(
        said[0].contains("`orders.total`, which is a number value"),
        "{problems}"
    );
    assert!(
        said[1].contains("`none.at.all`, and its entry defines no"),
        "{problems}"
    );
}

#[test]
fn every_module_has_to_parse_whether_it_is_required_or_not() {
    let plugins = Plugins::new([
        ("a/plugin.toml", MANIFEST),
        ("a/main.lua", "function run() end"),
        ("a/sound.lua", "return {}"),
        ("a/deep/broken.lua", "local x = 1\nreturn ("),
        ("a/other.lua", "end"),
    ]);
    let problems = plugins.problems(pool(), plain);
    let mut lines = problems.lines();
    let deep = lines.next().unwrap();
    assert!(
        deep.starts_with(
            "a/deep/broken.lua:2: error [LUA_SYNTAX]: the module `deep.broken` doesn't parse: "
        ),
        "{problems}"
    );
    let other = lines.next().unwrap();
    assert!(
        other.starts_with("a/other.lua:1: error [LUA_SYNTAX]: the module `other` doesn't parse: "),
        "{problems}"
    );
    assert_eq!(lines.next(), None, "{problems}");
}

#[test]
fn a_module_that_no_name_leads_to_is_refused() {
    let plugins = Plugins::new([
        ("a/plugin.toml", MANIFEST),
        ("a/main.lua", "function run() end"),
        ("a/v1.2.lua", "return {}"),
    ]);
    let problems = plugins.problems(pool(), plain);
    assert!(
        problems.starts_with("a/v1.2.lua: error [MODULE_CONFLICT]: "),
        "{problems}"
    );
}

#[test]
fn a_name_leads_to_one_module_only() {
    let pool = common::builder()
        .module("tax", "return {}")
        .build()
        .unwrap();
    let manifest = format!("{MANIFEST}[wants]\nmodules = ['tax']\n");
    let plugins = Plugins::new([
        ("a/plugin.toml", manifest.as_str()),
        ("a/main.lua", "function run() end"),
        ("a/tax.lua", "return {}"),
    ]);
    let granting =
        |builder: PluginHostBuilder| builder.grants(moonfork::Grants::none().all_modules());
    let problems = plugins.problems(&pool, granting);
    assert!(
        problems.starts_with("a/plugin.toml:6:12: error [MODULE_CONFLICT]: "),
        "{problems}"
    );
}

#[test]
fn two_plugins_of_one_name_are_refused_with_both_places() {
    let lua = one_file("same", "exports = {run = ''}", "function run() end");
    let plugins = Plugins::new([("a.lua", &lua), ("b.lua", &lua)]);
    let problems = plugins.problems(pool(), plain);
    assert!(
        problems.starts_with("b.lua:2:1: error [DUPLICATE_PLUGIN]: "),
        "{problems}"
    );
    assert!(problems.contains("from a.lua"), "{problems}");
}

/// Sound and broken ones by turns.
fn mixed() -> Plugins {
    let file = |name: &str, lua: &str| {
        (
            format!("{name}.lua"),
            one_file(name, "exports = {run = ''}", lua),
        )
    };
    Plugins::new([
        file("a", "function run() return 'a' end"),
        file("b", "function run("),
        file("c", "function run() return 'c' end"),
        ("d.lua".to_owned(), "function run() end".to_owned()),
        file("e", "error('no')"),
    ])
}

#[test]
fn every_broken_plugin_is_reported() {
    let problems = mixed().problems(pool(), plain);
    let files: Vec<_> = problems
        .lines()
        .filter(|line| line.contains(": error ["))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(files, ["b.lua", "d.lua", "e.lua"], "{problems}");
}

#[test]
fn a_host_may_go_on_with_those_that_are_sound() {
    let plugins = mixed();
    let (host, problems) = PluginHost::builder(pool())
        .path(plugins.path(""))
        .load_sound();
    let plugins = host.plugins();
    let names: Vec<_> = plugins.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, problems.len()), (vec!["a", "c"], 3));
    let reply = host
        .tenant("t")
        .call::<_, String>("c", "run", &[(); 0])
        .unwrap();
    assert_eq!(reply.value, "c");
}
