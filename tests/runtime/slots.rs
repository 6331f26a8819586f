//! Slots: bounded, waited for with a limit, given back when an instance ends.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use moonfork::Pool;

use crate::common;

fn pool(branches: u32, patience: Duration) -> Pool {
    common::builder()
        .max_branches(branches)
        .max_runs(1)
        .slot_timeout(patience)
        .build()
        .unwrap()
}

#[test]
fn as_many_branches_as_slots_can_live() {
    let pool = pool(3, Duration::ZERO);
    let branches: Vec<_> = (0..3).map(|_| pool.branch().unwrap()).collect();
    assert_eq!(pool.live_count(), 3);
    drop(branches);
    assert_eq!(pool.live_count(), 0);
}

#[test]
fn one_too_many_gives_up_after_its_time() {
    let pool = pool(2, Duration::from_millis(20));
    let _held = (pool.branch().unwrap(), pool.branch().unwrap());
    let error = pool.branch().unwrap_err();
    assert!(error.is_busy());
    assert!(
        error.to_string().starts_with("all 2 instances of the pool"),
        "{error}"
    );
}

#[test]
fn one_that_waits_gets_the_slot_that_is_given_back() {
    let pool = pool(1, Duration::from_secs(60));
    let held = pool.branch().unwrap();
    let first = held.store_id();
    let (started, wait) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            started.send(()).unwrap();
            pool.branch().unwrap().store_id()
        });
        wait.recv().unwrap();
        drop(held);
        assert_ne!(waiting.join().unwrap(), first);
    });
}

#[test]
fn main_and_runs_have_slots_of_their_own() {
    let pool = pool(1, Duration::ZERO);
    let _branch = pool.branch().unwrap();
    let main = pool.main().unwrap();
    let run = pool.run_main().unwrap();
    assert_ne!(main.store_id(), run.store_id());
    assert!(pool.run_main().unwrap_err().is_busy());
    assert_eq!(pool.live_count(), 3);
}

#[test]
fn many_threads_share_few_slots() {
    let pool = pool(2, Duration::from_secs(60));
    thread::scope(|scope| {
        for n in 0..16 {
            let pool = &pool;
            scope.spawn(move || {
                let mut branch = pool.branch().unwrap();
                assert_eq!(branch.eval_with::<_, i64>("state + 1", &n).unwrap(), n + 1);
            });
        }
    });
    assert_eq!(pool.live_count(), 0);
}
