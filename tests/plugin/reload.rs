//! Plugins that are loaded again while they are called: what changes, what stays, and what a call
//! under way sees.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use moonfork::diagnostics::Code;
use moonfork::plugin::{CallErrorKind, PluginHost, Reload, Tenant};
use moonfork::{Grants, Pool};
use rstest::rstest;

use crate::common;
use crate::plugins::{Plugins, keeping, one_file, plain};

const NOTHING: &[(); 0] = &[];

/// A plugin in one file whose function `tell` gives `what`.
fn telling(name: &str, manifest: &str, what: &str) -> String {
    let lua = format!("function tell() return '{what}' end");
    one_file(name, &format!("exports = {{tell = ''}}\n{manifest}"), &lua)
}

/// A folder with the plugin `one`, and a host of it.
fn one(manifest: &str) -> (Plugins, PluginHost) {
    let plugins = Plugins::new([("one.lua", telling("one", manifest, "old"))]);
    let host = plugins
        .host(&common::builder().build().unwrap(), keeping)
        .unwrap();
    (plugins, host)
}

impl Plugins {
    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(path), text).unwrap();
    }
}

fn tell(tenant: &Tenant) -> String {
    tenant.call("one", "tell", NOTHING).unwrap().value
}

/// What a reload changed, where nothing is wrong.
#[track_caller]
fn changes(reload: &Reload) -> [Vec<&str>; 3] {
    assert_eq!(reload.problems, []);
    [&reload.added, &reload.changed, &reload.removed]
        .map(|names| names.iter().map(String::as_str).collect())
}

const NO_CHANGES: [Vec<&str>; 3] = [vec![], vec![], vec![]];

/// The codes of what is wrong, where nothing changed.
#[track_caller]
fn wrong(reload: &Reload) -> Vec<Code> {
    let changed = [&reload.added, &reload.changed, &reload.removed];
    assert!(changed.iter().all(|names| names.is_empty()), "{reload:?}");
    reload.problems.iter().map(|it| it.code()).collect()
}

#[test]
fn what_changed_is_swapped_in_for_all_who_hold_the_host() {
    let (plugins, host) = one("");
    let acme = host.clone().tenant("acme");
    let text = telling("one", "", "new").replace("1.0.0", "1.1.0");
    plugins.write("one.lua", text);
    assert_eq!(tell(&acme), "old");
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    let reply = acme.call::<_, String>("one", "tell", NOTHING).unwrap();
    assert_eq!((&*reply.value, &*reply.report.version), ("new", "1.1.0"));
    assert_eq!(host.plugin("one").unwrap().version.to_string(), "1.1.0");
}

#[test]
fn a_module_is_a_part_of_its_plugin() {
    let manifest = "name = 'one'\nversion = '1.0.0'\nentry = 'main.lua'\nexports = {tell = ''}";
    let plugins = Plugins::new([
        ("one/plugin.toml", manifest),
        ("one/main.lua", "function tell() return require('word') end"),
        ("one/word.lua", "return 'old'"),
    ]);
    let pool = common::builder().build().unwrap();
    let host = plugins.host(&pool, plain).unwrap();
    plugins.write("one/word.lua", "return 'new'");
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    assert_eq!(tell(&host.tenant("")), "new");
}

#[test]
fn what_is_as_it_was_is_neither_run_nor_ended() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let pool = common::builder()
        .function("loads", move |(): ()| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .build()
        .unwrap();
    let manifest = "instance = 'kept'\nexports = {add = ''}\nwants = {functions = ['loads']}";
    let lua = "loads() local sum = 0 function add(n) sum = sum + n return sum end";
    let plugins = Plugins::new([
        ("one.lua", one_file("one", manifest, lua)),
        ("other.lua", telling("other", "", "old")),
    ]);
    let host = plugins
        .host(&pool, |host| {
            keeping(host.grants(Grants::none().all_functions()))
        })
        .unwrap();
    let acme = host.tenant("acme");
    let add = || acme.call::<_, i64>("one", "add", &[1]).unwrap();
    let before = add();
    assert_eq!(loads.load(Ordering::Relaxed), 2);
    assert_eq!(changes(&host.reload()), NO_CHANGES);
    plugins.write("other.lua", telling("other", "", "new"));
    assert_eq!(changes(&host.reload()), [vec![], vec!["other"], vec![]]);
    let after = add();
    assert_eq!((after.value, after.report.replaces), (2, None));
    assert_eq!(after.report.run.store_id, before.report.run.store_id);
    assert_eq!(loads.load(Ordering::Relaxed), 2);
}

