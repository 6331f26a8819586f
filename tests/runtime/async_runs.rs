//! Runs from async code: the executor is never blocked.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use moonfork::{Cancel, Grants, HostError, Pool, RunOptions};
use tokio::sync::oneshot;

use crate::common;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_run_gives_what_its_work_gives() {
    let result: i64 = common::pool()
        .run_async(RunOptions::new(), |branch| {
            branch.eval::<()>("x = 20")?;
            branch.eval("x + 22")
        })
        .await
        .unwrap();
    assert_eq!(result, 42);
}

#[tokio::test]
async fn the_executor_goes_on_while_a_script_runs() {
    // The executor has one thread. The script waits for something that only a task on that
    // thread does, and would wait in vain if it were blocked.
    let (send, receive) = mpsc::channel::<&str>();
    let receive = Mutex::new(receive);
    let pool = common::builder()
        .function("wait", move |()| {
            let receive = receive.lock().unwrap();
            receive.recv_timeout(LONG).map_err(HostError::from)
        })
        .grants(Grants::none().function("wait"))
        .build()
        .unwrap();
    let run = pool.run_async(RunOptions::new(), |branch| branch.eval::<String>("wait()"));
    let other = async move {
        tokio::task::yield_now().await;
        send.send("from the executor").unwrap();
    };
    let (result, ()) = tokio::join!(run, other);
    assert_eq!(result.unwrap(), "from the executor");
}

#[tokio::test]
async fn waiting_for_an_instance_does_not_block_the_executor() {
    let pool = common::builder().max_branches(1).build().unwrap();
    let only = pool.branch().unwrap();
    let run = pool.run_async(RunOptions::new(), |branch| branch.eval::<i64>("1"));
    let other = async move {
        tokio::task::yield_now().await;
        drop(only);
    };
    let (result, ()) = tokio::join!(run, other);
    assert_eq!(result.unwrap(), 1);
}

/// A pool whose scripts can say that they run, and what hears of it.
fn pool_that_tells() -> (Pool, RunOptions, oneshot::Receiver<()>) {
    let pool = common::builder().max_branches(1).build().unwrap();
    let (send, heard) = oneshot::channel();
    let send = Mutex::new(Some(send));
    let grants = Grants::none().output(move |_| {
        if let Some(send) = send.lock().unwrap().take() {
            send.send(()).unwrap();
        }
    });
    (pool, RunOptions::new().grants(grants), heard)
}

const ENDLESS: &str = "print('here') while true do end";

#[tokio::test]
async fn a_run_whose_future_is_dropped_ends_and_frees_its_slot() {
    let (pool, options, runs) = pool_that_tells();
    tokio::select! {
        result = pool.run_async(options, |branch| branch.eval::<()>(ENDLESS)) => {
            panic!("it ended with {result:?}");
        }
        heard = runs => heard.unwrap(),
    }
    // There is one slot, and the endless script had it.
    let next = pool.run_async(RunOptions::new(), |branch| branch.eval::<i64>("1"));
    assert_eq!(next.await.unwrap(), 1);
}

#[tokio::test]
async fn a_cancelled_run_ends() {
    let (pool, options, runs) = pool_that_tells();
    let cancel = Cancel::new();
    let options = options.cancel_handle(&cancel);
    let run = pool.run_async(options, |branch| branch.eval::<()>(ENDLESS));
    let (result, ()) = tokio::join!(run, async move {
        runs.await.unwrap();
        cancel.cancel();
    });
    assert!(result.unwrap_err().is_cancelled());
}

#[tokio::test]
#[should_panic(expected = "of the caller's own")]
async fn a_panic_of_the_work_reaches_the_caller() {
    let work = |_: &mut moonfork::Branch| -> moonfork::Result<()> { panic!("of the caller's own") };
    let _ = common::pool().run_async(RunOptions::new(), work).await;
}

#[test]
fn outside_of_a_runtime_it_is_refused() {
    let mut run = std::pin::pin!(common::pool().run_async(RunOptions::new(), |_| Ok(())));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match run.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => assert!(result.unwrap_err().is_options()),
        std::task::Poll::Pending => panic!("nothing would wake it"),
    }
}
