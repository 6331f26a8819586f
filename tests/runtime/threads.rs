//! Any thread may call: with a small stack, from inside an async runtime, several at once.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::common::{self, pool};

#[test]
fn a_thread_with_a_small_stack_can_do_everything() {
    let work = || {
        let pool = common::builder().max_branches(1).build().unwrap();
        let mut branch = pool.branch().unwrap();
        let deep = (0..90).fold(json!([]), |inner, _| json!({ "in": inner }));
        assert_eq!(branch.eval_with::<_, Value>("state", &deep).unwrap(), deep);
        let code = "local function f() return 1 + f() end return select(2, pcall(f))";
        let message: String = branch.eval(code).unwrap();
        assert!(
            message.contains("overflow") || message.contains("memory"),
            "{message}"
        );
    };
    let thread = thread::Builder::new().stack_size(256 << 10);
    thread.spawn(work).unwrap().join().unwrap();
}

#[tokio::main]
async fn inside_tokio() {
    let pool = common::builder().max_branches(2).build().unwrap();
    let mut main = pool.main().unwrap();
    assert_eq!(
        main.eval::<i64>("print('x') x = math.random(1, 1) return x")
            .unwrap(),
        1
    );
    assert!(main.eval::<()>("error('boom')").unwrap_err().is_script());
    // Panics inside the guest and what is left of WASI in it must not block either.
    let mut branch = pool.branch().unwrap();
    assert!(
        branch
            .eval::<()>("('x'):rep(1 << 40)")
            .unwrap_err()
            .to_string()
            .contains("too large")
    );
    let other = tokio::spawn(async move { branch.eval::<i64>("41 + 1").unwrap() });
    assert_eq!(other.await.unwrap(), 42);
}

#[test]
fn calls_from_inside_an_async_runtime_work() {
    inside_tokio();
}

#[test]
fn a_branch_moves_between_threads_and_stays_the_same() {
    let mut branch = pool().branch().unwrap();
    branch.set_global("x", &1).unwrap();
    let id = branch.store_id();
    let mut branch = thread::spawn(move || {
        branch.eval::<()>("x = x + 1").unwrap();
        branch
    })
    .join()
    .unwrap();
    assert_eq!(branch.global::<i64>("x").unwrap(), 2);
    assert_eq!(branch.store_id(), id);
}

/// Both scripts are inside the sandbox at the same time: each waits there for the other.
#[test]
fn two_branches_overlap_in_time() {
    let meeting = Barrier::new(2);
    let meeting: &'static Barrier = Box::leak(Box::new(meeting));
    let pool = common::builder()
        .max_branches(2)
        .grants(moonfork::Grants::none().all_functions())
        .function("meet", move |()| {
            meeting.wait();
            Ok(())
        })
        .build()
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| pool.branch().unwrap().eval::<()>("meet()").unwrap());
        }
    });
}