#[rstest]
#[case::no_manifest(b"function tell() end", Code::ManifestMissing)]
#[case::no_toml(b"--[[ plugin\nname = \n]]", Code::TomlParse)]
#[case::no_utf8(b"\xff", Code::FileUnreadable)]
#[case::too_much(telling("one", "wants = {clock = true}", "new"), Code::NotGranted)]
#[case::no_lua(telling("one", "", "new' '"), Code::LuaSyntax)]
#[case::fails(telling("one", "", "new") + "error('no')", Code::EntryFailed)]
#[case::no_export(telling("one", "", "new") + "tell = nil", Code::ExportMissing)]
#[case::another_name_and_bad(telling("two", "", "new") + "tell = nil", Code::ExportMissing)]
fn a_bad_file_leaves_the_old_one_and_says_why(#[case] text: impl AsRef<[u8]>, #[case] code: Code) {
    let (plugins, host) = one("");
    let acme = host.tenant("acme");
    plugins.write("one.lua", text);
    // As often as it is tried.
    for _ in 0..2 {
        let reload = host.reload();
        assert_eq!(wrong(&reload), [code]);
        assert!(reload.problems[0].file().ends_with("one.lua"));
        assert_eq!(tell(&acme), "old");
    }
    plugins.write("one.lua", telling("one", "", "new"));
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    assert_eq!(tell(&acme), "new");
}

#[test]
fn a_bad_file_stops_no_other_one() {
    let (plugins, host) = one("");
    plugins.write("one.lua", "not a plugin");
    plugins.write("two.lua", telling("two", "", "new"));
    let reload = host.reload();
    assert_eq!(
        (reload.added, reload.problems.len()),
        (vec!["two".to_owned()], 1)
    );
    assert_eq!(tell(&host.tenant("")), "old");
}

#[test]
fn plugins_come_and_go_and_change_their_names() {
    let (plugins, host) = one("");
    plugins.write("two.lua", telling("two", "", "new"));
    assert_eq!(changes(&host.reload()), [vec!["two"], vec![], vec![]]);
    fs::remove_file(plugins.path("one.lua")).unwrap();
    assert_eq!(changes(&host.reload()), [vec![], vec![], vec!["one"]]);
    let gone = host.tenant("").call::<_, String>("one", "tell", NOTHING);
    assert!(gone.unwrap_err().is_unknown());
    plugins.write("two.lua", telling("three", "", "new"));
    assert_eq!(
        changes(&host.reload()),
        [vec!["three"], vec![], vec!["two"]]
    );
    assert_eq!(host.plugins().len(), 1);
}

#[test]
fn where_the_folder_itself_is_gone_everything_stays() {
    let plugins = Plugins::new([("here/one.lua", telling("one", "", "old"))]);
    let (here, elsewhere) = (plugins.path("here"), plugins.path("elsewhere"));
    let pool = common::builder().build().unwrap();
    let host = PluginHost::builder(&pool).path(&here).load().unwrap();
    fs::rename(&here, &elsewhere).unwrap();
    assert_eq!(wrong(&host.reload()), [Code::FileUnreadable]);
    assert_eq!(tell(&host.tenant("")), "old");
    fs::rename(&elsewhere, &here).unwrap();
    assert_eq!(changes(&host.reload()), NO_CHANGES);
}

#[test]
fn no_newcomer_takes_a_name_that_is_taken() {
    let (plugins, host) = one("");
    // It is found before the one that was loaded.
    plugins.write("a.lua", telling("one", "", "new"));
    assert_eq!(wrong(&host.reload()), [Code::DuplicatePlugin]);
    assert_eq!(tell(&host.tenant("")), "old");
    // Not even while that one can't be read.
    plugins.write("one.lua", "");
    assert_eq!(
        wrong(&host.reload()),
        [Code::DuplicatePlugin, Code::ManifestMissing]
    );
    assert_eq!(tell(&host.tenant("")), "old");
    fs::remove_file(plugins.path("one.lua")).unwrap();
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    assert_eq!(tell(&host.tenant("")), "new");
}

#[test]
fn a_plugin_that_is_not_asked_for_is_none_of_its_business() {
    let plugins = Plugins::new([
        ("one.lua", telling("one", "", "old")),
        ("other.lua", telling("other", "wants = {clock = true}", "")),
        ("third.lua", "not a plugin".to_owned()),
    ]);
    let pool = common::builder().build().unwrap();
    let host = plugins.host(&pool, |host| host.only("one")).unwrap();
    let names = |host: &PluginHost| -> Vec<String> {
        host.plugins().iter().map(|it| it.name.clone()).collect()
    };
    assert_eq!(names(&host), ["one"]);
    assert_eq!(changes(&host.reload()), NO_CHANGES);
    // One that isn't there may be any that has no name.
    let problems = plugins.problems(&pool, |host| host.only("one").only("three"));
    assert_eq!(
        problems.lines().count(),
        4,
        "two problems and a hint for each: {problems}"
    );
    assert!(problems.contains("third.lua:1: error [MANIFEST_MISSING]"));
    assert!(problems.contains("error [PLUGIN_MISSING]: there is no plugin `three`"));
}

