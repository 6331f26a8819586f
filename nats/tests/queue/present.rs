//! Which workers are there, and what is said where there are none.

use std::time::Duration;

use moonfork_nats::{Client, Run, Worker};

use crate::server::Server;
use crate::side::{self, Serving};

#[test]
fn without_a_worker_nothing_is_sent() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = Client::connect(&side::access(&server)).expect("a server");
    let run = Run::new("default", "1-test").patience(Duration::ZERO);
    let error = client
        .open(run)
        .expect_err("there is no worker")
        .to_string();
    assert!(
        error.contains("no worker of the pool `default` is there"),
        "{error}"
    );
    let overview = client.overview().expect("it answers");
    assert!(overview.workers.is_empty() && overview.backlog.is_empty());
}

#[test]
fn a_worker_of_another_version_is_none() {
    let Some(server) = Server::start() else {
        return;
    };
    let other = Worker::new(side::access(&server), "default", "2-other").expect("fine names");
    let _worker = Serving::start(other, side::capitals);
    let client = Client::connect(&side::access(&server)).expect("a server");
    let wait = || client.overview().expect("it answers").workers.len();
    while wait() == 0 {}
    let run = Run::new("default", "1-test").patience(Duration::from_secs(60));
    let error = client
        .open(run)
        .expect_err("there is no worker")
        .to_string();
    let expected = "no worker of the pool `default` is of this version, 1-test; those that are there: \
                    version 2-other in the pool `default`";
    assert_eq!(error, expected);
}

#[test]
fn one_that_begins_a_little_later_is_waited_for() {
    let Some(server) = Server::start() else {
        return;
    };
    std::thread::scope(|scope| {
        let session = scope.spawn(|| side::open(&server, Duration::from_secs(10)));
        let client = Client::connect(&side::access(&server)).expect("a server");
        drop(client);
        let _worker = Serving::start(side::worker(&server, 1), side::capitals);
        let session = session.join().expect("no panic");
        assert_eq!(session.workers().len(), 1);
        assert_eq!(session.slots(), 1);
    });
}

#[test]
fn one_that_has_stopped_is_there_no_more() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut worker = Serving::start(side::worker(&server, 3), side::capitals);
    let session = side::open(&server, Duration::from_secs(10));
    assert_eq!(session.slots(), 3);
    worker.stop();
    let client = Client::connect(&side::access(&server)).expect("a server");
    assert!(client.overview().expect("it answers").workers.is_empty());
}

#[test]
fn names_that_cannot_be_are_refused() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = Client::connect(&side::access(&server)).expect("a server");
    for (pool, version) in [("a.b", "1"), ("a", "*"), ("", "1")] {
        let error = client
            .open(Run::new(pool, version))
            .expect_err("it can't be");
        assert!(
            error.to_string().contains("write 1 to 64 letters"),
            "{error}"
        );
        assert!(Worker::new(side::access(&server), pool, version).is_err());
    }
}
