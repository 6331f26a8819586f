//! The side that runs jobs.

mod chunk;
mod pull;
mod runs;
mod shown;
mod suspects;
mod task;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, mpsc as threads};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{RwLock, mpsc, watch};

use crate::access::Access;
use crate::error::Error;
use crate::io::Io;
use crate::link::Link;
use crate::names::{self, Crew};
use crate::sealed;
use crate::worker::runs::Runs;
use crate::worker::shown::Shown;

pub use crate::worker::shown::{Busy, WorkerShown};
pub use crate::worker::task::Task;

/// What a worker does wrong, for tests that have to notice it.
#[derive(Clone, Copy, Debug, Default)]
#[cfg(feature = "testing")]
pub struct Sabotage {
    /// It publishes results without the condition that there is none.
    pub unconditional: bool,
    /// It doesn't renew its leases.
    pub no_lease: bool,
}

/// A process that runs jobs of a pool: as many chunks of them at a time as it has slots.
///
/// ```no_run
/// use moonfork_nats::{Access, Worker};
///
/// let worker = Worker::new(Access::new("nats://127.0.0.1:4222"), "default", "1-abc")?;
/// worker.serve(|task| {
///     while let Some((key, item)) = task.next_item() {
///         task.end(key, item.to_ascii_uppercase());
///     }
/// })?;
/// # Ok::<(), moonfork_nats::Error>(())
/// ```
pub struct Worker {
    access: Access,
    crew: Crew,
    id: String,
    slots: NonZeroUsize,
    about: serde_json::Value,
    grace: Duration,
    stopper: Stopper,
    note: Note,
    #[cfg(feature = "testing")]
    sabotage: Sabotage,
}

/// Where a worker says what its operator may want to know.
type Note = Arc<dyn Fn(&str) + Send + Sync>;

impl Worker {
    /// A worker of a pool, for jobs of this version alone. Both are made of letters, digits, `_` and `-`.
    ///
    /// # Errors
    /// If they aren't, or the system has no random numbers for its id.
    pub fn new(access: Access, pool: &str, version: &str) -> Result<Worker, Error> {
        Ok(Worker {
            access,
            crew: Crew::new(pool, version)?,
            id: sealed::random_name()?,
            slots: NonZeroUsize::MIN,
            about: serde_json::Value::Null,
            grace: Duration::from_secs(30),
            stopper: Stopper::new(),
            note: Arc::new(|_| {}),
            #[cfg(feature = "testing")]
            sabotage: Sabotage::default(),
        })
    }

    /// How many chunks it runs at a time: one, unless said.
    #[must_use]
    pub fn slots(mut self, slots: NonZeroUsize) -> Worker {
        self.slots = slots;
        self
    }

    /// What runs are told of it before they send anything.
    #[must_use]
    pub fn about(mut self, about: serde_json::Value) -> Worker {
        self.about = about;
        self
    }

    /// How long an item that runs may go on when the worker is to stop, before it is stopped and given back: 30 seconds,
    /// unless said.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Worker {
        self.grace = grace;
        self
    }

    /// Calls this with what an operator may want to know: that a worker waits for something, or can't read a job.
    #[must_use]
    pub fn on_note(mut self, note: impl Fn(&str) + Send + Sync + 'static) -> Worker {
        self.note = Arc::new(note);
        self
    }

    /// Breaks promises.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn sabotage(mut self, sabotage: Sabotage) -> Worker {
        self.sabotage = sabotage;
        self
    }

    /// Its id, random.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What stops it.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is stopped: calls `run` with chunks of jobs, on as many threads as there are slots. What `run` has
    /// not given an end to when it returns is sent to another worker. Leases are renewed meanwhile, whatever
    /// `run` does.
    ///
    /// # Errors
    /// If there is no server, or none that it can serve. One that goes away later is waited for.
    ///
    /// # Panics
    /// If `run` does.
    pub fn serve(self, run: impl Fn(&Arc<Task>) + Sync) -> Result<(), Error> {
        let io = Io::start()?;
        let name = format!("moonfork worker {}", self.id);
        let inbox = format!("{}.{}", names::WORKER_INBOX, self.id);
        let access = self.access.clone();
        let link = io.wait(async move { Link::new(&access, name, &inbox).await })?;
        let state = Arc::new(State {
            shown: Shown::new(&self),
            runs: Runs::default(),
            link,
            crew: self.crew,
            id: self.id,
            io: io.handle().clone(),
            grace: self.grace,
            stop: self.stopper.0.subscribe(),
            stopper: self.stopper,
            woken: watch::channel(0).0,
            barrier: watch::channel(false).0,
            idle: RwLock::new(()),
            note: self.note,
            #[cfg(feature = "testing")]
            sabotage: self.sabotage,
        });
        let run = &run;
        thread::scope(|scope| {
            let mut slots = Vec::new();
            for slot in 0..self.slots.get() {
                let (sender, tasks) = threads::channel::<Arc<Task>>();
                let (done, ended) = mpsc::unbounded_channel();
                thread::Builder::new()
                    .name(format!("moonfork-branch-{slot}"))
                    .spawn_scoped(scope, move || {
                        for task in tasks {
                            run(&task);
                            drop(task);
                            let _ = done.send(());
                        }
                    })
                    .map_err(|error| Error::of("no thread for a slot", error))?;
                slots.push(Slot {
                    number: slot,
                    tasks: sender,
                    ended,
                });
            }
            io.wait(serve(state, slots))
        })
    }
}