/// It goes by the name that it gives itself.
#[rstest]
#[case::misspelt_key(
    "--[[ plugin\nname = 'asked'\nversoin = '1.0.0'\n[exports]\nf = ''\n]]\n",
    "UNKNOWN_KEY"
)]
#[case::no_toml("--[[ plugin\nname = 'asked'\n[exports\n]]\n", "TOML_PARSE")]
fn a_plugin_that_is_asked_for_and_broken_is_spoken_of_alone(
    #[case] text: &str,
    #[case] code: &str,
) {
    let plugins = Plugins::new([
        ("a.lua", text.to_owned()),
        ("other.lua", "not a plugin".to_owned()),
    ]);
    let pool = common::builder().build().unwrap();
    let problems = plugins.problems(&pool, |host| host.only("asked"));
    let lines = problems.lines().filter(|line| !line.starts_with("  hint"));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 1, "{problems}");
    assert!(lines[0].starts_with("a.lua:"), "{problems}");
    assert!(lines[0].contains(&format!("error [{code}]")), "{problems}");
}

/// A host whose plugin `one` asks its host function `pause`, which waits here until it is let go.
struct Paused {
    plugins: Plugins,
    host: PluginHost,
    reached: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

fn paused(instance: &str, what: &str) -> String {
    let manifest = format!(
        "instance = '{instance}'\nexports = {{tell = '', quick = ''}}\nwants = {{functions = ['pause']}}"
    );
    let lua = format!(
        "function tell() pause() return '{what}' end\nfunction quick() return '{what}' end"
    );
    one_file("one", &manifest, &lua)
}

impl Paused {
    fn new(instance: &str) -> Paused {
        let (at, reached) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let (at, may_go) = (Mutex::new(at), Mutex::new(may_go));
        let pool: Pool = common::builder()
            .function("pause", move |(): ()| {
                at.lock().unwrap().send(()).unwrap();
                Ok(may_go.lock().unwrap().recv()?)
            })
            .build()
            .unwrap();
        let plugins = Plugins::new([("one.lua", paused(instance, "old"))]);
        let host = plugins
            .host(&pool, |host| {
                keeping(host.grants(Grants::none().all_functions()))
            })
            .unwrap();
        Paused {
            plugins,
            host,
            reached,
            go,
        }
    }
}

#[rstest]
#[case::fresh("fresh")]
#[case::kept("kept")]
fn a_call_under_way_ends_on_the_old_one(#[case] instance: &str) {
    let Paused {
        plugins,
        host,
        reached,
        go,
    } = Paused::new(instance);
    let acme = host.tenant("acme");
    let call = {
        let acme = acme.clone();
        thread::spawn(move || acme.call::<_, String>("one", "tell", NOTHING).unwrap())
    };
    reached.recv().unwrap();
    plugins.write("one.lua", paused(instance, "new"));
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    // Another tenant needn't wait for it.
    let other = host
        .tenant("zenith")
        .call::<_, String>("one", "quick", NOTHING);
    assert_eq!(other.unwrap().value, "new");
    go.send(()).unwrap();
    let old = call.join().unwrap();
    assert_eq!(old.value, "old");
    let new = acme.call::<_, String>("one", "quick", NOTHING).unwrap();
    assert_eq!(new.value, "new");
    let lost = (instance == "kept").then_some(old.report.run.store_id);
    assert_eq!(new.report.replaces, lost);
    // Nothing of the old one is kept any more.
    assert_eq!(host.kept_count(), if instance == "kept" { 2 } else { 0 });
}

/// Starts a call that waits for its turn behind one that is paused.
fn waiting(paused: &Paused) -> thread::JoinHandle<Result<String, CallErrorKindName>> {
    let first = paused.host.tenant("acme");
    thread::spawn(move || first.call::<_, String>("one", "tell", NOTHING));
    paused.reached.recv().unwrap();
    let second = paused.host.tenant("acme");
    let (begins, begun) = mpsc::channel();
    let call = thread::spawn(move || {
        begins.send(()).unwrap();
        let reply = second.call::<_, String>("one", "quick", NOTHING);
        reply
            .map(|reply| reply.value)
            .map_err(|error| match error.kind() {
                CallErrorKind::UnknownPlugin { .. } => "UnknownPlugin",
                CallErrorKind::UnknownExport { .. } => "UnknownExport",
                _ => "another",
            })
    });
    begun.recv().unwrap();
    call
}

type CallErrorKindName = &'static str;

#[test]
fn a_call_that_waits_is_a_call_of_the_new_one() {
    let without_quick = paused("kept", "new")
        .replace(", quick = ''", "")
        .replace("function quick()", "local function quick()");
    for (text, expected) in [
        (Some(paused("kept", "new")), Ok("new")),
        (Some(paused("fresh", "new")), Ok("new")),
        (Some(without_quick), Err("UnknownExport")),
        (None, Err("UnknownPlugin")),
    ] {
        let paused = Paused::new("kept");
        let call = waiting(&paused);
        match &text {
            Some(text) => paused.plugins.write("one.lua", text),
            None => fs::remove_file(paused.plugins.path("one.lua")).unwrap(),
        }
        assert_eq!(paused.host.reload().problems, []);
        paused.go.send(()).unwrap();
        let told = call.join().unwrap();
        assert_eq!(told.as_deref().map_err(|it| *it), expected, "{text:?}");
    }
}

#[test]
fn what_an_old_one_kept_ends_at_once_and_its_tenant_is_told_once() {
    let (plugins, host) = one("instance = 'kept'");
    let (acme, zenith) = (host.tenant("acme"), host.tenant("zenith"));
    let call = |tenant: &Tenant| tenant.call::<_, String>("one", "tell", NOTHING).unwrap();
    let before = call(&acme).report.run.store_id;
    call(&zenith);
    plugins.write("one.lua", telling("one", "instance = 'kept'", "new"));
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    assert_eq!(host.kept_count(), 0);
    let after = call(&acme);
    assert_eq!(
        (&*after.value, after.report.replaces),
        ("new", Some(before))
    );
    assert_eq!(call(&acme).report.replaces, None);
    assert_eq!(host.kept_count(), 1);

    // Who keeps nothing any more has nothing to replace.
    plugins.write("one.lua", telling("one", "", "newest"));
    assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
    assert_eq!(host.kept_count(), 0);
    let after = call(&acme);
    assert_eq!((&*after.value, after.report.replaces), ("newest", None));
}

/// The version of the entry, of a module, and of the manifest.
fn versioned(version: usize) -> [(&'static str, String); 3] {
    [
        (
            "one/plugin.toml",
            format!(
                "name = 'one'\nversion = '{version}.0.0'\nentry = 'main.lua'\ninstance = 'kept'\n\
                 exports = {{both = ''}}"
            ),
        ),
        (
            "one/main.lua",
            format!("function both() return {{{version}, require('part')}} end"),
        ),
        ("one/part.lua", format!("return {version}")),
    ]
}

/// Whether there is nothing more to come.
#[derive(Default)]
struct Over(AtomicBool);

/// Says so when it is dropped, also by a panic: nobody would wait for a thread that never ends.
struct Ends<'o>(&'o Over);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Release);
    }
}

