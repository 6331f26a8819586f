//! What an ended instance leaves in its slot is never to be seen by the next one, byte by byte,
//! however much memory is kept mapped or used again.

use memchr::memmem;
use moonfork::Pool;
use moonfork::testing::{Inspect, memory_of};
use rstest::rstest;

const SECRET: &str = "a secret of the one before";

/// Fills memory with the secret: a little, as much as stays mapped, much more than that; with
/// errors, and with those that are exceptions, which have a heap of their own; and until the
/// instance is stopped.
#[rstest]
#[case::little("x = secret")]
#[case::pages("t = {} for i = 1, 2000 do t[i] = secret .. i end")]
#[case::megabytes("t = {} for i = 1, 20 do t[i] = secret:rep(20000) .. i end")]
#[case::garbage("for i = 1, 200 do local s = secret:rep(1000) .. i end")]
#[case::errors("for i = 1, 2000 do pcall(error, secret .. i) end")]
#[case::exceptions(
    "for i = 1, 2000 do pcall(string.gsub, 'x', 'x', function() error(secret .. i) end) end"
)]
#[case::coroutines(
    "for i = 1, 200 do local f = coroutine.wrap(function(s) coroutine.yield(s) end) f(secret .. i) end"
)]
#[case::out_of_memory(
    "local ok = pcall(function() t = {} while true do t[#t + 1] = secret .. #t end end)"
)]
fn a_slot_that_is_used_again_shows_nothing_of_before(#[case] script: &str) {
    let pool = pool(1, 24 << 20);
    let untouched = memory_of(&pool.branch().unwrap());
    let mut bases = Vec::new();
    for _ in 0..4 {
        let mut before = pool.branch().unwrap();
        bases.push(before.memory_base().unwrap());
        before.set_global("secret", SECRET).unwrap();
        before.eval::<()>(script).unwrap();
        assert!(contains_secret(&memory_of(&before)));
        drop(before);

        let mut after = pool.branch().unwrap();
        bases.push(after.memory_base().unwrap());
        // Not by `assert_eq`, whose message would be megabytes.
        assert!(memory_of(&after) == untouched, "the image is not restored");
        // Memory that it takes on its own is clean as well.
        after
            .eval::<()>("t = {} for i = 1, 15 do t[i] = ('x'):rep(1000000) .. i end")
            .unwrap();
        assert!(!contains_secret(&memory_of(&after)));
    }
    assert_used_again(bases);
}

/// A pool of so many branches at a time, each of so many bytes.
fn pool(branches: u32, memory: usize) -> Pool {
    Pool::builder()
        .max_branches(branches)
        .max_runs(0)
        .memory(memory)
        .build()
        .unwrap()
}

/// These were alive one after the other: the same address is the same slot.
#[track_caller]
fn assert_used_again(mut bases: Vec<usize>) {
    let slots = bases.len();
    bases.sort_unstable();
    bases.dedup();
    assert!(bases.len() < slots, "no slot was used again");
}

/// The memory of a large fork is filled in another way: by several threads, and in large pages.
#[test]
fn the_slot_of_a_large_fork_shows_nothing_of_it() {
    let pool = pool(2, 48 << 20);
    let untouched = memory_of(&pool.branch().unwrap());
    let mut parent = pool.branch().unwrap();
    parent.set_global("secret", SECRET).unwrap();
    parent
        .exec("t = {} for i = 1, 20 do t[i] = secret:rep(20000) .. i end")
        .unwrap();
    let mut bases = Vec::new();
    for _ in 0..4 {
        let fork = parent.fork().unwrap();
        bases.push(fork.memory_base().unwrap());
        assert!(memory_of(&fork) == memory_of(&parent), "it is no copy");
        drop(fork);
        let mut after = pool.branch().unwrap();
        bases.push(after.memory_base().unwrap());
        assert!(memory_of(&after) == untouched, "the image is not restored");
        after
            .exec("t = {} for i = 1, 30 do t[i] = ('x'):rep(1000000) .. i end")
            .unwrap();
        assert!(!contains_secret(&memory_of(&after)));
    }
    assert_used_again(bases);
}

fn contains_secret(memory: &[u8]) -> bool {
    memmem::find(memory, SECRET.as_bytes()).is_some()
}
