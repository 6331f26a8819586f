//! Instances that outlive the run that they are made for.

use std::time::{Duration, Instant};

use moonfork::{Cancel, Handle, RunOptions};

use crate::common;

#[test]
fn the_instance_has_neither_the_runs_deadline_nor_its_handle() {
    let pool = common::builder().build().unwrap();
    let cancel = Cancel::new();
    let run = RunOptions::new().deadline(Instant::now()).cancel(&cancel);
    let mut branch = pool.branch_for(&run, &RunOptions::new()).unwrap();
    cancel.cancel();
    assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
}

#[test]
fn the_instance_has_its_own_limits() {
    let pool = common::builder().build().unwrap();
    let own = RunOptions::new().wall(Duration::from_millis(50));
    let mut branch = pool.branch_for(&RunOptions::new(), &own).unwrap();
    assert!(
        branch
            .eval::<()>("while true do end")
            .unwrap_err()
            .is_timeout()
    );
}

#[test]
fn waiting_for_it_ends_with_the_run() {
    let pool = common::builder().branches(1).build().unwrap();
    let _all_there_is = pool.branch().unwrap();
    let wait = |run: &RunOptions| pool.branch_for(run, &RunOptions::new()).unwrap_err();
    let late = RunOptions::new().deadline(Instant::now() + Duration::from_millis(10));
    assert!(wait(&late).is_timeout());
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(wait(&RunOptions::new().cancel(&cancel)).is_cancelled());
}
