//! Nothing of what an instance wrote is there when its slot is used again: not in its memory, not in
//! its table of functions, not in the memory that exceptions take. Its module is written by an attacker
//! who soils all three, to the last byte, and it ends in every way that an instance can end.

use std::fs::{self, File};
use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moonfork::testing::Inspect;
use moonfork::testing::memory_of;
use moonfork::{Branch, Pool};
use rstest::rstest;

use crate::common;

/// Entries of the module's table: more than fit into a page of the host's.
const ENTRIES: u32 = 2000;

/// How many exceptions are thrown, each with another number in it.
const EXCEPTIONS: u64 = 20_000;

/// Marks that may be found where none is left: stacks of this process lie beside the pool, too, and
/// have some that this test looked at. A page that exceptions filled has at least twice as many.
const STRAY: usize = 32;

/// Exception `n` carries `n` times this: numbers that stand nowhere else, since only the sandbox
/// works them out.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The attacker's module. Reading a global answers how many entries of its table are there (one, in
/// a fresh instance); setting one throws a single exception; running code soils everything, and then
/// does what `end` says.
fn pool(end: &str) -> Pool {
    let module = format!(
        r#"(module
            (tag $mark (param i64))
            (memory (export "memory") 32)
            (table $table {ENTRIES} {ENTRIES} funcref)
            (elem (i32.const 7) $nothing)
            (data (i32.const 70000) "an image of its own")
            (func $nothing)
            (func (export "moonfork_alloc") (param i32) (result i32) (i32.const 1024))
            (func $throw (param $number i64)
                (block $caught (result i64)
                    (try_table (catch $mark $caught) (throw $mark (local.get $number)))
                    (unreachable))
                drop)
            (func $null (result i64)
                (i32.store16 (i32.const 4096) (i32.const 0xc000))
                (i64.const 0x1000_0000_0002))
            (func $entries (result i64)
                (local $at i32) (local $found i32)
                (loop $next
                    (if (i32.eqz (ref.is_null (table.get $table (local.get $at))))
                        (then (local.set $found (i32.add (local.get $found) (i32.const 1)))))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const {ENTRIES}))))
                ;; Success, and an integer of two bytes, the high one first.
                (i32.store16 (i32.const 4096) (i32.const 0xcd00))
                (i32.store8 (i32.const 4098) (i32.shr_u (local.get $found) (i32.const 8)))
                (i32.store8 (i32.const 4099) (local.get $found))
                (i64.const 0x1000_0000_0004))
            (func $soil
                (local $number i64)
                (loop $next
                    (local.set $number (i64.add (local.get $number) (i64.const 1)))
                    (call $throw (i64.mul (local.get $number) (i64.const {factor})))
                    (br_if $next (i64.lt_u (local.get $number) (i64.const {EXCEPTIONS}))))
                (table.fill $table (i32.const 0) (ref.func $nothing) (i32.const {ENTRIES}))
                (loop $grow
                    (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (memory.fill (i32.const 0) (i32.const 0xa5)
                    (i32.mul (memory.size) (i32.const 65536))))
            (func (export "moonfork_call") (param $op i32) (param i32 i64 i32) (result i64)
                ;; The highest bit says that a seed comes along.
                (local.set $op (i32.and (local.get $op) (i32.const 0x7fff_ffff)))
                (if (i32.eq (local.get $op) (i32.const 3)) (then (return (call $entries))))
                (if (i32.eq (local.get $op) (i32.const 4))
                    (then (call $throw (i64.const 0)) (return (call $null))))
                (if (i32.eqz (local.get $op)) (then (return (call $null))))
                (call $soil)
                {end}))"#,
        factor = FACTOR.cast_signed(),
    );
    common::builder()
        .guest(wat::parse_str(module).unwrap())
        .memory(8 << 20)
        .wall(Duration::from_secs(20))
        .max_branches(1)
        .build()
        .unwrap()
}

