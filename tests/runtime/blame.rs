//! Whose mistake an error is: the script's, the caller's, or nobody knows.

use std::error::Error as _;

use moonfork::{Access, Error, Folder};
use serde_json::{Value, json};

use crate::common;

/// What the error is, of the kinds that are about values.
fn blame(error: &Error) -> (&str, bool) {
    let found = [error.is_argument(), error.is_value(), error.is_mismatch()];
    let kinds = found.iter().filter(|is_it| **is_it).count();
    assert!(kinds <= 1, "{error}");
    (error.code(), error.is_script())
}

#[test]
fn what_is_passed_in_is_the_callers() {
    let mut branch = common::builder().build().unwrap().branch().unwrap();
    let deep = (0..300).fold(json!(1), |inner, _| json!([inner]));
    for state in [json!({"n": u64::MAX}), json!({ "deep": deep })] {
        let error = branch
            .eval_with::<_, Value>("return 1", &state)
            .unwrap_err();
        assert_eq!(blame(&error), ("argument", false), "{error}");
        branch.eval::<()>("function f() end").unwrap();
        let error = branch.call::<_, ()>("f", &[&state]).unwrap_err();
        assert_eq!(blame(&error), ("argument", false), "{error}");
    }
}

#[test]
fn what_no_type_could_take_is_the_scripts() {
    let mut branch = common::builder().build().unwrap().branch().unwrap();
    for code in [
        "return print",
        "return {{}, {a = coroutine.create(print)}}",
        "return 1, 2",
    ] {
        let error = branch.eval::<Value>(code).unwrap_err();
        assert_eq!(blame(&error), ("value", true), "{error}");
    }
}

#[test]
fn a_type_that_does_not_fit_is_neithers() {
    let mut branch = common::builder().build().unwrap().branch().unwrap();
    let error = branch.eval::<i64>("return 'text'").unwrap_err();
    assert_eq!(blame(&error), ("mismatch", false), "{error}");
}

#[test]
fn the_cause_of_an_error_is_kept() {
    let error = Folder::open("/there/is/no/such/folder", Access::ReadOnly).unwrap_err();
    let cause = error.source().expect("a cause");
    let cause = cause
        .downcast_ref::<std::io::Error>()
        .expect("the system's");
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    let mut branch = common::builder().build().unwrap().branch().unwrap();
    assert!(
        branch
            .eval::<()>("error('x')")
            .unwrap_err()
            .source()
            .is_none()
    );
}
