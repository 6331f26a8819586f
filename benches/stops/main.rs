//! How long after a limit a caller has its error.
//!
//! `cargo bench --bench stops`: median and worst of 50 runs each, in milliseconds, counted from
//! the moment the limit was reached. For time and cancelling that moment is known outside of the
//! sandbox; a script that runs into the limit of host calls or of fuel notes it by a host call
//! just before. Then, how long branches of a workflow go on after one of them failed, or their
//! time is over. And at the end, whether 200,000 errors caught in one instance slow it down: some
//! that return to their `pcall`, and some that are exceptions of the sandbox.

mod branches;

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use moonfork::{Cancel, Chunk, Error, Grants, Pool, RunOptions, With};

/// Scripts that try to go on for ever, each in another place.
const HOSTILE: &[(&str, &str)] = &[
    ("empty loop", "while true do end"),
    (
        "coroutine",
        "coroutine.wrap(function() while true do end end)()",
    ),
    ("pcall in a loop", "while true do pcall(error, 'x') end"),
    (
        "loop in pcall in a loop",
        "while true do pcall(function() while true do end end) end",
    ),
    (
        "metamethod",
        "return setmetatable({}, {__index = function() while true do end end}).x",
    ),
    (
        "pattern",
        "return string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))",
    ),
    (
        "string.rep",
        "while true do local s = ('x'):rep(1 << 24) end",
    ),
    (
        "table.concat",
        "local t = {} for i = 1, 1e5 do t[i] = 'xxxxxxxx' end while true do table.concat(t) end",
    ),
    (
        "table.sort, hostile comparator",
        "local t = {} for i = 1, 1e5 do t[i] = i end
         while true do pcall(table.sort, t, function() return true end) end",
    ),
    (
        "string.format",
        "while true do string.format(('%99d'):rep(20), table.unpack({1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1})) end",
    ),
    (
        "gsub with a callback",
        "while true do (('x'):rep(1e5)):gsub('.', function() end) end",
    ),
    (
        "finalizer",
        "setmetatable({}, {__gc = function() while true do end end}) while true do local t = {} end",
    ),
    (
        "__close",
        "local x <close> = setmetatable({}, {__close = function() while true do end end})",
    ),
    (
        "parser",
        "local s = ('x='):rep(1e5, '1 ') while true do load(s) end",
    ),
    (
        "json",
        "local t = {} for i = 1, 1e5 do t[i] = i end while true do json.encode(t) end",
    ),
    ("print", "while true do print('x') end"),
];

/// Runs of each.
const RUNS: usize = 50;

fn main() {
    if std::env::args().any(|argument| argument == "errors") {
        return caught_errors(&pool(false));
    }
    println!(
        "{:<10} {:<32} {:>10} {:>10}",
        "limit", "script", "median ms", "worst ms"
    );
    let pool = pool(false);
    for (name, code) in HOSTILE {
        show("wall", name, || after_deadline(&pool, code));
    }
    for (name, code) in HOSTILE {
        show("cancel", name, || after_cancel(&pool, code));
    }
    show("host calls", "a call in pcall in a loop", || {
        after_mark(
            &pool,
            |options| options.host_calls(100),
            "while true do pcall(mark) end",
        )
    });
    let metered = self::pool(true);
    show("fuel", "empty loop, 1e6 units", || {
        after_mark(
            &metered,
            |options| options.fuel(1_000_000),
            "mark() while true do end",
        )
    });
    show("memory", "a table that grows, 8 MiB", || {
        let grow =
            "mark() local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20, tostring(#t)) end";
        after_mark(&pool, |options| options.memory(8 << 20), grow)
    });
    drop((pool, metered));
    branches::figures();
    caught_errors(&self::pool(false));
}

/// Catches 200,000 errors in one instance, and shows how long each tenth takes.
fn caught_errors(pool: &Pool) {
    for caught in ["pcall(error, {i})", "pcall(string.rep)"] {
        let mut branch = pool.branch().expect("a branch");
        let round = format!("for i = 1, 20000 do {caught} end");
        let mut times = Vec::new();
        for _ in 0..10 {
            let start = Instant::now();
            branch.eval::<()>(&*round).expect("all are caught");
            times.push(start.elapsed());
        }
        println!(
            "\n200,000 times {caught}, by 20,000: {times:.1?}; {} KiB at the most",
            branch.take_report().peak_memory >> 10
        );
    }
}

fn pool(metered: bool) -> Pool {
    let last = Arc::clone(&MARK);
    let builder = Pool::builder().function("mark", move |()| {
        *last.lock().expect("nothing panics here") = Some(Instant::now());
        Ok(())
    });
    let builder = if metered { builder.metered() } else { builder };
    builder.build().expect("a pool")
}

/// When `mark` was called last.
static MARK: std::sync::LazyLock<Arc<Mutex<Option<Instant>>>> =
    std::sync::LazyLock::new(Arc::default);

fn show(limit: &str, name: &str, run: impl Fn() -> Duration) {
    let mut times: Vec<_> = (0..RUNS).map(|_| run()).collect();
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{limit:<10} {name:<32} {:>10.2} {:>10.2}",
        ms(times[RUNS / 2]),
        ms(times[RUNS - 1])
    );
}

/// From the deadline to the error.
fn after_deadline(pool: &Pool, code: &str) -> Duration {
    let wall = Duration::from_millis(60);
    let mut branch = pool.branch().expect("a branch");
    let deadline = Instant::now() + wall;
    let options = RunOptions::new().deadline(deadline);
    let error = run(branch.with(&options), code);
    let late = Instant::now() - deadline;
    assert!(error.is_timeout(), "{error}");
    late
}

/// From firing the handle to the error.
fn after_cancel(pool: &Pool, code: &str) -> Duration {
    let cancel = Cancel::new();
    let (send, runs) = std::sync::mpsc::channel();
    let grants = Grants::none().output(move |_| {
        let _ = send.send(());
    });
    let options = RunOptions::new().cancel_handle(&cancel).grants(grants);
    let mut branch = pool.branch_with(&options).expect("a branch");
    let canceller = thread::spawn(move || {
        runs.recv().expect("it says that it runs");
        thread::sleep(Duration::from_millis(30));
        let fired = Instant::now();
        cancel.cancel();
        fired
    });
    let error = run(
        branch.with(&RunOptions::new()),
        &format!("print('runs') {code}"),
    );
    let ended = Instant::now();
    assert!(error.is_cancelled(), "{error}");
    ended - canceller.join().expect("nothing panics there")
}

/// From the last call of `mark` to the error.
fn after_mark(pool: &Pool, limit: impl Fn(RunOptions) -> RunOptions, code: &str) -> Duration {
    let grants = Grants::none().function("mark");
    let options = limit(RunOptions::new().grants(grants));
    let mut branch = pool.branch_with(&options).expect("a branch");
    let error = run(branch.with(&RunOptions::new()), code);
    let ended = Instant::now();
    assert!(error.is_limit(), "{error}");
    let mark = *MARK.lock().expect("nothing panics here");
    ended - mark.expect("it was called")
}

fn run(mut branch: With<'_>, code: &str) -> Error {
    let chunk = Chunk::body(code);
    black_box(branch.eval::<serde_json::Value>(chunk)).expect_err("it has no end")
}