#[test]
fn calls_from_many_threads_never_see_half_a_plugin_nor_an_old_one_after_a_new_one() {
    const VERSIONS: usize = 12;
    let plugins = Plugins::new(versioned(1));
    let pool = common::builder().max_branches(8).build().unwrap();
    let host = plugins.host(&pool, keeping).unwrap();
    let loaded = AtomicUsize::new(1);
    let over = Over::default();
    let seen: Vec<usize> = thread::scope(|scope| {
        let calls = ["acme", "acme", "zenith"].map(|name| {
            let (tenant, loaded, over) = (host.tenant(name), &loaded, &over);
            scope.spawn(move || {
                let mut seen = 0;
                while !over.0.load(Ordering::Acquire) {
                    let least = loaded.load(Ordering::Acquire);
                    let reply = tenant
                        .call::<_, [usize; 2]>("one", "both", NOTHING)
                        .unwrap();
                    let [entry, part] = reply.value;
                    assert_eq!(entry, part);
                    assert_eq!(reply.report.version, format!("{entry}.0.0"));
                    assert!(entry >= least, "{entry}, when {least} was loaded");
                    seen = seen.max(entry);
                }
                seen
            })
        });
        let ends = Ends(&over);
        for version in 2..=VERSIONS {
            for (path, text) in versioned(version) {
                plugins.write(path, text);
            }
            assert_eq!(changes(&host.reload()), [vec![], vec!["one"], vec![]]);
            loaded.store(version, Ordering::Release);
        }
        for tenant in ["acme", "zenith"] {
            let last = host
                .tenant(tenant)
                .call::<_, [usize; 2]>("one", "both", NOTHING);
            assert_eq!(last.unwrap().value, [VERSIONS; 2]);
        }
        drop(ends);
        calls.map(|call| call.join().unwrap()).into()
    });
    assert!(seen.iter().all(|seen| *seen > 0), "{seen:?}");
    assert_eq!(host.kept_count(), 2);
}
