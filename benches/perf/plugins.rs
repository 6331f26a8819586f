//! Fresh calls of plugins: those that begin with what their entry has left, beside those that run it again; and those
//! of compiled plugins, beside interpreted ones.

use std::fs;
use std::path::{Path, PathBuf};

use moonfork::Pool;
use moonfork::plugin::{PluginHost, Tenant};
use serde_json::{Value, json};

use crate::Result;
use crate::measure::{Pair, median, once};
use crate::scaling::seconds;
use crate::table::{Goal, Table};

/// A Markdown renderer and a template engine, with all that these need: 3,900 lines.
const LARGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/plugins/pages");

/// A small one.
const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plugins/log-parser");

const LINE: &str =
    r#"198.51.100.7 - - [10/Oct/2025:13:55:36 +0000] "GET /index.html HTTP/1.1" 200 2326"#;

const TEXT: &str =
    "# A *title*\n\nSome `code`, a [link](https://example.org) &amp; **words**.\n\n- one\n- two\n";

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let page =
        json!(["<h1>{{ name|title }}</h1>{{ text|markdown }}", {"name": "a page", "text": TEXT}]);
    let line = json!([LINE]);
    for (name, source, plugin, export, args) in [
        ("3,900 lines", LARGE, "pages", "page", page),
        ("70 lines", SMALL, "log-parser", "parse", line),
    ] {
        let name = format!("fresh call of a plugin of {name}, for running its entry again");
        if !table.wants(&name) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        // With a seed, the entry is run in each instance.
        let seeded = copy_with_seed(Path::new(source), folder.path())?;
        let pool = Pool::builder().build()?;
        let tenant = |path: &Path| {
            let host = PluginHost::builder(&pool).path(path).load()?;
            Ok::<_, Box<dyn std::error::Error>>(host.tenant("acme"))
        };
        let tenants = [tenant(Path::new(source))?, tenant(&seeded)?];
        let call = |tenant: &Tenant| tenant.call::<_, Value>(plugin, export, &args);
        let replies = [call(&tenants[0])?, call(&tenants[1])?];
        assert_eq!(replies[0].value, replies[1].value);
        let begins = replies.map(|reply| reply.report.run.origin.snapshot_sha256.is_some());
        assert_eq!(begins, [true, false], "one begins with what its entry left");
        table.time(
            &name,
            Goal::None,
            &mut once(|| call(&tenants[0])),
            &mut once(|| call(&tenants[1])),
        )?;
    }
    compiled(table)
}

/// Calls of plugins whose Lua is translated: one after the other, and by as many workers as can make them.
fn compiled(table: &mut Table) -> Result<()> {
    let long = TEXT.repeat(200);
    for (what, source, plugin, export, args) in [
        ("a line", SMALL, "log-parser", "parse", json!([LINE])),
        (
            "80 bytes of Markdown",
            LARGE,
            "pages",
            "markdown",
            json!([TEXT]),
        ),
        (
            "16 KB of Markdown",
            LARGE,
            "pages",
            "markdown",
            json!([long]),
        ),
    ] {
        let alone = format!("fresh call of a compiled plugin with {what}, for interpreting it");
        let under_load = [1, 2].map(|workers| {
            (
                workers,
                format!(
                    "calls a second with {what}, compiled for interpreted, {workers} worker(s)"
                ),
            )
        });
        if ![&alone, &under_load[0].1, &under_load[1].1]
            .iter()
            .any(|name| table.wants(name))
        {
            continue;
        }
        let pool = Pool::builder().build()?;
        let host = PluginHost::builder(&pool).path(source);
        let compiled = host.compile(plugin).load()?.tenant("acme");
        let interpreted = PluginHost::builder(&Pool::builder().build()?)
            .path(source)
            .load()?;
        let interpreted = interpreted.tenant("acme");
        assert!(!pool.compiled_lua().is_empty(), "nothing was compiled");
        let call = |tenant: &Tenant| tenant.call::<_, Value>(plugin, export, &args);
        let expected = call(&interpreted)?.value;
        assert_eq!(call(&compiled)?.value, expected);
        table.time(
            &alone,
            Goal::None,
            &mut once(|| call(&compiled)),
            &mut once(|| call(&interpreted)),
        )?;
        for (workers, name) in under_load {
            let made = |tenant: &Tenant| {
                let reply = call(tenant).expect("a plugin answers");
                assert_eq!(reply.value, expected);
            };
            calls_a_second(table, &name, workers, &|| made(&compiled), &|| {
                made(&interpreted)
            });
        }
    }
    Ok(())
}

/// Adds a row of how many calls `workers` threads get through in a second, of either kind.
fn calls_a_second(
    table: &mut Table,
    name: &str,
    workers: u32,
    compiled: &(dyn Fn() + Sync),
    interpreted: &(dyn Fn() + Sync),
) {
    /// Seconds that a measurement takes, about.
    const SLICE: f64 = 0.2;
    /// Measurements at the most.
    const MAX_ROUNDS: usize = 9;

    if !table.wants(name) {
        return;
    }
    // As many as are made in that time by one, the first to warm up.
    seconds(1, 10, interpreted);
    let one = seconds(1, 10, interpreted) / 10.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some thousands"
    )]
    let calls = ((SLICE / one) as u32).max(1) * workers;
    let (mut ours, mut theirs, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..table.effort().rounds.min(MAX_ROUNDS) {
        let rates =
            [compiled, interpreted].map(|call| f64::from(calls) / seconds(workers, calls, call));
        ours.push(rates[0]);
        theirs.push(rates[1]);
        ratios.push(rates[0] / rates[1]);
    }
    let pair = Pair {
        ours: median(ours),
        native: median(theirs),
        ratio: median(ratios),
    };
    table.add(name, Goal::None, pair, "1/s");
}

/// A copy of a plugin's folder, whose manifest wants a seed.
fn copy_with_seed(plugin: &Path, into: &Path) -> Result<PathBuf> {
    let name = plugin.file_name().ok_or("a plugin has a name")?;
    let copy = into.join(name);
    fs::create_dir(&copy)?;
    for entry in fs::read_dir(plugin)? {
        let entry = entry?;
        fs::copy(entry.path(), copy.join(entry.file_name()))?;
    }
    let manifest = copy.join("plugin.toml");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text + "\n[wants]\nseed = 1\n")?;
    Ok(copy)
}
