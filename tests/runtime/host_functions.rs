//! Host functions: what passes, what they know of the run that calls them, and async ones.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moonfork::{Cancel, Grants, HostCall, Pool, PoolBuilder, RunOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::common;

fn granted(builder: PoolBuilder) -> Pool {
    builder
        .grants(Grants::none().all_functions())
        .build()
        .unwrap()
}

#[test]
fn arguments_and_results_are_serde_types() {
    #[derive(Deserialize)]
    struct Order {
        items: Vec<f64>,
        discount: Option<f64>,
    }
    #[derive(Serialize)]
    struct Price {
        total: f64,
    }
    let pool = granted(common::builder().function("price", |(order,): (Order,)| {
        let total = order.items.iter().sum::<f64>() * (1.0 - order.discount.unwrap_or(0.0));
        Ok(Price { total })
    }));
    let mut branch = pool.branch().unwrap();
    let total: f64 = branch
        .eval("price({items = {1.5, 2.5}, discount = 0.5}).total")
        .unwrap();
    assert_eq!(total, 2.0);
    let error = branch
        .eval::<f64>("local p = price({items = {1, 'x'}}) return p")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "eval:1: price: args[1].items[2]: invalid type: string \"x\", expected f64"
    );
}

/// A function that records what it knows of the run that calls it.
fn recorder() -> (Pool, Arc<Mutex<Vec<HostCall>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&calls);
    let pool = granted(common::builder().function_with("record", move |call, ()| {
        recorded.lock().unwrap().push(call.clone());
        Ok(())
    }));
    (pool, calls)
}

#[test]
fn a_function_knows_its_instance_and_the_deadline() {
    let (pool, calls) = recorder();
    let before = Instant::now();
    let options = RunOptions::new().wall(Duration::from_secs(20));
    let mut branch = pool.branch_with(&options).unwrap();
    branch.eval::<()>("record()").unwrap();
    let call = calls.lock().unwrap().pop().unwrap();
    assert_eq!(call.store_id(), Some(branch.store_id()));
    let deadline = call.deadline().unwrap().at();
    assert!(deadline >= before + Duration::from_secs(20));
    assert!(deadline <= Instant::now() + Duration::from_secs(20));
    assert!(call.remaining().unwrap() <= Duration::from_secs(20));
    assert!(!call.is_cancelled());
}

#[test]
fn a_function_that_waits_is_told_when_the_run_is_cancelled() {
    let cancel = Cancel::new();
    let fired = cancel.clone();
    let pool = granted(
        common::builder().function_with("wait", move |call: &HostCall, ()| {
            let (send, woken) = std::sync::mpsc::channel();
            let cancel = call.cancel_handle();
            let _watch = cancel.on_cancel(move || send.send(()).unwrap());
            fired.cancel();
            Ok(woken.recv()?)
        }),
    );
    let mut branch = pool
        .branch_with(&RunOptions::new().cancel_handle(&cancel))
        .unwrap();
    assert!(
        branch
            .eval::<()>("while true do wait() end")
            .unwrap_err()
            .is_cancelled()
    );
}

#[test]
fn a_function_called_from_rust_is_held_to_the_same_rules() {
    let pool = common::builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("fails", |()| Err::<(), _>("on purpose".into()))
        .build()
        .unwrap();
    let options = RunOptions::new();
    let granted = options.clone().grants(Grants::none().all_functions());
    assert_eq!(
        pool.call_function::<_, i64>("add", &(2, 3), &granted)
            .unwrap(),
        5
    );
    let call = |name: &str, options| {
        pool.call_function::<_, i64>(name, &(), options)
            .unwrap_err()
    };
    assert!(call("add", &options).is_denied());
    assert!(call("absent", &granted).is_not_callable());
    assert_eq!(call("fails", &granted).to_string(), "fails: on purpose");
}

#[test]
fn a_function_is_not_called_from_rust_for_a_run_that_is_over() {
    let pool = granted(common::builder().function("one", |()| Ok(1)));
    let cancel = Cancel::new();
    cancel.cancel();
    let call = |options| {
        pool.call_function::<_, i64>("one", &(), &options)
            .unwrap_err()
    };
    assert!(call(RunOptions::new().cancel_handle(&cancel)).is_cancelled());
    assert!(call(RunOptions::new().deadline(Instant::now())).is_timeout());
}

#[test]
fn a_function_may_be_called_from_rust_on_a_small_stack() {
    let pool = granted(common::builder().function("same", |(value,): (Value,)| Ok(value)));
    let call = move || {
        let deep = (0..90).fold(json!([]), |inner, _| json!({ "in": inner }));
        let same: Value = pool
            .call_function("same", &(&deep,), &RunOptions::new())
            .unwrap();
        assert_eq!(same, deep);
    };
    let thread = std::thread::Builder::new().stack_size(96 << 10);
    thread.spawn(call).unwrap().join().unwrap();
}

mod async_ones {
    use super::*;

