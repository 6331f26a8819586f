//! The arguments of a host function: a tuple, one type, or none.

use std::collections::BTreeMap;

use moonfork::{Grants, HostError, Pool};
use rstest::rstest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common;

#[derive(Deserialize)]
struct Named {
    name: String,
    size: Option<i64>,
}

/// One function for each way of taking arguments; each gives back what it got.
fn pool() -> Pool {
    common::builder()
        .function("none", |()| Ok("none"))
        .function("text", |text: String| Ok(text))
        .function("whole", |number: i64| Ok(number))
        .function("maybe", |number: Option<i64>| Ok(number))
        .function("list", |items: Vec<i64>| Ok(items))
        .function("map", |entries: BTreeMap<String, i64>| Ok(entries))
        .function("named", |Named { name, size }| Ok((name, size)))
        .function("any", |value: Value| Ok(value))
        .function("pair", |(a, b): (String, i64)| Ok((a, b)))
        .function("optional", |(a, b): (i64, Option<i64>)| Ok((a, b)))
        .grants(Grants::none().all_functions())
        .build()
        .unwrap()
}

#[rstest]
#[case::none("none()", json!("none"))]
#[case::text("text('a')", json!("a"))]
#[case::whole("whole(7)", json!(7))]
#[case::float("whole(7.0)", json!(7))]
#[case::some("maybe(7)", json!(7))]
#[case::nil("maybe(nil)", json!(null))]
#[case::nothing("maybe()", json!(null))]
#[case::a_list("list({1, 2})", json!([1, 2]))]
#[case::a_list_of_arguments("list(1, 2)", json!([1, 2]))]
#[case::an_empty_list("list({})", json!([]))]
#[case::no_arguments_for_a_list("list()", json!([]))]
#[case::a_map("map({x = 1})", json!({"x": 1}))]
#[case::an_empty_map("map({})", json!({}))]
#[case::named("named({name = 'n', size = 2})", json!(["n", 2]))]
#[case::by_place("named('n', 2)", json!(["n", 2]))]
#[case::any_type_gets_the_list("any(1, 'a')", json!([1, "a"]))]
#[case::pair("pair('a', 1)", json!(["a", 1]))]
#[case::left_out("optional(1)", json!([1, null]))]
#[case::given("optional(1, 2)", json!([1, 2]))]
fn taken(#[case] call: &str, #[case] expected: Value) {
    let mut branch = pool().branch().unwrap();
    assert_eq!(branch.eval::<Value>(call).unwrap(), expected);
}

#[rstest]
#[case::another_type(
    "text(5)",
    "text: args[1]: invalid type: integer `5`, expected a string"
)]
#[case::none_for_one("text()", "text: args[1]: invalid type: unit value, expected a string")]
#[case::two_for_one("whole(1, 2)", "whole: args: invalid type: sequence, expected i64")]
#[case::one_for_none("none(1)", "none: args[1]: invalid type: integer `1`, expected unit")]
#[case::inside_of_one(
    "map({x = 'a'})",
    "map: args[1].x: invalid type: string \"a\", expected i64"
)]
#[case::in_a_tuple(
    "pair('a', 'b')",
    "pair: args[2]: invalid type: string \"b\", expected i64"
)]
#[case::left_out("pair('a')", "pair: args[2]: invalid type: unit value, expected i64")]
#[case::too_many("optional(1, 2, 3)", "optional: args: invalid length 3")]
fn refused(#[case] call: &str, #[case] message: &str) {
    let mut branch = pool().branch().unwrap();
    let error = branch.eval::<Value>(call).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_function_may_fail_with_whatever_can_be_shown() {
    let pool = common::builder()
        .function("parse", |text: String| Ok(text.parse::<i64>()?))
        .function("text", |()| -> Result<(), _> { Err("a text".into()) })
        .function("chain", |()| -> Result<(), HostError> {
            Err(anyhow::anyhow!("the cause").context("what failed").into())
        })
        .grants(Grants::none().all_functions())
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    assert_eq!(branch.eval::<i64>("parse('12')").unwrap(), 12);
    for (call, message) in [
        ("parse('x')", "parse: invalid digit found in string"),
        ("text()", "text: a text"),
        ("chain()", "chain: what failed: the cause"),
    ] {
        let error = branch.eval::<i64>(call).unwrap_err();
        assert!(error.is_script(), "{error}");
        assert!(error.to_string().ends_with(message), "{error}");
    }
}
