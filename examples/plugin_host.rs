//! A program that lets strangers' Lua read its logs and price its orders:
//! `cargo run --example plugin_host`.
//!
//! The two plugins are in `examples/plugins/`. One is a folder and runs in a fresh instance for
//! each call; the other is a single file, asks for a host function, and keeps an instance for
//! each tenant. Two tenants call them at the same time.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::thread;

use moonfork::plugin::{PluginHost, Tenant};
use moonfork::{Grants, Pool};
use serde::{Deserialize, Serialize};

/// What the log parser tells of a line.
#[derive(Debug, Deserialize)]
struct Request {
    host: String,
    method: String,
    path: String,
    status: u16,
}

/// What the log parser tells of many lines.
#[derive(Debug, Deserialize)]
struct Summary {
    requests: u64,
    unreadable: u64,
    bytes: u64,
    statuses: BTreeMap<String, u64>,
    most_wanted: Option<String>,
}

/// What the pricing rule gets.
#[derive(Debug, Serialize)]
struct Order {
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    sku: &'static str,
    count: i64,
}

/// What the pricing rule gives.
#[derive(Debug, Deserialize)]
struct Quote {
    currency: String,
    list: i64,
    percent: i64,
    total: i64,
}

const LOG: [&str; 4] = [
    r#"198.51.100.7 - ada [12/Mar/2024:10:15:32 +0000] "GET /shop?page=2 HTTP/1.1" 200 5120"#,
    r#"203.0.113.9 - - [12/Mar/2024:10:15:33 +0000] "POST /cart HTTP/1.1" 503 312 "-" "curl/8.5""#,
    r#"198.51.100.7 - ada [12/Mar/2024:10:15:35 +0000] "GET /shop HTTP/1.1" 304 -"#,
    "this is no access log's line",
];

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", tale()?);
    Ok(())
}

/// What happens, as text.
pub(crate) fn tale() -> Result<String, Box<dyn Error>> {
    let mut tale = String::new();
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plugins");
    let pool = Pool::builder()
        .function("list_price", |(sku,): (String,)| match sku.as_str() {
            "bolt" => Ok(25),
            "gear" => Ok(1999),
            _ => Err(format!("there is no article '{sku}'").into()),
        })
        .build()?;

    // A host that grants nothing says what would be too much, and which line asks for it.
    let refusal = PluginHost::builder(&pool)
        .path(&plugins)
        .load()
        .expect_err("pricing wants something");
    writeln!(tale, "A host that grants nothing refuses:")?;
    for problem in refusal.problems() {
        let line = problem.place().map_or(0, |place| place.line);
        writeln!(tale, "  line {line}: {}", problem.message())?;
    }

    let host = PluginHost::builder(&pool)
        .path(&plugins)
        .grants(
            Grants::none()
                .function("list_price")
                .variable("currency", "EUR"),
        )
        .max_kept(2)
        .load()?;
    writeln!(tale, "\nThis one grants what they want, and loads:")?;
    for plugin in host.plugins() {
        let exports: Vec<_> = plugin.exports.keys().map(String::as_str).collect();
        let (name, version) = (&plugin.name, &plugin.version);
        writeln!(tale, "  {name} {version}: {}", exports.join(", "))?;
    }

    // Threads end in any order; what they have to tell is told in one.
    let served = thread::scope(|scope| {
        let tenants = ["acme", "zenith"].map(|name| host.tenant(name));
        tenants
            .map(|tenant| scope.spawn(move || serve(&tenant).map_err(|error| error.to_string())))
            .map(|thread| thread.join().expect("nothing panics"))
    });
    for served in served {
        writeln!(tale, "\n{}", served?)?;
    }
    Ok(tale)
}

/// What is done for one tenant, as text.
fn serve(tenant: &Tenant) -> Result<String, Box<dyn Error>> {
    let mut tale = vec![format!("{}:", tenant.name())];

    let first = tenant
        .call::<_, Request>("log-parser", "parse", &[LOG[0]])?
        .value;
    let Request {
        host,
        method,
        path,
        status,
    } = first;
    tale.push(format!("  {host} wanted to {method} {path}: {status}"));
    let summary = tenant
        .call::<_, Summary>("log-parser", "summary", &[LOG])?
        .value;
    tale.push(format!(
        "  {} requests ({} more lines are none), {} bytes, {:?}, most of all {}",
        summary.requests,
        summary.unreadable,
        summary.bytes,
        summary.statuses,
        summary.most_wanted.as_deref().unwrap_or("nothing"),
    ));

    // Acme orders three times, so that its own orders, and nobody else's, make it cheaper.
    let times = if tenant.name() == "acme" { 3 } else { 1 };
    for _ in 0..times {
        let lines = vec![
            Line {
                sku: "gear",
                count: 2,
            },
            Line {
                sku: "bolt",
                count: 8,
            },
        ];
        let quote = tenant.call::<_, Quote>("pricing", "quote", &[Order { lines }])?;
        let Quote {
            currency,
            list,
            percent,
            total,
        } = quote.value;
        tale.push(format!(
            "  10 pieces for {total} instead of {list} cents {currency} ({percent} % less), \
             list_price was asked {} times",
            quote.report.run.host_calls["list_price"],
        ));
    }

    let lines = vec![Line {
        sku: "grommet",
        count: 1,
    }];
    let error = tenant
        .call::<_, Quote>("pricing", "quote", &[Order { lines }])
        .unwrap_err();
    tale.push(format!("  {error}"));
    Ok(tale.join("\n"))
}