#[rstest]
#[case::returned("(call $null)", None)]
#[case::killed("(loop $forever (br $forever)) (unreachable)", Some("timeout"))]
#[case::trapped_out_of_memory("(unreachable)", Some("out_of_memory"))]
#[case::misbehaved("(i64.const 0x7fff_ffff_0000_ffff)", Some("internal"))]
fn nothing_is_left_of_an_instance(#[case] end: &str, #[case] code: Option<&str>) {
    /// Pools may lie beside each other, and each of these looks for what none may hold.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

    let pool = pool(end);
    let fresh = |branch: &mut Branch, untouched: &[u8]| {
        // Not by `assert_eq`, whose message would be megabytes.
        assert!(
            memory_of(branch) == untouched,
            "the memory isn't the image's"
        );
        assert_eq!(branch.global::<u32>("entries").unwrap(), 1);
        branch.set_global("an exception", &()).unwrap();
        let marks = marks_near(branch);
        assert!(marks < STRAY, "{marks} marks of the exceptions before");
    };
    let untouched = memory_of(&pool.branch().unwrap());
    fresh(&mut pool.branch().unwrap(), &untouched);
    for _ in 0..3 {
        let mut before = pool.branch().unwrap();
        let options = moonfork::RunOptions::new().wall(Duration::from_secs(2));
        let result = before.with(&options).eval::<()>("soil");
        match (code, result) {
            (None, Ok(())) => {
                // What this looks at is soiled indeed.
                assert!(
                    memory_of(&before)
                        .iter()
                        .filter(|byte| **byte == 0xa5)
                        .count()
                        > 1 << 20
                );
                assert_eq!(before.global::<u32>("entries").unwrap(), ENTRIES);
                assert!(marks_near(&before) > 1000);
            }
            (Some(code), Err(error)) => assert_eq!(error.code(), code, "{error}"),
            (code, result) => panic!("{code:?} was expected, not {result:?}"),
        }
        drop(before);
        fresh(&mut pool.branch().unwrap(), &untouched);
    }
}

/// How many of the exceptions' numbers stand in the memory that the branch's pool has for instances.
fn marks_near(branch: &Branch) -> usize {
    let base = branch.memory_base().expect("the branch is alive") as u64;
    let memory = File::open("/proc/self/mem").expect("a process may read its own memory");
    let mut found = 0;
    for part in writable_around(base) {
        let mut bytes = vec![0; usize::try_from(part.end - part.start).unwrap()];
        // What another test has given back since isn't the pool's: that lives as long as the branch.
        if memory.read_exact_at(&mut bytes, part.start).is_err() {
            bytes.fill(0);
            black_box(&bytes);
            continue;
        }
        let words = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        found += words.filter(|word| is_mark(*word)).count();
        // This copy must not be found next time: the process's own heap may lie beside the pool.
        bytes.fill(0);
        black_box(&bytes);
    }
    found
}

/// Whether exceptions had this number: it is a small multiple of [`FACTOR`]. That itself doesn't count: it
/// stands in this test's code and in that of its module, which may lie beside the pool.
fn is_mark(word: u64) -> bool {
    // The inverse of an odd number modulo 2^64, by Newton's iteration.
    let inverse = (0..6).fold(FACTOR, |inverse, _| {
        inverse.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse)))
    });
    (2..=EXCEPTIONS).contains(&word.wrapping_mul(inverse))
}

/// The parts that can be written to of what is mapped around `address` without a gap: a pool reserves
/// the memory of all its instances in one piece.
fn writable_around(address: u64) -> Vec<Range<u64>> {
    let maps = fs::read_to_string("/proc/self/maps").expect("a process may read its own map");
    let mappings: Vec<(Range<u64>, bool)> = maps
        .lines()
        .map(|line| {
            let (range, rest) = line.split_once(' ').expect("a range and more");
            let (start, end) = range.split_once('-').expect("a range");
            let number = |text| u64::from_str_radix(text, 16).expect("an address");
            (number(start)..number(end), rest.starts_with("rw"))
        })
        .collect();
    let home = mappings
        .iter()
        .position(|(range, _)| range.contains(&address))
        .expect("the memory is mapped");
    let first = (1..=home)
        .rev()
        .take_while(|at| mappings[at - 1].0.end == mappings[*at].0.start)
        .last()
        .map_or(home, |at| at - 1);
    let last = (home..mappings.len() - 1)
        .take_while(|at| mappings[*at].0.end == mappings[at + 1].0.start)
        .last()
        .map_or(home, |at| at + 1);
    mappings[first..=last]
        .iter()
        .filter(|(_, writable)| *writable)
        .map(|(range, _)| range.clone())
        .collect()
}
