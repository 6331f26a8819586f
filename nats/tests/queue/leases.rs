//! Workers that are slow, and workers that fall silent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use moonfork_nats::{Client, Sabotage, Worker};

use crate::server::Server;
use crate::side::{self, Serving, worker};

const LEASE: Duration = Duration::from_secs(1);

/// Three workers whose items take three leases, and how often they began with one.
fn slow(worker: impl Fn() -> Worker) -> (Vec<Serving>, Arc<AtomicUsize>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let serving = (0..3).map(|_| {
        let count = Arc::clone(&ran);
        Serving::start(worker(), move |task| {
            while let Some((key, item)) = task.next_item() {
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(3 * LEASE);
                task.end(key, item);
            }
        })
    });
    (serving.collect(), ran)
}

#[test]
fn one_that_is_slow_keeps_its_job() {
    let Some(server) = Server::start() else {
        return;
    };
    let (_workers, ran) = slow(|| worker(&server, 1));
    let session = side::open(&server, LEASE);
    let got = side::run(&session, 0..2);
    assert_eq!((got.ends.len(), ran.load(Ordering::SeqCst)), (2, 2));
}

#[test]
fn one_that_renews_no_lease_loses_it() {
    let Some(server) = Server::start() else {
        return;
    };
    let lazy = || {
        worker(&server, 1).sabotage(Sabotage {
            no_lease: true,
            ..Sabotage::default()
        })
    };
    let (_workers, ran) = slow(lazy);
    let session = side::open(&server, LEASE);
    let got = side::run(&session, 0..2);
    // Which is what the test above would notice.
    assert!(ran.load(Ordering::SeqCst) > 2);
    assert_eq!(got.ends.len() + got.lost.len(), 2);
}

/// A door that items wait at.
#[derive(Default)]
struct Door(Mutex<bool>, Condvar);

impl Door {
    fn wait(&self) {
        let is_open = self.0.lock().expect("no panic");
        drop(
            self.1
                .wait_while(is_open, |is_open| !*is_open)
                .expect("no panic"),
        );
    }

    fn open(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }
}

#[test]
fn items_of_one_that_falls_silent_run_elsewhere_and_its_late_result_changes_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let door = Arc::new(Door::default());
    let (began, has_begun) = std::sync::mpsc::channel();
    let stuck = worker(&server, 1).sabotage(Sabotage {
        no_lease: true,
        ..Sabotage::default()
    });
    let at_door = Arc::clone(&door);
    let first = Serving::start(stuck, move |task| {
        while let Some((key, _)) = task.next_item() {
            let _ = began.send(());
            at_door.wait();
            task.end(key, "late");
        }
    });
    let mut session = side::open(&server, LEASE);
    let got = std::thread::scope(|scope| {
        let got = scope.spawn(|| {
            session.send("", (0..5).map(|key| (key, "item".into())).collect());
            side::collect(&session, 5)
        });
        has_begun.recv().expect("it begins");
        // It takes no more, so that the suspects don't wait at the door.
        first.stopper.stop();
        let _second = Serving::start(worker(&server, 1), side::capitals);
        got.join().expect("no panic")
    });
    assert!(got.lost.is_empty());
    assert!(got.ends.values().all(|end| end == "ITEM"), "{got:?}");
    door.open();
    drop(first);
    // Neither to this batch nor to the next one, whose chunks have the same names.
    session.begin();
    let _third = Serving::start(worker(&server, 1), side::capitals);
    let got = side::run(&session, 0..5);
    assert!(
        got.ends.values().all(|end| end.starts_with("ITEM")),
        "{got:?}"
    );
}

#[test]
fn an_item_that_costs_four_workers_is_lost_and_lies_among_the_dead_letters() {
    let Some(server) = Server::start() else {
        return;
    };
    let ran = Arc::new(AtomicUsize::new(0));
    let door = Arc::new(Door::default());
    // A worker that ends at item 3 would be replaced: here each such worker waits at a door instead.
    let killed = |count: &Arc<AtomicUsize>, door: &Arc<Door>| {
        let (count, door) = (Arc::clone(count), Arc::clone(door));
        let stuck = worker(&server, 1).sabotage(Sabotage {
            no_lease: true,
            ..Sabotage::default()
        });
        Serving::start(stuck, move |task| {
            while let Some((key, item)) = task.next_item() {
                if key == 3 {
                    count.fetch_add(1, Ordering::SeqCst);
                    door.wait();
                }
                task.end(key, item);
            }
        })
    };
    let workers: Vec<_> = (0..5).map(|_| killed(&ran, &door)).collect();
    let session = side::open(&server, LEASE);
    session.send("", (0..6).map(|key| (key, "item".into())).collect());
    let got = side::collect(&session, 6);
    assert_eq!(got.lost, [3]);
    assert_eq!(
        got.ends.keys().copied().collect::<Vec<_>>(),
        [0, 1, 2, 4, 5]
    );
    assert_eq!(ran.load(Ordering::SeqCst), 4);
    let overview = Client::connect(&side::access(&server))
        .expect("a server")
        .overview();
    let overview = overview.expect("it answers");
    assert_eq!(overview.dead_count, 1);
    assert_eq!(overview.dead[0].run, session.run());
    door.open();
    drop(workers);
}
