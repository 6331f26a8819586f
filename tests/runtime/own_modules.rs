//! Modules that one instance has and its pool hasn't.

use moonfork::{Grants, RunOptions};

use crate::common;

fn own(source: &str) -> RunOptions {
    RunOptions::new().grants(Grants::none().own_module("tax", source))
}

#[test]
fn an_own_module_is_one_instances_alone() {
    let pool = common::builder().build().unwrap();
    let mut one = pool.branch_with(&own("return 'one'")).unwrap();
    let mut other = pool.branch_with(&own("return 'other'")).unwrap();
    assert_eq!(one.eval::<String>("require('tax')").unwrap(), "one");
    assert_eq!(other.eval::<String>("require('tax')").unwrap(), "other");
    let error = pool
        .branch()
        .unwrap()
        .eval::<String>("require('tax')")
        .unwrap_err();
    assert!(error.is_denied(), "{error}");
}

#[test]
fn it_comes_before_the_pools_and_grants_none_of_them() {
    let pool = common::builder()
        .module("tax", "return 'of the pool'")
        .module("toll", "return 'of the pool'")
        .build()
        .unwrap();
    let mut branch = pool.branch_with(&own("return 'own'")).unwrap();
    assert_eq!(branch.eval::<String>("require('tax')").unwrap(), "own");
    let error = branch.eval::<String>("require('toll')").unwrap_err();
    assert!(error.is_denied(), "{error}");
}

#[test]
fn it_is_granted_when_an_instance_is_made() {
    let pool = common::builder().build().unwrap();
    let options = own("return 1");
    let mut branch = pool.branch_with(&options).unwrap();
    let error = branch.with(&options).eval::<i64>("1").unwrap_err();
    assert!(error.is_options(), "{error}");
    assert!(error.to_string().contains("an own module"), "{error}");
}
