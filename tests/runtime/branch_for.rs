//! Instances that outlive what they are made for.

use std::time::{Duration, Instant};

use moonfork::{Cancel, RunOptions, Wait};

use crate::common;

#[test]
fn the_instance_has_neither_the_deadline_nor_the_handle_of_the_wait() {
    let pool = common::builder().build().unwrap();
    let cancel = Cancel::new();
    let wait = Wait::new().deadline(Instant::now()).cancel_handle(&cancel);
    let mut branch = pool.branch_for(&RunOptions::new(), &wait).unwrap();
    cancel.cancel();
    assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
}

#[test]
fn the_instance_has_its_own_limits() {
    let pool = common::builder().build().unwrap();
    let own = RunOptions::new().wall(Duration::from_millis(50));
    let mut branch = pool.branch_for(&own, &Wait::new()).unwrap();
    let error = branch.exec("while true do end").unwrap_err();
    assert!(error.is_timeout());
}

#[test]
fn waiting_for_it_ends_as_it_says() {
    let pool = common::builder().max_branches(1).build().unwrap();
    let _all_there_is = pool.branch().unwrap();
    let wait = |wait: &Wait| pool.branch_for(&RunOptions::new(), wait).unwrap_err();
    let late = Wait::new().deadline(Instant::now() + Duration::from_millis(10));
    assert!(wait(&late).is_timeout());
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(wait(&Wait::new().cancel_handle(&cancel)).is_cancelled());
}
