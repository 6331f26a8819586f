//! Processes of this program that serve a server of NATS.

use std::io::Read;
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use moonfork::workflow::nats::{Nats, Worker};
use moonfork::workflow::{RunSettings, Workers};

use super::server::Server;
use crate::workers;

/// What a worker is: this program, which runs one of its tests.
const NAME: &str = "queue::crew::a_worker_of_a_server";

/// What it is told, by its environment.
const URL: &str = "MOONFORK_TEST_NATS";
const POOL: &str = "MOONFORK_TEST_POOL";
const SLOTS: &str = "MOONFORK_TEST_SLOTS";
const KIND: &str = "MOONFORK_TEST_KIND";

#[test]
fn a_worker_of_a_server() {
    let Ok(url) = std::env::var(URL) else { return };
    if !std::env::args().any(|it| it == NAME) {
        return;
    }
    // Whoever started it may end by force.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let say = |name| std::env::var(name).unwrap_or_default();
    let pool = workers::pool(say(KIND) == "metered");
    let nats = Nats::new(url).pool(say(POOL));
    let worker = Worker::new(&nats, &pool).expect("fine names");
    let slots: NonZeroUsize = say(SLOTS).parse().expect("a number");
    let worker = worker
        .slots(slots)
        .on_note(|note| eprintln!("worker: {note}"));
    let served = worker.serve(&pool, &RunSettings::new());
    served.unwrap_or_else(|error| panic!("{error}"));
    std::process::exit(0);
}

/// A pool of workers, each replaced when it ends, until this is dropped.
pub(crate) struct Crew {
    pub(crate) workers: Workers,
    pub(crate) pids: Arc<Mutex<Vec<u32>>>,
    /// How many processes were started.
    pub(crate) started: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    keepers: Vec<JoinHandle<()>>,
}

/// Which workers.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) count: usize,
    pub(crate) slots: usize,
    pub(crate) kind: &'static str,
    pub(crate) lease: Duration,
}

impl Default for Kind {
    fn default() -> Kind {
        Kind {
            count: 2,
            slots: 1,
            kind: "",
            lease: Duration::from_secs(10),
        }
    }
}

impl Kind {
    /// So many of them.
    pub(crate) fn count(self, count: usize) -> Kind {
        Kind { count, ..self }
    }

    /// Seconds after which one has fallen silent.
    pub(crate) fn lease(self, seconds: u64) -> Kind {
        let lease = Duration::from_secs(seconds);
        Kind { lease, ..self }
    }
}

impl Crew {
    pub(crate) fn start(server: &Server, kind: &Kind) -> Crew {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let pool = format!("pool-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let nats = Nats::new(server.url()).pool(&pool).lease(kind.lease);
        let pids = Arc::new(Mutex::new(vec![0; kind.count]));
        let started = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let keeper = |number: usize| {
            let (url, pool, kind) = (server.url(), pool.clone(), kind.clone());
            let (pids, started, is_over) = (
                Arc::clone(&pids),
                Arc::clone(&started),
                Arc::clone(&is_over),
            );
            std::thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let (mut child, _input) = start(&url, &pool, &kind);
                    started.fetch_add(1, Ordering::SeqCst);
                    pids.lock().unwrap()[number] = child.id();
                    let _ = child.wait();
                }
            })
        };
        let keepers = (0..kind.count).map(keeper).collect();
        // All of them are there before anything is sent.
        let count = || {
            let overview = nats.overview().unwrap_or_else(|error| panic!("{error}"));
            let workers = overview.workers.iter();
            workers.filter(|it| it.pool == pool).count()
        };
        while count() < kind.count {
            std::thread::yield_now();
        }
        Crew {
            workers: Workers::nats(nats),
            pids,
            started,
            is_over,
            keepers,
        }
    }

    /// Sends this signal to one of the processes.
    pub(crate) fn signal(&self, signal: &str, number: usize) {
        let pid = self.pids.lock().unwrap()[number].to_string();
        let _ = Command::new("kill")
            .args([signal, &pid])
            .stderr(Stdio::null())
            .status();
    }

    pub(crate) fn settings(&self) -> RunSettings {
        RunSettings::new().workers(&self.workers)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        for number in 0..self.keepers.len() {
            while !self.keepers[number].is_finished() {
                self.signal("-9", number);
                std::thread::yield_now();
            }
        }
        for keeper in self.keepers.drain(..) {
            let _ = keeper.join();
        }
    }
}

fn start(url: &str, pool: &str, kind: &Kind) -> (Child, ChildStdin) {
    let program = std::env::current_exe().expect("the program's path");
    let mut child = Command::new(program)
        .args([NAME, "--exact", "--nocapture", "--test-threads=1"])
        .env(URL, url)
        .env(POOL, pool)
        .env(SLOTS, kind.slots.to_string())
        .env(KIND, kind.kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a worker");
    let input = child.stdin.take().expect("its input");
    (child, input)
}

/// Workers for all cases of a kind together, where there is a program for a server: they end with this
/// process.
pub(crate) fn shared(metered: bool) -> Option<Workers> {
    static SHARED: OnceLock<Option<(Server, Crew, Crew)>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let server = Server::start()?;
        let crew = |kind| {
            let kind = Kind {
                slots: 2,
                kind,
                ..Kind::default()
            };
            Crew::start(&server, &kind)
        };
        let crews = (crew("plain"), crew("metered"));
        Some((server, crews.0, crews.1))
    });
    let (_, plain, metered_crew) = shared.as_ref()?;
    let crew = match metered {
        true => metered_crew,
        false => plain,
    };
    Some(crew.workers.clone())
}
