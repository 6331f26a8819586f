//! Fresh calls of plugins: those that begin with what their entry has left, beside those that run it again; and those
//! of compiled plugins, beside interpreted ones.

use std::fs;
use std::path::{Path, PathBuf};

use moonfork::Pool;
use moonfork::plugin::{PluginHost, Tenant};
use serde_json::{Value, json};

use crate::Result;
use crate::measure::once;
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

/// Calls of plugins whose Lua is translated.
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
        let name = format!("fresh call of a compiled plugin with {what}, for interpreting it");
        if !table.wants(&name) {
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
        assert_eq!(call(&compiled)?.value, call(&interpreted)?.value);
        table.time(
            &name,
            Goal::None,
            &mut once(|| call(&compiled)),
            &mut once(|| call(&interpreted)),
        )?;
    }
    Ok(())
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
