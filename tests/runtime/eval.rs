//! Evaluating, calling, and globals, with serde types at both ends.

use std::collections::BTreeMap;

use moonfork::Chunk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common::pool;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    price: f64,
    tags: Vec<String>,
    note: Option<String>,
    kind: Kind,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Plain,
    Gift { from: String },
}

fn order() -> Order {
    Order {
        id: 7,
        price: 5.0,
        tags: vec![],
        note: None,
        kind: Kind::Gift { from: "Ada".into() },
    }
}

#[test]
fn a_chunk_returns_what_it_returns_and_an_expression_its_value() {
    let mut branch = pool().branch().unwrap();
    assert_eq!(branch.eval::<i64>("return 1 + 1").unwrap(), 2);
    assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
    assert_eq!(branch.eval::<Value>("local x = 1").unwrap(), Value::Null);
}

#[test]
fn state_is_visible_and_comes_back_as_it_was() {
    let mut branch = pool().branch().unwrap();
    let back: Order = branch.eval_with("return state", &order()).unwrap();
    assert_eq!(back, order());
    let unit: Kind = branch.eval_with("state", &Kind::Plain).unwrap();
    assert_eq!(unit, Kind::Plain);
}

#[test]
fn functions_are_called_with_any_number_of_values() {
    let mut branch = pool().branch().unwrap();
    branch
        .eval::<()>("shop = {total = function(n, each) return n * (each or 1) end}")
        .unwrap();
    assert_eq!(branch.call::<_, f64>("shop.total", &(3, 2.5)).unwrap(), 7.5);
    assert_eq!(branch.call::<_, i64>("shop.total", &[3]).unwrap(), 3);
    let lengths = branch.call::<_, BTreeMap<String, usize>>("pcall", &());
    assert!(lengths.unwrap_err().is_script());
}

#[test]
fn globals_are_set_and_read() {
    let mut branch = pool().branch().unwrap();
    branch.set_global("order", &order()).unwrap();
    assert_eq!(branch.global::<Order>("order").unwrap(), order());
    assert_eq!(
        branch.eval::<String>("order.kind.gift.from").unwrap(),
        "Ada"
    );
    branch.set_global("order", &()).unwrap();
    assert_eq!(branch.global::<Option<Order>>("order").unwrap(), None);
}

#[test]
fn a_result_of_another_type_is_a_mismatch() {
    let mut branch = pool().branch().unwrap();
    let error = branch.eval::<i64>("'text'").unwrap_err();
    assert!(error.is_mismatch());
    assert_eq!(
        error.to_string(),
        "result: invalid type: string \"text\", expected i64"
    );
    let error = branch
        .eval::<BTreeMap<String, Vec<i64>>>("{a = {1, 2, true}}")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "result.a[3]: invalid type: boolean `true`, expected i64"
    );
}

#[test]
fn errors_say_chunk_and_line() {
    let mut branch = pool().branch().unwrap();
    let code = Chunk::body("local a = 1\nerror('boom')").named("node 'fetch'");
    let error = branch.eval::<()>(code).unwrap_err();
    assert_eq!(error.to_string(), "node 'fetch':2: boom");
    assert!(error.traceback().unwrap().contains("node 'fetch':2"));
    let error = branch
        .eval::<()>(Chunk::body("x = = 1").named("a.lua"))
        .unwrap_err();
    assert!(error.is_syntax());
    assert_eq!(error.to_string(), "a.lua:1: unexpected symbol near '='");
}

#[test]
fn a_chunk_may_have_any_name() {
    let mut branch = pool().branch().unwrap();
    let mut message = |name: &str| {
        let error = branch
            .eval::<()>(Chunk::body("error('x')").named(name))
            .unwrap_err();
        assert!(error.is_script());
        error.to_string()
    };
    assert_eq!(message("a\0b\nc"), "a b c:1: x");
    assert_eq!(
        message(&"ü".repeat(100)),
        format!("{}:1: x", "ü".repeat(29))
    );
    assert_eq!(message(""), ":1: x");
}

#[test]
fn an_error_of_the_script_leaves_the_instance_as_it_was() {
    let mut branch = pool().branch().unwrap();
    let id = branch.store_id();
    branch.eval::<()>("x = 1; error('boom')").unwrap_err();
    assert_eq!(branch.eval::<i64>("x").unwrap(), 1);
    assert_eq!(branch.store_id(), id);
}

#[test]
fn what_is_printed_is_captured() {
    let mut branch = pool().branch().unwrap();
    branch.eval::<()>("print('one', 1) print()").unwrap();
    assert_eq!(branch.take_output().text(), "one\t1\n\n");
    assert!(branch.take_output().is_empty());
}

#[test]
fn every_instance_draws_its_own_random_numbers() {
    let draw = |mut branch: moonfork::Branch| branch.eval::<i64>("math.random(0)").unwrap();
    let pool = pool();
    assert_ne!(draw(pool.branch().unwrap()), draw(pool.branch().unwrap()));
}

#[test]
fn a_large_value_passes_both_ways() {
    let rows: Vec<Value> = (0..20_000)
        .map(|i| json!({"id": i, "name": format!("row {i}"), "on": i % 2 == 0}))
        .collect();
    let mut branch = pool().branch().unwrap();
    let back: Vec<Value> = branch.eval_with("state", &rows).unwrap();
    assert!(back == rows);
}

#[test]
fn a_value_nested_without_measure_is_refused_and_overruns_no_stack() {
    let deep = (0..10_000).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let mut branch = pool().branch().unwrap();
    let error = branch.eval_with::<_, Value>("state", &deep).unwrap_err();
    assert!(error.is_argument(), "{error}");
    assert!(error.to_string().contains("nested too deeply"), "{error}");
    // Taking it apart again is recursion too.
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || drop(deep))
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn keys_that_are_numbers_are_read_as_from_json() {
    let mut branch = pool().branch().unwrap();
    let map = BTreeMap::from([(1, "a".to_owned()), (-2, "b".to_owned())]);
    assert_eq!(
        branch
            .eval_with::<_, BTreeMap<i32, String>>("state", &map)
            .unwrap(),
        map
    );
}
