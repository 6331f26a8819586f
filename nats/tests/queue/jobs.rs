//! Jobs and their ends.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use moonfork_nats::{Client, Update};

use crate::server::Server;
use crate::side::{self, Serving, worker};

#[test]
fn each_item_has_its_end_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let _workers = [2, 1].map(|slots| Serving::start(worker(&server, slots), side::capitals));
    let mut session = side::open(&server, Duration::from_secs(10));
    for count in [1, 5000, 0, 3] {
        let got = side::run(&session, 0..count);
        assert_eq!(got.ends.len() as u64, count);
        let expected = |key: &u64| format!("ITEM {key}");
        assert!(got.ends.iter().all(|(key, end)| *end == expected(key)));
        assert!(got.lost.is_empty());
        session.begin();
    }
}

#[test]
fn what_a_run_leaves_is_removed() {
    let Some(server) = Server::start() else {
        return;
    };
    let _worker = Serving::start(worker(&server, 1), side::capitals);
    let session = side::open(&server, Duration::from_secs(10));
    session.put_blob(vec![1; 1000]).expect("it is small");
    side::run(&session, 0..10);
    drop(session);
    let client = Client::connect(&side::access(&server)).expect("a server");
    let overview = client.overview().expect("it answers");
    assert_eq!(overview.workers.len(), 1);
    assert_eq!(overview.workers[0].slots, 1);
    for backlog in &overview.backlog {
        assert_eq!((backlog.waiting, backlog.suspects_waiting), (0, 0));
    }
    assert_eq!(overview.dead_count, 0);
}

#[test]
fn what_happens_in_an_item_that_takes_long_is_told_meanwhile() {
    let Some(server) = Server::start() else {
        return;
    };
    let (go, told) = std::sync::mpsc::channel::<()>();
    let told = Mutex::new(told);
    let _worker = Serving::start(worker(&server, 1), move |task| {
        while let Some((key, _)) = task.next_item() {
            task.event(key, "one");
            task.event(key, "two");
            // Not before both have come.
            told.lock()
                .expect("one slot")
                .recv()
                .expect("the test goes on");
            task.end(key, "end");
        }
    });
    let session = side::open(&server, Duration::from_secs(10));
    session.send("", vec![(7, "".into())]);
    let mut events = Vec::new();
    loop {
        match session.wait(Some(Duration::from_secs(60))) {
            Some(Update::Event { key, event }) => {
                events.push((key, event));
                if events.len() == 2 {
                    go.send(()).expect("the worker waits");
                }
            }
            Some(Update::End { keys, .. }) => {
                assert_eq!(keys, [7]);
                break;
            }
            None => panic!("nothing comes: {events:?}"),
            _ => {}
        }
    }
    assert_eq!(events, [(7, "one".into()), (7, "two".into())]);
}

#[test]
fn a_server_that_is_killed_and_comes_back_loses_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let ran = std::sync::Arc::new(Mutex::new(HashSet::new()));
    let seen = std::sync::Arc::clone(&ran);
    let _worker = Serving::start(worker(&server, 2), move |task| {
        while let Some((key, item)) = task.next_item() {
            seen.lock().expect("no panic").insert(key);
            std::thread::sleep(Duration::from_millis(2));
            task.end(key, item);
        }
    });
    let session = side::open(&server, Duration::from_secs(1));
    let got = std::thread::scope(|scope| {
        let got = scope.spawn(|| side::run(&session, 0..500));
        for _ in 0..3 {
            // As soon as something has run since.
            let before = ran.lock().expect("no panic").len();
            while ran.lock().expect("no panic").len() < (before + 20).min(450) {
                std::thread::sleep(Duration::from_millis(5));
            }
            server.restart();
        }
        got.join().expect("no panic")
    });
    assert_eq!(got.ends.len(), 500);
    assert!(got.lost.is_empty(), "{:?}", got.lost);
}
