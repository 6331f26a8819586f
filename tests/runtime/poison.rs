//! What is left of an instance that was stopped: nothing.

use std::time::Duration;

use moonfork::{ErrorKind, HostError, Pool};

use crate::common;

fn pool() -> Pool {
    common::builder()
        .wall(Duration::from_millis(700))
        .max_branches(2)
        .grants(moonfork::Grants::none().all_functions())
        .function("panics", |()| -> Result<(), HostError> {
            panic!("of the host")
        })
        .function("fails", |()| -> Result<(), HostError> {
            Err("on purpose".into())
        })
        .build()
        .unwrap()
}

#[test]
fn main_is_rebuilt_and_the_caller_is_told() {
    let pool = pool();
    let mut main = pool.main().unwrap();
    assert_eq!(main.replaces(), None);
    main.set_global("x", &1).unwrap();
    let old = main.store_id();
    assert!(
        main.eval::<()>("while true do end")
            .unwrap_err()
            .ends_instance()
    );

    let mut new = pool.main().unwrap();
    assert_eq!(new.replaces(), Some(old));
    assert_ne!(new.store_id(), old);
    assert_eq!(new.global::<Option<i64>>("x").unwrap(), None);
    assert_eq!(pool.main().unwrap().replaces(), None, "it is said once");

    // The old handle stays with what it held.
    assert_eq!(main.store_id(), old);
    let error = main.eval::<()>("1").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Poisoned { id, .. } if *id == old));
    assert!(error.to_string().contains("700ms"), "{error}");
}

#[test]
fn main_that_was_not_stopped_is_kept() {
    let pool = pool();
    let mut main = pool.main().unwrap();
    main.eval::<()>("x = 1 error('boom')").unwrap_err();
    let mut again = pool.main().unwrap();
    assert_eq!(again.store_id(), main.store_id());
    assert_eq!(again.global::<i64>("x").unwrap(), 1);
}

#[test]
fn a_panic_of_a_host_function_ends_the_instance_and_reaches_the_caller() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    let error = branch.eval::<()>("pcall(panics)").unwrap_err();
    assert!(error.is_host_panic() && error.ends_instance(), "{error}");
    assert!(
        error.to_string().contains("'panics' panicked: of the host"),
        "{error}"
    );
    assert!(branch.eval::<()>("1").unwrap_err().is_poisoned());
}

#[test]
fn an_error_of_a_host_function_is_the_script_s_to_catch() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    let caught: (bool, String) = branch.eval("return {pcall(fails)}").unwrap();
    assert!(!caught.0);
    assert!(caught.1.contains("fails: on purpose"), "{}", caught.1);
    let error = branch.eval::<()>("local x = fails() return x").unwrap_err();
    assert_eq!(error.to_string(), "eval:1: fails: on purpose");
}

#[test]
fn what_was_printed_before_the_end_is_kept() {
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    branch
        .eval::<()>("print('last words') while true do end")
        .unwrap_err();
    assert_eq!(branch.take_output().text(), "last words\n");
}
