//! The example plugins. `tests/cli/readme.rs` runs the program that calls them.

use moonfork::Grants;
use moonfork::plugin::PluginHost;
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

fn host() -> PluginHost {
    let pool = common::builder()
        .function("list_price", |(sku,): (String,)| {
            sku.parse::<i64>()
                .map_err(|_| format!("no article {sku}").into())
        })
        .build()
        .unwrap();
    PluginHost::builder(&pool)
        .path(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/plugins"))
        .grants(
            Grants::none()
                .function("list_price")
                .variable("currency", "EUR"),
        )
        .max_kept(4)
        .load()
        .unwrap()
}

#[rstest]
#[case::common(
    r#"h - - [t] "GET /a?b=c HTTP/1.1" 200 12"#,
    json!({"host": "h", "time": "t", "method": "GET", "path": "/a", "status": 200, "bytes": 12})
)]
#[case::combined(
    r#"h - ada [t] "POST / HTTP/2" 503 - "http://r/" "agent 1 (x)""#,
    json!({
        "host": "h", "user": "ada", "time": "t", "method": "POST", "path": "/", "status": 503,
        "bytes": 0, "referer": "http://r/", "agent": "agent 1 (x)",
    })
)]
#[case::nothing_said_of_the_client(
    r#"h - - [t] "GET / HTTP/1.1" 200 1 "-" "-""#,
    json!({"host": "h", "time": "t", "method": "GET", "path": "/", "status": 200, "bytes": 1})
)]
#[case::no_line("GET / HTTP/1.1", Value::Null)]
#[case::no_status(r#"h - - [t] "GET / HTTP/1.1" OK 12"#, Value::Null)]
#[case::empty("", Value::Null)]
fn the_log_parser_reads_lines(#[case] line: &str, #[case] expected: Value) {
    let reply = host()
        .tenant("t")
        .call::<_, Value>("log-parser", "parse", &[line]);
    assert_eq!(reply.unwrap().value, expected);
}

#[test]
fn a_hostile_line_ends_the_call_and_nothing_else() {
    let host = host();
    let tenant = host.tenant("t");
    // Backtracking in a pattern, inside of a C function.
    let line = format!("{} [", "a ".repeat(20_000));
    match tenant.call::<_, Value>("log-parser", "parse", &[&line]) {
        Ok(reply) => assert_eq!(reply.value, Value::Null),
        Err(error) => assert!(error.run_error().unwrap().is_limit(), "{error}"),
    }
    let summary = tenant
        .call::<_, Value>("log-parser", "summary", &[["", ""]])
        .unwrap();
    assert_eq!(
        summary.value,
        json!({"requests": 0, "unreadable": 2, "bytes": 0, "statuses": {}})
    );
}

#[test]
fn the_pricing_rule_remembers_for_each_tenant_what_was_ordered() {
    let host = host();
    let quote = |tenant: &str, count: i64| {
        let order = json!({"lines": [{"sku": "10", "count": count}]});
        let reply = host
            .tenant(tenant)
            .call::<_, Value>("pricing", "quote", &[order]);
        reply.map(|reply| (reply.value["percent"].clone(), reply.value["total"].clone()))
    };
    assert_eq!(quote("a", 4).unwrap(), (json!(0), json!(40)));
    assert_eq!(quote("a", 1).unwrap(), (json!(3), json!(10)));
    assert_eq!(quote("b", 1).unwrap(), (json!(0), json!(10)));
    // What is refused doesn't count as ordered.
    let error = quote("b", -50).unwrap_err();
    assert!(
        error.to_string().contains("line 1: the count must be"),
        "{error}"
    );
    assert_eq!(quote("b", 3).unwrap(), (json!(0), json!(30)));
    assert_eq!(quote("b", 96).unwrap(), (json!(15), json!(816)));
}
