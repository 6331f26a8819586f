//! What was recorded is replayed as it was: whatever scripts can be told, and nothing is touched for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moonfork::{Access, Branch, Clock, Folder, Grants, HostError, Pool, RunOptions};
use rstest::rstest;
use serde_json::{Value, json};

use super::{offline, recording, replay, same, taken};
use crate::common;

/// A pool with functions that count how often they are called.
fn pool(metered: bool) -> (Pool, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let (counted, also) = (Arc::clone(&calls), Arc::clone(&calls));
    let mut builder = common::builder()
        .max_branches(4)
        .function("add", move |(a, b): (f64, f64)| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, HostError>(a + b)
        })
        .function("fail", |(why,): (String,)| -> Result<(), HostError> {
            Err(HostError::from(why))
        })
        .async_function("later", move |_, (n,): (u64,)| {
            let calls = Arc::clone(&also);
            async move { Ok::<_, HostError>(n + calls.fetch_add(1, Ordering::Relaxed)) }
        })
        .function("secret", |()| Ok::<_, HostError>("not granted"))
        .module("shapes", "print('loaded') return {side = 3}");
    if metered {
        builder = builder.metered();
    }
    (builder.build().unwrap(), calls)
}

/// What is granted to those that keep a journal; the folder has one file.
fn grants(folder: &std::path::Path) -> Grants {
    std::fs::write(folder.join("in.txt"), b"some\xff\0bytes").unwrap();
    Grants::none()
        .function("add")
        .function("fail")
        .function("later")
        .module("shapes")
        .variable("region", "north")
        .folder("data", Folder::open(folder, Access::ReadWrite).unwrap())
        .clock(Clock::system())
}

#[rstest]
#[case::functions("return {add(1, 2.5), add(1e300, 1e300), (pcall(add, 'x'))}")]
#[case::an_async_function("return later(1) + later(2)")]
#[case::errors_that_are_caught("return {select(2, pcall(fail, 'no'))}")]
#[case::an_error("fail('not caught')")]
#[case::a_refusal("secret()")]
#[case::a_refusal_that_is_caught("return select(2, pcall(function() return secret() end))")]
#[case::a_global_that_is_missing("local x = io.open('x')")]
#[case::files(
    "fs.write('data/out.txt', 'new') fs.append('data/out.txt', '!') fs.mkdir('data/sub')
     local read, list = fs.read('data/in.txt'), fs.list('data')
     fs.remove('data/out.txt')
     return {#read, list, fs.stat('data/in.txt'), fs.stat('data/none'), (pcall(fs.read, 'other/x'))}"
)]
#[case::a_module("return require('shapes').side + #{pcall(require, 'none')}")]
#[case::the_time("return {os.time(), os.date(), os.clock()}")]
#[case::random_numbers("math.randomseed() return {math.random(0), math.random()}")]
#[case::variables("return variables.region")]
#[case::state("local s = state s.more = #s.items return s")]
#[case::printed("print('one', 2) io = nil print(add(1, 1)) return nil")]
#[case::coroutines(
    "local co = coroutine.wrap(function() coroutine.yield(add(1, 2)) error {code = 1} end) co() co()"
)]
fn whatever_scripts_are_told(#[case] code: &str, #[values(false, true)] metered: bool) {
    let (pool, calls) = pool(metered);
    let folder = tempfile::tempdir().unwrap();
    let options = recording(grants(folder.path()));
    let mut branch = pool.branch_with(&options).unwrap();
    let state = json!({"items": [1, 2.5, "three", null], "bytes": "é"});
    let result = branch.eval_with::<_, Value>(code, &state);
    let report = branch.take_report();
    let journal = taken(&mut branch);
    drop(folder);

    let before = calls.load(Ordering::Relaxed);
    let replay = same(&journal);
    assert_eq!(replay.output(), report.output.as_bytes());
    if let Err(error) = result {
        let shown = replay.to_string();
        assert!(shown.contains(&error.to_string()), "{shown}");
        assert!(
            shown.contains(&format!("failed ({})", error.code())),
            "{shown}"
        );
    }
    if let Some(fuel) = report.fuel {
        assert!(
            replay.to_string().contains(&format!("fuel {fuel}")),
            "{replay}"
        );
    }
    assert_eq!(calls.load(Ordering::Relaxed), before, "nothing is called");
}

