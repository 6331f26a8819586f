//! Values that serde types and Lua hold in different ways, and those that one of them can't hold.

use std::collections::BTreeMap;

use rstest::rstest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common;

fn eval<T: DeserializeOwned>(code: &str) -> moonfork::Result<T> {
    common::pool().branch().unwrap().eval(code)
}

/// What a value of Rust's is when it has been through Lua.
fn through<T: Serialize + DeserializeOwned>(value: &T) -> moonfork::Result<T> {
    let mut branch = common::pool().branch().unwrap();
    branch.eval_with("return state", value)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    count: u8,
    items: Vec<Item>,
    note: Option<i32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item(i64);

#[test]
fn a_float_with_an_integer_s_value_passes_for_one() {
    assert_eq!(eval::<i64>("return 10 / 2").unwrap(), 5);
    assert_eq!(eval::<u8>("return 2 ^ 7").unwrap(), 128);
    assert_eq!(eval::<i64>("return -2.0 ^ 63").unwrap(), i64::MIN);
    assert_eq!(eval::<Vec<u16>>("return {4 / 2, 3}").unwrap(), [2, 3]);
    let order: Order = eval("return {count = 6 / 3, items = {8 / 2}, note = -1.0}").unwrap();
    assert_eq!(
        (order.count, order.items, order.note),
        (2, vec![Item(4)], Some(-1))
    );
    // Where any number will do it stays what it is.
    assert_eq!(eval::<Value>("return 10 / 2").unwrap(), json!(5.0));
    assert_eq!(eval::<f64>("return 5").unwrap(), 5.0);
}

#[rstest]
#[case::a_fraction(
    "return 5.5",
    "result: invalid type: floating point `5.5`, expected i64"
)]
#[case::too_large("return 2.0 ^ 63", "result: invalid type: floating point")]
#[case::a_text("return '5'", "result: invalid type: string \"5\", expected i64")]
fn another_number_does_not(#[case] code: &str, #[case] message: &str) {
    let error = eval::<i64>(code).unwrap_err();
    assert!(error.is_mismatch(), "{error}");
    assert!(error.to_string().starts_with(message), "{error}");
}

#[test]
fn an_integer_that_the_type_has_no_room_for_is_an_error() {
    let error = eval::<u8>("return 512 / 2").unwrap_err();
    assert!(error.is_mismatch(), "{error}");
    assert!(error.to_string().contains("256"), "{error}");
}

#[test]
fn an_empty_table_is_an_empty_sequence_where_one_is_asked_for() {
    assert_eq!(
        eval::<Vec<String>>("return {}").unwrap(),
        Vec::<String>::new()
    );
    let order: Order = eval("return {count = 1, items = {}}").unwrap();
    assert_eq!(order.items, []);
    let lists: BTreeMap<String, Vec<i64>> = eval("return {a = {}, b = {1}}").unwrap();
    assert_eq!(
        lists,
        BTreeMap::from([("a".into(), vec![]), ("b".into(), vec![1])])
    );
    let nested: Vec<Vec<i64>> = eval("return {{}, {1}, {}}").unwrap();
    assert_eq!(nested, [vec![], vec![1], vec![]]);
    // Where either will do it is what it is.
    assert_eq!(eval::<Value>("return {}").unwrap(), json!({}));
    let error = eval::<Vec<i64>>("return {a = 1}").unwrap_err();
    assert!(error.is_mismatch(), "{error}");
}

#[test]
fn a_host_function_takes_both() {
    let pool = common::builder()
        .function("total", |(items, factor): (Vec<i64>, i64)| {
            Ok(items.iter().sum::<i64>() * factor)
        })
        .grants(moonfork::Grants::none().all_functions())
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    assert_eq!(branch.eval::<i64>("total({}, 6 / 3)").unwrap(), 0);
    assert_eq!(branch.eval::<i64>("total({4 / 2, 1}, 6 / 3)").unwrap(), 6);
}

