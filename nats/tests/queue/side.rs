//! The two sides, in this process: a worker on a thread, and what a session gets.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use moonfork_nats::{Access, Client, Error, Run, Session, Stopper, Task, Update, Worker};

use crate::server::Server;

/// Where a server is.
pub(crate) fn access(server: &Server) -> Access {
    Access::new(server.url())
}

/// A worker, which is stopped with this.
pub(crate) struct Serving {
    pub(crate) stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Serving {
    pub(crate) fn start(
        worker: Worker,
        run: impl Fn(&Arc<Task>) + Send + Sync + 'static,
    ) -> Serving {
        let stopper = worker.stopper();
        let thread = std::thread::spawn(move || worker.serve(run));
        Serving {
            stopper,
            thread: Some(thread),
        }
    }

    /// Stops it, and waits until it has stopped.
    pub(crate) fn stop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join().expect("it doesn't panic");
            ended.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

pub(crate) fn worker(server: &Server, slots: usize) -> Worker {
    let worker = Worker::new(access(server), "default", "1-test").expect("fine names");
    worker
        .slots(NonZeroUsize::new(slots).expect("some"))
        .on_note(|note| println!("worker: {note}"))
}

/// Gives each item back, in capitals.
pub(crate) fn capitals(task: &Arc<Task>) {
    while let Some((key, item)) = task.next_item() {
        task.end(key, item.to_ascii_uppercase());
    }
}

#[track_caller]
pub(crate) fn open(server: &Server, lease: Duration) -> Session {
    let client = Client::connect(&access(server)).unwrap_or_else(|error| panic!("{error}"));
    let run = Run::new("default", "1-test").lease(lease);
    let session = client.open(run.patience(Duration::from_secs(20)));
    let mut session = session.unwrap_or_else(|error| panic!("{error}"));
    session.begin();
    session
}

/// What became of items.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) ends: BTreeMap<u64, String>,
    pub(crate) lost: Vec<u64>,
    pub(crate) cancelled: Vec<u64>,
}

impl Got {
    #[track_caller]
    fn take(&mut self, update: Update) {
        match update {
            Update::End { keys, end, .. } => {
                let end = String::from_utf8(end.to_vec()).expect("text");
                for key in keys {
                    let before = self.ends.insert(key, end.clone());
                    assert!(before.is_none(), "{key} has two ends");
                }
            }
            Update::Cancelled { keys } => self.cancelled.extend(keys),
            Update::Lost { key, .. } => self.lost.push(key),
            Update::Broken(why) => panic!("{why}"),
            _ => {}
        }
    }
}

/// Sends the items with these keys, as many at a time as there is room for, and waits for all.
#[track_caller]
pub(crate) fn run(session: &Session, keys: impl IntoIterator<Item = u64>) -> Got {
    let mut keys = keys.into_iter().peekable();
    let mut got = Got::default();
    let mut sent = 0;
    let began = Instant::now();
    loop {
        while keys.peek().is_some() && session.room(None) > 0 {
            let size = session.next_size(100_000);
            let items = keys.by_ref().take(size);
            let items: Vec<_> = items
                .map(|key| (key, format!("item {key}").into()))
                .collect();
            sent += items.len();
            session.send("common", items);
        }
        if keys.peek().is_none() && got.ends.len() + got.lost.len() == sent {
            return got;
        }
        if let Some(update) = session.wait(Some(Duration::from_secs(1))) {
            got.take(update);
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{got:?}");
    }
}

/// Waits until so many have ended, one way or another.
#[track_caller]
pub(crate) fn collect(session: &Session, count: usize) -> Got {
    let mut got = Got::default();
    while got.ends.len() + got.lost.len() + got.cancelled.len() < count {
        let update = session.wait(Some(Duration::from_secs(60)));
        got.take(update.unwrap_or_else(|| panic!("nothing comes: {got:?}")));
    }
    got
}
