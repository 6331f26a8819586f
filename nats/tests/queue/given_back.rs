//! A worker that is told to stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::server::Server;
use crate::side::{self, Serving, worker};

#[test]
fn what_has_not_begun_is_run_by_another() {
    let Some(server) = Server::start() else {
        return;
    };
    let (began, has_begun) = mpsc::channel();
    let (go, may_end) = mpsc::channel::<()>();
    let may_end = Mutex::new(may_end);
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let mut first = Serving::start(worker(&server, 1), move |task| {
        while let Some((key, item)) = task.next_item() {
            count.fetch_add(1, Ordering::SeqCst);
            began.send(()).expect("the test goes on");
            may_end.lock().expect("one slot").recv().unwrap_or_default();
            task.end(key, item);
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    let got = std::thread::scope(|scope| {
        let got = scope.spawn(|| {
            session.send("", (0..50).map(|key| (key, "x".into())).collect());
            side::collect(&session, 50)
        });
        has_begun.recv().expect("it begins");
        first.stopper.stop();
        let _second = Serving::start(worker(&server, 1), side::capitals);
        // By then it has heard that it is to stop.
        while session.workers().len() < 2 {
            std::thread::yield_now();
        }
        drop(go);
        first.stop();
        got.join().expect("no panic")
    });
    // What had begun came to its end there, and the others didn't begin.
    let ran = ran.load(Ordering::SeqCst);
    assert!((1..50).contains(&ran), "{ran}");
    let mine = got.ends.values().filter(|end| *end == "x").count();
    assert_eq!(mine, ran);
}

#[test]
fn what_does_not_end_in_time_is_stopped_and_run_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let (began, has_begun) = mpsc::channel();
    let short = worker(&server, 1).grace(Duration::from_millis(50));
    let mut first = Serving::start(short, move |task| {
        while let Some((key, _)) = task.next_item() {
            let (stop, stopped) = mpsc::channel();
            task.on_stop(move || {
                let _ = stop.send(());
            });
            began.send(()).expect("the test goes on");
            stopped.recv().expect("it is stopped");
            task.end(key, "stopped");
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    let got = std::thread::scope(|scope| {
        let got = scope.spawn(|| side::run(&session, 0..3));
        has_begun.recv().expect("it begins");
        first.stop();
        let _second = Serving::start(worker(&server, 1), side::capitals);
        got.join().expect("no panic")
    });
    assert_eq!(got.ends.len(), 3);
    assert!(
        got.ends.values().all(|end| end.starts_with("ITEM")),
        "{got:?}"
    );
}