/// Stops a worker: it takes no more jobs, finishes the items that run as far as its grace allows, gives back
/// the others, and [`Worker::serve`] returns.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    fn new() -> Stopper {
        Stopper(Arc::new(watch::channel(false).0))
    }

    /// Stops it; more than once does no more.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// A thread that runs one chunk at a time.
struct Slot {
    number: usize,
    tasks: threads::Sender<Arc<Task>>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// What the tasks of a worker share.
struct State {
    link: Link,
    crew: Crew,
    id: String,
    io: tokio::runtime::Handle,
    grace: Duration,
    stop: watch::Receiver<bool>,
    stopper: Stopper,
    /// Counts calls that there is something to do.
    woken: watch::Sender<u64>,
    /// Whether a suspect is to run alone.
    barrier: watch::Sender<bool>,
    /// Held for reading by each slot at work, and for writing while a suspect runs alone.
    idle: RwLock<()>,
    runs: Runs,
    shown: Shown,
    note: Note,
    #[cfg(feature = "testing")]
    sabotage: Sabotage,
}

impl State {
    fn note(&self, note: &str) {
        (self.note)(note);
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn renews(&self) -> bool {
        #[cfg(feature = "testing")]
        return !self.sabotage.no_lease;
        #[cfg(not(feature = "testing"))]
        true
    }

    fn publishes_once(&self) -> bool {
        #[cfg(feature = "testing")]
        return !self.sabotage.unconditional;
        #[cfg(not(feature = "testing"))]
        true
    }
}

async fn serve(state: Arc<State>, slots: Vec<Slot>) -> Result<(), Error> {
    let client = &state.link.client;
    let subscribed = |error| Error::of("listening to the server", error);
    let cancels = client.subscribe("mf.cancel.*").await.map_err(subscribed)?;
    let wakes = client
        .subscribe(state.crew.wake())
        .await
        .map_err(subscribed)?;
    let mut helpers = vec![
        tokio::spawn(runs::listen(Arc::clone(&state), cancels)),
        tokio::spawn(pull::listen(Arc::clone(&state), wakes)),
        tokio::spawn(shown::renew(Arc::clone(&state))),
    ];
    let mut pulling = Vec::new();
    let mut slots = slots.into_iter();
    // One of them runs suspects as well.
    let first = slots.next();
    let first = Arc::new(tokio::sync::Mutex::new(
        first.ok_or_else(|| Error::new("no slot"))?,
    ));
    helpers.push(tokio::spawn(suspects::run(
        Arc::clone(&state),
        Arc::clone(&first),
    )));
    pulling.push(tokio::spawn(pull::run(Arc::clone(&state), first)));
    for slot in slots {
        let slot = Arc::new(tokio::sync::Mutex::new(slot));
        pulling.push(tokio::spawn(pull::run(Arc::clone(&state), slot)));
    }
    for slot in pulling {
        let ended = slot.await;
        ended.map_err(|error| Error::of("a slot has ended", error))?;
    }
    // Until a suspect that runs has ended, too.
    drop(state.idle.write().await);
    for helper in helpers {
        helper.abort();
    }
    shown::leave(&state).await;
    Ok(())
}

/// A lock whose holder may have panicked.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since then.
fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Until it says so; for ever, if nobody can any more.
async fn until(said: &mut watch::Receiver<bool>, value: bool) {
    if said.wait_for(|it| *it == value).await.is_err() {
        std::future::pending::<()>().await;
    }
}
