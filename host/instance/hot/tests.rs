//! Which chunks are translated, and that nothing else hangs on it.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rstest::rstest;

use super::*;
use crate::instance::compile;
use crate::instance::shared::Shared;
use crate::{Chunk, Pool};

/// Longer than anything here takes, on whatever machine.
const LATE: Duration = Duration::from_secs(120);

fn shared(pool: &Pool) -> Arc<Shared> {
    pool.branch()
        .unwrap()
        .0
        .with(|instance| Arc::clone(instance.shared()))
}

fn known(shared: &Arc<Shared>, code: &str) -> Arc<KnownChunk> {
    let chunk = Chunk::body(code).named(code.to_owned());
    let bytecode = compile::bytecode_patiently(shared, &chunk.to_wire(), false).unwrap();
    KnownChunk::new(&chunk.to_wire(), false, bytecode).into()
}

/// Runs that make it hot.
fn run(hot: &Hot, shared: &Arc<Shared>, chunk: &Arc<KnownChunk>) {
    for _ in 0..2 {
        hot.ran(shared, chunk, LATE);
    }
}

/// The names of what was translated, in order.
fn names(shared: &Shared) -> Vec<String> {
    let all = shared.translations.all().into_iter();
    let mut names: Vec<_> = all.map(|(name, ..)| name).collect();
    names.sort();
    names
}

#[test]
fn the_larger_a_chunk_is_the_longer_it_takes_until_it_is_hot() {
    let pool = Pool::builder().build().unwrap();
    let shared = shared(&pool);
    let small = known(&shared, "return 1");
    let large = known(&shared, &"x = 1 ".repeat(500));
    let enough = |chunk: &KnownChunk| Duration::from_micros(super::heat::enough(&chunk.bytecode));
    let (small, large) = (enough(&small), enough(&large));
    assert!(small >= Duration::from_millis(11) && small < Duration::from_millis(20));
    assert!(large > Duration::from_millis(500) && large < Duration::from_millis(530));
    assert_eq!(super::heat::enough(b"none"), u64::MAX);
}

#[rstest]
#[case::as_many(2, &["return 1", "return 2"])]
#[case::one_more(1, &["return 1"])]
fn so_many_chunks_are_tried(#[case] chunks: usize, #[case] translated: &[&str]) {
    let pool = Pool::builder().build().unwrap();
    let shared = shared(&pool);
    let bounds = Bounds { chunks, ..BOUNDS };
    let hot = Hot::within(bounds, Arc::new(translate));
    for code in ["return 1", "return 2"] {
        let chunk = known(&shared, code);
        run(&hot, &shared, &chunk);
        assert!(hot.is_done(LATE));
        run(&hot, &shared, &chunk);
        assert!(hot.is_done(LATE), "it is asked for once");
    }
    if shared.image.translates() {
        assert_eq!(names(&shared), translated);
    }
}

#[rstest]
#[case::as_many(0, true)]
#[case::one_more(1, false)]
fn what_takes_more_bytes_than_are_left_is_not_translated(
    #[case] missing: usize,
    #[case] translated: bool,
) {
    let pool = Pool::builder().build().unwrap();
    let shared = shared(&pool);
    let chunk = known(&shared, "return 1");
    let count = moonfork_translate::instructions(&chunk.bytecode).unwrap();
    let bytes = count * CODE + chunk.size() - missing;
    let hot = Hot::within(Bounds { bytes, ..BOUNDS }, Arc::new(translate));
    run(&hot, &shared, &chunk);
    assert!(hot.is_done(LATE));
    if shared.image.translates() {
        assert_eq!(!names(&shared).is_empty(), translated);
        let bytes = hot.work.lock().bytes;
        assert_eq!(bytes > chunk.size(), translated, "they are counted");
    }
}

/// Says which chunk it is given, and waits until it may go on.
fn one_by_one() -> (Arc<Translate>, Sender<()>, Arc<Mutex<Vec<String>>>) {
    let (go_on, may) = channel::<()>();
    let (may, seen) = (Mutex::new(may), Arc::new(Mutex::new(Vec::new())));
    let names = Arc::clone(&seen);
    let translate = move |_: &dyn Translating, chunk: &KnownChunk, _| {
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(chunk.text.chunk.name.clone().into_owned());
        drop(names);
        let may = may.lock().unwrap_or_else(PoisonError::into_inner);
        // Who goes away lets it go on.
        if may.recv() == Ok(()) && chunk.text.chunk.name.contains("panic") {
            panic!("as it was asked to");
        }
        0
    };
    (Arc::new(translate), go_on, seen)
}