#[test]
fn calls_of_all_kinds_one_after_the_other() {
    let (pool, _) = pool(false);
    let options = recording(Grants::none().function("add"));
    let mut branch = pool.branch_with(&options).unwrap();
    branch
        .exec("n = 0 function more(by) n = add(n, by) return n end")
        .unwrap();
    branch.set_global("limit", &10).unwrap();
    assert_eq!(branch.call::<_, f64>("more", &(4,)).unwrap(), 4.0);
    // What comes again would otherwise be run from bytecode.
    for _ in 0..4 {
        branch.exec("more(1)").unwrap();
    }
    assert!(branch.eval::<()>("local x = ").is_err());
    assert!(branch.check("return )").is_err());
    assert!(branch.call::<_, ()>("nothing", &()).is_err());
    let few = RunOptions::new().grants(Grants::none());
    assert!(branch.with(&few).eval::<()>("more(1)").is_err());
    assert_eq!(branch.global::<f64>("n").unwrap(), 8.0);
    let journal = taken(&mut branch);
    assert_eq!(journal.calls(), 12);
    let shown = same(&journal).to_string();
    for line in [
        "1. run eval",
        "2. set the global limit = 10",
        "3. call more(4)",
        "   eval:1: add(0, 4) -> 4.0",
        "   returned 4.0",
        "11. read the global n",
        "   returned 8.0",
    ] {
        assert!(shown.lines().any(|it| it == line), "{line}: {shown}");
    }
}

#[test]
fn one_that_was_never_called_has_nothing_to_replay() {
    let (pool, _) = pool(false);
    let mut branch = pool.branch_with(&recording(Grants::none())).unwrap();
    let journal = taken(&mut branch);
    assert_eq!(journal.calls(), 0);
    same(&journal);
}

#[test]
fn nothing_is_kept_unless_it_is_asked_for() {
    let (pool, _) = pool(false);
    let mut branch = pool.branch().unwrap();
    branch.exec("x = 1").unwrap();
    assert!(branch.take_journal().is_none());
    let options = RunOptions::new().journal(1000);
    let error = branch.with(&options).exec("x = 1").unwrap_err();
    assert!(
        error.is_options() && error.to_string().contains("journal"),
        "{error}"
    );
    let error = pool
        .call_function::<_, f64>("add", &(1, 2), &options)
        .unwrap_err();
    assert!(error.is_options(), "{error}");
}

#[test]
fn a_hundred_replays_give_the_same_bytes() {
    let (pool, _) = pool(true);
    let folder = tempfile::tempdir().unwrap();
    let mut branch = pool.branch_with(&recording(grants(folder.path()))).unwrap();
    let run = |branch: &mut Branch, code: &str| drop(branch.eval::<Value>(code));
    run(
        &mut branch,
        "t = {} for i = 1, 50 do t[{}] = add(i, math.random(100)) end print(tostring(t), os.time())",
    );
    run(
        &mut branch,
        "for k, v in pairs(t) do print(k, v, fs.read('data/in.txt')) end return require 'shapes'",
    );
    run(&mut branch, "error {at = os.clock(), of = tostring {}}");
    let journal = taken(&mut branch);
    let file = folder.path().join("a.journal");
    journal.write(&file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let journal = moonfork::Journal::read(&file).unwrap();
    let first = same(&journal).to_string();
    let offline = offline(&journal);
    for _ in 0..100 {
        let replay = offline
            .replay(&journal, &moonfork::ReplayOptions::new())
            .unwrap();
        assert!(replay.is_same(), "{replay}");
        assert_eq!(replay.to_string(), first);
        journal.write(&file).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
    }
    // And from another pool, as in another process.
    assert_eq!(replay(&journal).to_string(), first);
}

#[test]
fn readings_of_a_clock_are_those_that_were_told() {
    let readings = AtomicU64::new(100);
    let clock =
        Clock::from_fn(move || Duration::from_secs(readings.fetch_add(7, Ordering::Relaxed)));
    let (pool, _) = pool(false);
    let mut branch = pool
        .branch_with(&recording(Grants::none().clock(clock)))
        .unwrap();
    let told = branch
        .eval::<[u64; 2]>("return {os.time(), os.time()}")
        .unwrap();
    assert_eq!(told[0] + 7, told[1]);
    let shown = same(&taken(&mut branch)).to_string();
    for told in told {
        let line = format!("eval:1: the time -> {told}.000000000 s");
        assert!(shown.contains(&line), "{shown}");
    }
}
