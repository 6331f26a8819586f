//! What an ended instance leaves in its slot is never to be seen by the next one while the kernel moves
//! pages about: it is told to compact memory all the time, and given something to compact.
//!
//! In a process of its own, since it keeps the whole machine busy; a second long in the test suite.
//! `cargo xtask isolation --minutes 10` runs it for longer and prints what it did. Skipped, saying so,
//! without the right to have memory compacted.

#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use moonfork::Pool;
use moonfork::testing::memory_of;

/// How long it runs, in seconds: set by `cargo xtask isolation`.
const SECONDS: &str = "MOONFORK_ISOLATION_SECONDS";

/// What writing to makes the kernel compact memory.
const COMPACT: &str = "/proc/sys/vm/compact_memory";

#[test]
fn compacted_memory_is_not_seen_by_the_next_branch() {
    let seconds = std::env::var(SECONDS).map_or(1, |text| text.parse().expect("a number"));
    let Ok(mut compact) = OpenOptions::new().write(true).open(COMPACT) else {
        eprintln!("skipped: only root may have memory compacted ({COMPACT})");
        return;
    };
    let done = AtomicBool::new(false);
    let compactions = AtomicU64::new(0);
    let (branches, leaks) = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if compact.write_all(b"1").is_ok() {
                    compactions.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                punch_holes();
            }
        });
        let counted = count_leaks(Duration::from_secs(seconds));
        done.store(true, Ordering::Relaxed);
        counted
    });
    println!(
        "{leaks} of {branches} branches saw memory of the one before, in {seconds} s with {} \
         compactions",
        compactions.load(Ordering::Relaxed)
    );
    assert!(branches > 0 && compactions.load(Ordering::Relaxed) > 0);
    assert_eq!(leaks, 0);
}

/// Fills 256 MiB and gives every second piece back, which leaves the kernel pages to move together.
fn punch_holes() {
    let pieces: Vec<_> = (0..4096).map(|_| vec![1_u8; 64 << 10]).collect();
    let kept: Vec<_> = pieces.into_iter().step_by(2).collect();
    assert_eq!(kept.len(), 2048);
}

/// How many branches were made in `time` after one that had written to its memory, and in how many
/// of them that differed from the image.
fn count_leaks(time: Duration) -> (u64, u64) {
    let pool = Pool::builder().max_branches(1).max_runs(0).build().unwrap();
    let untouched = memory_of(&pool.branch().unwrap());
    let until = Instant::now() + time;
    let (mut branches, mut leaks) = (0, 0);
    while Instant::now() < until {
        let mut before = pool.branch().unwrap();
        before
            .eval::<()>("marks = {} for i = 1, 2000 do marks[i] = 'mark ' .. i end")
            .unwrap();
        drop(before);
        let after = pool.branch().unwrap();
        branches += 1;
        leaks += u64::from(memory_of(&after) != untouched);
    }
    (branches, leaks)
}