    fn pool() -> Pool {
        granted(
            common::builder()
                .async_function("double", |_, (n,): (i64,)| async move {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Ok(2 * n)
                })
                .async_function("fails", |_, ()| async { Err::<(), _>("on purpose".into()) })
                .async_function("panics", |_, ()| async {
                    tokio::task::yield_now().await;
                    if true {
                        panic!("while it was awaited");
                    }
                    Ok(())
                })
                .async_function("never", |_, ()| async {
                    std::future::pending::<()>().await;
                    Ok(())
                }),
        )
    }

    #[test]
    fn one_is_driven_to_its_end_without_a_runtime_around() {
        assert_eq!(
            pool().branch().unwrap().eval::<i64>("double(21)").unwrap(),
            42
        );
    }

    #[tokio::test]
    async fn one_is_driven_to_its_end_inside_of_a_runtime_with_one_thread() {
        assert_eq!(
            pool().branch().unwrap().eval::<i64>("double(21)").unwrap(),
            42
        );
    }

    #[tokio::test]
    async fn one_runs_on_the_runtime_that_was_given() {
        let pool = granted(
            common::builder()
                .tokio(tokio::runtime::Handle::current())
                .async_function("where_am_i", |_, ()| async {
                    Ok(format!("{:?}", tokio::runtime::Handle::current().id()))
                }),
        );
        let here = format!("{:?}", tokio::runtime::Handle::current().id());
        let there: String = pool
            .run_async(RunOptions::new(), |branch| branch.eval("where_am_i()"))
            .await
            .unwrap();
        assert_eq!(there, here);
    }

    #[test]
    fn an_error_of_one_is_the_script_s_to_catch() {
        let pool = pool();
        let mut branch = pool.branch().unwrap();
        let caught: String = branch.eval("select(2, pcall(fails))").unwrap();
        assert_eq!(caught, "fails: on purpose");
    }

    #[test]
    fn a_panic_of_one_ends_the_instance() {
        let pool = pool();
        let error = pool.branch().unwrap().eval::<()>("panics()").unwrap_err();
        assert!(error.is_host_panic(), "{error}");
        assert_eq!(
            error.to_string(),
            "host function 'panics' panicked: while it was awaited"
        );
    }

    #[test]
    fn one_without_a_runtime_any_more_is_an_error() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let pool = granted(
            common::builder()
                .tokio(runtime.handle().clone())
                .async_function("one", |_, ()| async { Ok(1) }),
        );
        drop(runtime);
        let error = pool.branch().unwrap().eval::<i64>("one()").unwrap_err();
        assert!(error.is_script(), "{error}");
        assert!(error.to_string().contains("can't be awaited"), "{error}");
    }

    #[test]
    fn one_that_never_ends_is_dropped_at_the_deadline() {
        let pool = pool();
        let options = RunOptions::new().wall(Duration::from_millis(200));
        let mut branch = pool.branch_with(&options).unwrap();
        let error = branch.eval::<()>("\npcall(never)").unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(error.site().unwrap().position.to_string(), "eval:2");
    }

    #[test]
    fn one_that_never_ends_is_dropped_when_the_run_is_cancelled() {
        let cancel = Cancel::new();
        let fired = cancel.clone();
        let grants = Grants::none()
            .all_functions()
            .output(move |_| fired.cancel());
        let pool = pool();
        let options = RunOptions::new().cancel_handle(&cancel).grants(grants);
        let mut branch = pool.branch_with(&options).unwrap();
        let error = branch.eval::<()>("print('now') never()").unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    }

    #[tokio::test]
    async fn a_pool_with_a_runtime_of_its_own_may_be_dropped_by_async_code() {
        let pool = pool();
        pool.branch().unwrap().eval::<i64>("double(1)").unwrap();
        drop(pool);
    }
}

#[test]
fn calls_go_by_what_their_options_say_and_a_number() {
    let pool = granted(
        common::builder()
            .function_with("key", |call: &HostCall, ()| Ok(call.idempotency_key()))
            .function("other", |()| Ok(())),
    );
    let both = "return {key() or false, key() or false}";
    let none: Value = pool.branch().unwrap().eval(both).unwrap();
    assert_eq!(none, json!([false, false]));
    for _ in 0..2 {
        let of_instance = RunOptions::new().idempotency_key("order");
        let mut branch = pool.branch_with(&of_instance).unwrap();
        let first: Value = branch.eval(both).unwrap();
        assert_eq!(first, json!(["order-0", "order-1"]));
        // Each call of any function has its number, and one that is not granted is no call.
        let narrow = RunOptions::new().grants(Grants::none().function("key"));
        let denied: bool = branch.with(&narrow).eval("return (pcall(other))").unwrap();
        assert!(!denied);
        let next: Value = branch.eval("other() return {key()}").unwrap();
        assert_eq!(next, json!(["order-3"]));
        // Those of some calls come first.
        let own = RunOptions::new().idempotency_key("mail");
        let own: Value = branch.with(&own).eval(both).unwrap();
        assert_eq!(own, json!(["mail-0", "mail-1"]));
        let next: Value = branch.eval("return {key()}").unwrap();
        assert_eq!(next, json!(["order-4"]));
        let direct: String = pool.call_function("key", &(), &of_instance).unwrap();
        assert_eq!(direct, "order-5");
    }
}
