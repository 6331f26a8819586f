//! Cancelling a run: before it, during it, after it, and no other run.

use std::sync::mpsc;
use std::time::Duration;

use moonfork::{Cancel, Grants, RunOptions};
use rstest::rstest;

use crate::common;

/// Options of a run that fires `cancel` itself when it prints.
fn firing(cancel: &Cancel) -> RunOptions {
    let fired = cancel.clone();
    let grants = Grants::none().output(move |_| fired.cancel());
    RunOptions::new().cancel_handle(cancel).grants(grants)
}

#[rstest]
#[case::in_lua("print() while true do end")]
#[case::in_pcall("while true do pcall(function() print() while true do end end) end")]
#[case::in_a_coroutine("coroutine.wrap(function() print() while true do end end)()")]
#[case::in_a_c_function("print() string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))")]
#[case::in_a_sort(
    "print() while true do table.sort({3, 2, 1}, function(a, b) return a < b end) end"
)]
fn during_it(#[case] code: &str) {
    let mut branch = common::pool().branch_with(&firing(&Cancel::new())).unwrap();
    let error = branch.eval::<()>(code).unwrap_err();
    assert!(error.is_cancelled() && !error.is_timeout(), "{error}");
    assert!(error.ends_instance() && !branch.is_live());
}

#[test]
fn before_it() {
    let cancel = Cancel::new();
    let options = RunOptions::new().cancel_handle(&cancel);
    let mut branch = common::pool().branch_with(&options).unwrap();
    branch.eval::<()>("x = 1").unwrap();
    cancel.cancel();
    let error = branch.eval::<()>("x = 2").unwrap_err();
    assert!(error.is_cancelled() && !error.ends_instance(), "{error}");
    assert!(branch.is_live());
}

#[test]
fn some_calls_only() {
    let cancel = Cancel::new();
    let mut branch = common::pool().branch().unwrap();
    cancel.cancel();
    let cancelled = RunOptions::new().cancel_handle(&cancel);
    assert!(
        branch
            .with(&cancelled)
            .eval::<()>("x = 1")
            .unwrap_err()
            .is_cancelled()
    );
    assert!(branch.eval::<bool>("x == nil").unwrap());
}

#[test]
fn after_it() {
    let cancel = Cancel::new();
    let options = RunOptions::new().cancel_handle(&cancel);
    let mut branch = common::pool().branch_with(&options).unwrap();
    assert_eq!(branch.eval::<i64>("1").unwrap(), 1);
    cancel.cancel();
    assert!(branch.is_live());
}

#[test]
fn no_other_run_on_the_same_engine() {
    let pool = common::pool();
    let (cancelled, other) = (Cancel::new(), Cancel::new());
    let (send, stopped) = mpsc::channel();
    let wait = std::sync::Mutex::new(stopped);
    // The other run goes on until it hears that the first one has been stopped.
    let grants = Grants::none().output(move |_| {
        let stopped = wait.lock().unwrap();
        stopped.recv_timeout(Duration::from_secs(30)).unwrap();
    });
    let options = RunOptions::new().cancel_handle(&other).grants(grants);
    std::thread::scope(|scope| {
        let goes_on = scope.spawn(move || {
            let mut branch = pool.branch_with(&options).unwrap();
            branch.eval::<i64>("print() for i = 1, 1e6 do end return 7")
        });
        let mut branch = pool.branch_with(&firing(&cancelled)).unwrap();
        assert!(
            branch
                .eval::<()>("print() while true do end")
                .unwrap_err()
                .is_cancelled()
        );
        send.send(()).unwrap();
        assert_eq!(goes_on.join().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_child_stops_with_its_parent() {
    let parent = Cancel::new();
    let options = firing(&parent).cancel_handle(&parent.child());
    let mut branch = common::pool().branch_with(&options).unwrap();
    assert!(
        branch
            .eval::<()>("print() while true do end")
            .unwrap_err()
            .is_cancelled()
    );
}

#[test]
fn one_that_waits_for_an_instance_stops_waiting() {
    let pool = common::builder().max_branches(1).build().unwrap();
    let _only = pool.branch().unwrap();
    let cancel = Cancel::new();
    let error = std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            pool.branch_with(&RunOptions::new().cancel_handle(&cancel))
                .unwrap_err()
        });
        cancel.cancel();
        waits.join().unwrap()
    });
    assert!(error.is_cancelled(), "{error}");
}

/// A coroutine that is asked to stop may give way before it hears of it, and the call may end
/// within the same tick: that is no reason to stop it in a later call.
#[test]
fn a_coroutine_that_was_not_stopped_in_time_goes_on_in_the_next_call() {
    let code = "
        local t = {a = {b = 1}}
        local all = {}
        for i = 1, 1500 do
          all[i] = coroutine.wrap(function()
            while true do local x = t.a.b coroutine.yield(x) end
          end)
        end
        function step() for i = 1, #all do all[i]() end end";
    // Whether the tick falls into it is chance: several tries make it likely.
    for _ in 0..200 {
        let cancel = Cancel::new();
        let fired = cancel.clone();
        let grants = Grants::none().output(move |_| fired.cancel());
        let mut branch = common::pool()
            .branch_with(&RunOptions::new().grants(grants))
            .unwrap();
        branch.eval::<()>(code).unwrap();
        let options = RunOptions::new().cancel_handle(&cancel);
        match branch.with(&options).eval::<()>("print() step()") {
            Ok(()) => branch.eval::<()>("step()").unwrap(),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
    }
}
