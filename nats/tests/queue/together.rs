//! Ends that several items have in common.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use moonfork_nats::Sabotage;

use crate::server::Server;
use crate::side::{self, Serving, worker};

#[test]
fn each_item_has_one_whether_alone_or_together() {
    let Some(server) = Server::start() else {
        return;
    };
    let _workers = [2, 1].map(|slots| {
        Serving::start(worker(&server, slots), |task| {
            while let Some((key, _)) = task.next_item() {
                if key % 7 == 3 {
                    task.end(key, "alone");
                } else {
                    assert!(task.done(key));
                }
            }
            task.end_done("together");
        })
    });
    let session = side::open(&server, Duration::from_secs(10));
    let got = side::run(&session, 0..3000);
    assert_eq!(got.ends.len(), 3000);
    for (key, end) in got.ends {
        assert_eq!(end == "alone", key % 7 == 3, "{key}");
    }
}

#[test]
fn what_was_done_without_an_end_is_run_again() {
    let Some(server) = Server::start() else {
        return;
    };
    let times = AtomicUsize::new(0);
    let _worker = Serving::start(worker(&server, 1), move |task| {
        while let Some((key, _)) = task.next_item() {
            task.done(key);
        }
        if times.fetch_add(1, Ordering::SeqCst) > 0 {
            task.end_done("the second time");
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    session.send("", (0..5).map(|key| (key, "".into())).collect());
    let got = side::collect(&session, 5);
    assert!(got.ends.values().all(|end| end == "the second time"));
}

#[test]
fn a_late_one_does_not_count_where_a_suspect_has_ended() {
    let Some(server) = Server::start() else {
        return;
    };
    let (began, has_begun) = mpsc::channel();
    let (late, may_end) = mpsc::channel::<()>();
    let may_end = Mutex::new(may_end);
    let stuck = worker(&server, 1).sabotage(Sabotage {
        no_lease: true,
        ..Sabotage::default()
    });
    let mut first = Serving::start(stuck, move |task| {
        while let Some((key, _)) = task.next_item() {
            task.done(key);
        }
        let _ = began.send(());
        may_end.lock().expect("one slot").recv().unwrap_or_default();
        task.end_done("late");
    });
    let session = side::open(&server, Duration::from_secs(1));
    let got = std::thread::scope(|scope| {
        let got = scope.spawn(|| {
            session.send("", (0..5).map(|key| (key, "".into())).collect());
            side::collect(&session, 5)
        });
        has_begun.recv().expect("it begins");
        // It takes no more.
        first.stopper.stop();
        let (second, at_second) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (may_go, count) = (Mutex::new(may_go), AtomicUsize::new(0));
        let _other = Serving::start(worker(&server, 1), move |task| {
            while let Some((key, _)) = task.next_item() {
                // The first suspect has ended; the late end comes before the second one does.
                if count.fetch_add(1, Ordering::SeqCst) == 1 {
                    let _ = second.send(());
                    may_go.lock().expect("one slot").recv().unwrap_or_default();
                }
                task.done(key);
            }
            task.end_done("suspect");
        });
        at_second.recv().expect("it comes to the second");
        drop(late);
        // Its result is published by then.
        first.stop();
        drop(go);
        got.join().expect("no panic")
    });
    let ends: Vec<_> = got.ends.into_values().collect();
    assert_eq!(ends, ["suspect"; 5]);
}
