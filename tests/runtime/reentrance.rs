//! Host functions that use the pool they belong to.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moonfork::{Clock, Grants, HostError, Main, Pool, RunOptions};

use crate::common;

/// A pool whose host function `ask` does `f` with the pool itself.
fn pool(f: impl Fn(&Pool) -> Result<i64, moonfork::Error> + Send + Sync + 'static) -> Pool {
    let own: Arc<OnceLock<Pool>> = Arc::default();
    let known = Arc::clone(&own);
    let pool = common::builder()
        .max_branches(1)
        .slot_timeout(Duration::ZERO)
        .grants(moonfork::Grants::none().all_functions())
        .function("ask", move |()| {
            f(known.get().unwrap()).map_err(HostError::from)
        })
        .build()
        .unwrap();
    own.set(pool.clone()).unwrap();
    pool
}

#[test]
fn main_can_have_a_branch_run_something() {
    let pool = pool(|pool| pool.branch()?.eval("6 * 7"));
    assert_eq!(pool.main().unwrap().eval::<i64>("ask()").unwrap(), 42);
}

#[test]
fn main_is_refused_to_what_main_called() {
    let pool = pool(|pool| pool.main()?.eval("1"));
    let mut main = pool.main().unwrap();
    let error = main.eval::<i64>("local x = ask() return x").unwrap_err();
    assert!(error.is_script(), "{error}");
    assert!(error.to_string().contains("can't use main"), "{error}");
    assert_eq!(main.eval::<i64>("1 + 1").unwrap(), 2);
}

#[test]
fn main_is_refused_to_what_a_branch_called_on_the_same_thread() {
    let pool = pool(|pool| match pool.runtime() {
        Ok(mut runtime) => runtime.eval("secret"),
        Err(error) => Err(error),
    });
    pool.main().unwrap().set_global("secret", &42).unwrap();
    let error = pool
        .branch()
        .unwrap()
        .eval::<i64>("local x = ask() return x")
        .unwrap_err();
    assert!(error.to_string().contains("can't use main"), "{error}");
}

#[test]
fn a_handle_kept_aside_is_refused_as_well() {
    thread_local! {
        static KEPT: RefCell<Option<Main>> = const { RefCell::new(None) };
    }
    let pool = pool(|_| {
        KEPT.with_borrow_mut(|main| {
            let main = main.as_mut().unwrap();
            assert!(main.is_live());
            assert!(main.eval::<i64>("1").unwrap_err().is_reentrant());
            Ok(i64::try_from(main.store_id().get()).unwrap())
        })
    });
    let mut main = pool.main().unwrap();
    KEPT.set(Some(pool.main().unwrap()));
    let seen: u64 = main.eval("ask()").unwrap();
    assert_eq!(seen, main.store_id().get());
    KEPT.set(None);
}

#[test]
fn a_branch_that_wants_another_and_has_the_last_slot_is_told() {
    let pool = pool(|pool| pool.branch()?.eval("1"));
    let error = pool.branch().unwrap().eval::<i64>("ask()").unwrap_err();
    assert!(
        error.to_string().contains("all 1 instances of the pool"),
        "{error}"
    );
}

#[test]
fn main_is_refused_to_the_clock_it_is_being_made_with() {
    let own: Arc<OnceLock<Pool>> = Arc::default();
    let asked: Arc<OnceLock<bool>> = Arc::default();
    let (known, answer) = (Arc::clone(&own), Arc::clone(&asked));
    let clock = Clock::from_fn(move || {
        if let Some(pool) = known.get() {
            let _ = answer.set(pool.main().is_err_and(|error| error.is_reentrant()));
        }
        Duration::ZERO
    });
    let pool = common::builder()
        .grants(Grants::none().clock(clock))
        .build()
        .unwrap();
    own.set(pool.clone()).unwrap();
    pool.main().unwrap();
    assert_eq!(asked.get(), Some(&true));
}

#[test]
fn main_is_refused_to_an_async_function_on_main_s_own_thread() {
    // The runtime's only thread is the one that builds the pool.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let own: Arc<OnceLock<Pool>> = Arc::default();
    let known = Arc::clone(&own);
    let pool = common::builder()
        .tokio(runtime.handle().clone())
        .async_function("ask", move |_, ()| {
            let pool = known.get().unwrap().clone();
            async move {
                let secret = pool.main().and_then(|mut main| main.eval::<i64>("secret"));
                secret.map_err(HostError::from)
            }
        })
        .grants(Grants::none().all_functions())
        .build()
        .unwrap();
    own.set(pool.clone()).unwrap();
    pool.main().unwrap().set_global("secret", &42).unwrap();
    let run = pool.run_async(RunOptions::new(), |branch| branch.eval::<i64>("ask()"));
    let error = runtime.block_on(run).unwrap_err();
    assert!(error.to_string().contains("can't use main"), "{error}");
}
