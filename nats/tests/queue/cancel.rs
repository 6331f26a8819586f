//! Batches that are cancelled.

use std::sync::mpsc;
use std::time::Duration;

use crate::server::Server;
use crate::side::{self, Serving, worker};

#[test]
fn what_runs_is_stopped_and_what_waits_is_taken_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let (began, has_begun) = mpsc::channel();
    let _worker = Serving::start(worker(&server, 1), move |task| {
        while let Some((key, item)) = task.next_item() {
            if item.is_empty() {
                let (stop, stopped) = mpsc::channel();
                task.on_stop(move || {
                    let _ = stop.send(());
                });
                task.event(key, "begun");
                began.send(()).expect("the test goes on");
                stopped.recv().expect("it is stopped");
            }
            task.end(key, "stopped");
        }
    });
    let mut session = side::open(&server, Duration::from_secs(10));
    for _ in 0..3 {
        session.send("", vec![(0, "".into()), (1, "".into())]);
        session.send("", vec![(2, "".into())]);
        has_begun.recv().expect("it begins");
        // Its word that it has begun came before this.
        while !matches!(
            session.wait(Some(Duration::from_secs(60))),
            Some(moonfork_nats::Update::Event { .. })
        ) {}
        assert_eq!(session.cancel(), [2]);
        let got = side::collect(&session, 2);
        assert_eq!(
            got.ends.into_iter().collect::<Vec<_>>(),
            [(0, "stopped".to_owned())]
        );
        // The second item of the chunk hasn't begun.
        assert_eq!(got.cancelled, [1]);
        assert!(session.abandon().is_empty());
        session.begin();
        let got = side::run(&session, 10..12);
        assert_eq!(got.ends.len(), 2);
        session.begin();
    }
}

#[test]
fn the_worker_of_a_run_that_has_ended_stops_too() {
    let Some(server) = Server::start() else {
        return;
    };
    let (began, has_begun) = mpsc::channel();
    let (stopped, is_stopped) = mpsc::channel();
    let _worker = Serving::start(worker(&server, 1), move |task| {
        while let Some((key, _)) = task.next_item() {
            let (stop, asked) = mpsc::channel();
            task.on_stop(move || {
                let _ = stop.send(());
            });
            began.send(()).expect("the test goes on");
            asked.recv().expect("it is stopped");
            task.end(key, "");
            stopped.send(()).expect("the test goes on");
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    session.send("", vec![(0, "".into())]);
    has_begun.recv().expect("it begins");
    drop(session);
    is_stopped
        .recv_timeout(Duration::from_secs(60))
        .expect("it is stopped");
}