/// Each form that an enum has in JSON, maps with keys that are no text, and what is `None`.
#[test]
fn types_that_json_has_another_form_for() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Point,
        Circle(f64),
        Line(i64, i64),
        Box { w: i64, h: i64 },
    }
    let shapes = vec![
        Shape::Point,
        Shape::Circle(0.5),
        Shape::Line(1, 2),
        Shape::Box { w: 3, h: 4 },
    ];
    assert_eq!(through(&shapes).unwrap(), shapes);
    let boxed: Shape = eval("return {Box = {w = 6 / 2, h = 4}}").unwrap();
    assert_eq!(boxed, Shape::Box { w: 3, h: 4 });
    let keyed = BTreeMap::from([(-1_i64, Some('x')), (300, None)]);
    assert_eq!(through(&keyed).unwrap(), keyed);
    let by_number: BTreeMap<u32, Vec<i64>> = eval("return {['5'] = {}, ['7'] = {1}}").unwrap();
    assert_eq!(by_number, BTreeMap::from([(5, vec![]), (7, vec![1])]));
    let time = std::time::Duration::from_millis(1500);
    assert_eq!(through(&time).unwrap(), time);
    let address: std::net::IpAddr = "::1".parse().unwrap();
    assert_eq!(through(&address).unwrap(), address);
}

#[rstest]
#[case(u64::MAX.into(), "state: 18446744073709551615 is too large")]
#[case(i128::from(i64::MIN) - 1, "state: -9223372036854775809 is too large")]
#[case(
    i128::MAX,
    "state: 170141183460469231731687303715884105727 is too large"
)]
fn an_integer_that_lua_can_not_hold_is_refused(#[case] value: i128, #[case] message: &str) {
    let mut branch = common::pool().branch().unwrap();
    let error = branch
        .eval_with::<_, Value>("return 1", &value)
        .unwrap_err();
    assert!(error.is_argument() && !error.ends_instance(), "{error}");
    let said = error.to_string();
    assert!(said.starts_with(message), "{said}");
    assert!(said.ends_with("; quote it, to pass it as text"), "{said}");
}

#[test]
fn integers_of_128_bits_pass_where_lua_can_hold_them() {
    assert_eq!(through(&7_u128).unwrap(), 7);
    assert_eq!(
        through(&i128::from(i64::MIN)).unwrap(),
        i128::from(i64::MIN)
    );
}

#[test]
fn one_deep_inside_is_named_with_its_path() {
    let mut branch = common::pool().branch().unwrap();
    let state = json!({"orders": [{"id": 1}, {"id": u64::MAX}]});
    let error = branch.eval_with::<_, Value>("1", &state).unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("state.orders[2].id: 18446744073709551615"),
        "{said}"
    );
    let error = branch
        .call::<_, Value>("tostring", &[u64::MAX])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("args[1]: 18446744073709551615"),
        "{error}"
    );
    let error = branch.set_global("n", &u64::MAX).unwrap_err();
    assert!(
        error.to_string().starts_with("n: 18446744073709551615"),
        "{error}"
    );
}

#[test]
fn what_a_host_function_gives_is_no_exception() {
    let pool = common::builder()
        .function("give", |()| Ok(json!({"ids": [1, u64::MAX]})))
        .grants(moonfork::Grants::none().all_functions())
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    let said: String = branch.eval("select(2, pcall(give))").unwrap();
    assert!(
        said.contains("result.ids[2]: 18446744073709551615 is too large"),
        "{said}"
    );
}

mod bytes {
    use super::*;

    /// As the crate `serde_bytes` has it.
    #[derive(Debug, PartialEq)]
    struct Bytes(Vec<u8>);

    impl Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(&self.0)
        }
    }

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Visitor;

            impl serde::de::Visitor<'_> for Visitor {
                type Value = Bytes;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }

                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }

                fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
                    Ok(Bytes(text.as_bytes().to_vec()))
                }
            }

            from.deserialize_bytes(Visitor)
        }
    }

    #[test]
    fn any_string_passes_for_them_both_ways() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [all, b"text".to_vec(), Vec::new(), vec![0xff; 70_000]] {
            assert_eq!(through(&Bytes(bytes.clone())).unwrap().0, bytes);
        }
        let record: BTreeMap<String, Bytes> = eval(r"return {a = '\xff\0', b = 'x'}").unwrap();
        assert_eq!(record["a"], Bytes(vec![0xff, 0]));
        assert_eq!(record["b"], Bytes(b"x".to_vec()));
        let mut branch = common::pool().branch().unwrap();
        let len: i64 = branch.call("string.len", &[Bytes(vec![0x80; 9])]).unwrap();
        assert_eq!(len, 9);
    }

    #[test]
    fn text_has_to_be_utf_8() {
        let error = eval::<Value>(r"return {a = {1, '\xff'}}").unwrap_err();
        assert!(error.is_mismatch(), "{error}");
        assert_eq!(
            error.to_string(),
            "result.a[2]: the string is not valid UTF-8"
        );
        let error = eval::<String>(r"return '\xff'").unwrap_err();
        assert_eq!(error.to_string(), "result: the string is not valid UTF-8");
    }
}