fn until(what: impl Fn() -> bool) {
    let late = Instant::now() + LATE;
    while !what() {
        assert!(Instant::now() < late);
        thread::yield_now();
    }
}

#[test]
fn so_many_wait_and_others_ask_again() {
    let pool = Pool::builder().build().unwrap();
    let shared = shared(&pool);
    let (translate, go_on, seen) = one_by_one();
    let bounds = Bounds {
        waiting: 2,
        ..BOUNDS
    };
    let hot = Hot::within(bounds, translate);
    let codes = ["return 1", "return 2", "return 3", "return 4"];
    let chunks = codes.map(|code| known(&shared, code));
    run(&hot, &shared, &chunks[0]);
    until(|| seen.lock().unwrap().len() == 1);
    for chunk in &chunks[1..] {
        run(&hot, &shared, chunk);
    }
    assert_eq!(hot.work.lock().waiting.len(), 2);
    for _ in 0..3 {
        go_on.send(()).unwrap();
    }
    assert!(hot.is_done(LATE));
    assert_eq!(*seen.lock().unwrap(), codes[..3]);
    for chunk in &chunks {
        go_on.send(()).unwrap();
        run(&hot, &shared, chunk);
        assert!(hot.is_done(LATE));
    }
    assert_eq!(*seen.lock().unwrap(), codes);
}

#[test]
fn a_panic_ends_nothing_but_the_translation() {
    let pool = Pool::builder().build().unwrap();
    let shared = shared(&pool);
    let (translate, go_on, seen) = one_by_one();
    let hot = Hot::within(BOUNDS, translate);
    for code in ["return 'panic'", "return 2"] {
        go_on.send(()).unwrap();
        run(&hot, &shared, &known(&shared, code));
        assert!(hot.is_done(LATE));
    }
    assert_eq!(*seen.lock().unwrap(), ["return 'panic'", "return 2"]);
}

#[test]
fn a_pool_that_goes_waits_for_nothing_and_leaves_no_thread() {
    let pool = Pool::builder().build().unwrap();
    let (translate, go_on, seen) = one_by_one();
    let hot = Hot::within(BOUNDS, translate);
    let work = Arc::clone(&hot.work);
    let shared = shared(&pool);
    for code in ["return 1", "return 2"] {
        run(&hot, &shared, &known(&shared, code));
    }
    until(|| seen.lock().unwrap().len() == 1);
    let weak = Arc::downgrade(&shared);
    drop((pool, hot, shared));
    // It was not waited for, and is at it.
    assert!(weak.upgrade().is_some() && work.lock().is_busy);
    go_on.send(()).unwrap();
    until(|| weak.strong_count() == 0 && Arc::strong_count(&work) == 1);
    assert_eq!(*seen.lock().unwrap(), ["return 1"], "the other is left");
}

#[test]
fn a_thread_that_waits_keeps_no_pool() {
    let pool = Pool::builder().compile_hot().build().unwrap();
    let shared = shared(&pool);
    let Some(hot) = &shared.hot else {
        // The guest has no places for translated functions.
        return;
    };
    run(hot, &shared, &known(&shared, "return 1"));
    assert!(hot.is_done(LATE));
    assert_eq!(names(&shared), ["return 1"]);
    let work = Arc::clone(&hot.work);
    let weak = Arc::downgrade(&shared);
    drop((pool, shared));
    until(|| weak.strong_count() == 0 && Arc::strong_count(&work) == 1);
}

#[test]
fn there_is_no_thread_before_there_is_something_to_do() {
    let pool = Pool::builder().compile_hot().build().unwrap();
    let shared = shared(&pool);
    if let Some(hot) = &shared.hot {
        hot.ran(
            &shared,
            &known(&shared, "return 1"),
            Duration::from_micros(1),
        );
        assert_eq!(Arc::strong_count(&hot.work), 1);
    }
}
