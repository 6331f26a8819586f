//! Chunks that branches hold from the start, where who froze their memory said so.

use rstest::rstest;

use crate::chunk::Chunk;
use crate::instance::freeze::Extras;
use crate::instance::handle::snapshot::Snapshot;
use crate::{Branch, Pool};

const CODE: &str = "seen = (seen or state.from) + 1 return seen";

fn chunk() -> Chunk<'static> {
    Chunk::body(CODE).named("node 'a'").first_line(7)
}

/// A branch that begins with what a main instance has, and holds these chunks.
fn branch(pool: &Pool, chunks: &[Chunk<'_>]) -> Branch {
    snapshot(pool, chunks).branch().unwrap()
}

fn snapshot(pool: &Pool, chunks: &[Chunk<'_>]) -> Snapshot {
    let mut run = pool.run_main().unwrap();
    let extras = Extras {
        state: None,
        chunks,
    };
    run.snapshot_with(extras).unwrap()
}

#[test]
fn branches_hold_what_they_run() {
    let pool = Pool::builder().build().unwrap();
    let mut branch = branch(&pool, &[chunk(), chunk()]);
    assert!(branch.holds(&chunk()).unwrap());
    for expected in [4, 5] {
        let state = serde_json::json!({"from": 3});
        let seen: i64 = branch.eval_with(chunk(), &state).unwrap();
        assert_eq!(seen, expected);
    }
}

#[rstest]
#[case::another_name(chunk().named("node 'b'"))]
#[case::another_line(chunk().first_line(8))]
#[case::another_text(Chunk::body("return 1").named("node 'a'").first_line(7))]
#[case::an_expression(Chunk::new(CODE).named("node 'a'").first_line(7))]
fn they_hold_nothing_else(#[case] other: Chunk<'_>) {
    let pool = Pool::builder().build().unwrap();
    let mut branch = branch(&pool, &[chunk()]);
    assert!(!branch.holds(&other).unwrap());
}

#[test]
fn what_does_not_parse_is_not_held() {
    let pool = Pool::builder().build().unwrap();
    let broken = Chunk::body("x = = 1");
    let mut branch = branch(&pool, &[broken.clone(), chunk()]);
    assert!(!branch.holds(&broken).unwrap());
    assert!(branch.holds(&chunk()).unwrap());
}

#[test]
fn nothing_is_held_where_fuel_is_metered() {
    let pool = Pool::builder().metered().build().unwrap();
    let mut branch = branch(&pool, &[chunk()]);
    assert!(!branch.holds(&chunk()).unwrap());
}

#[test]
fn who_begins_with_a_branch_holds_what_that_holds() {
    let pool = Pool::builder().build().unwrap();
    let mut parent = branch(&pool, &[chunk()]);
    let other = chunk().first_line(9);
    let chunks = [chunk(), other.clone()];
    let extras = Extras {
        state: None,
        chunks: &chunks,
    };
    let mut child = parent.snapshot_with(extras).unwrap().branch().unwrap();
    let mut fork = parent.fork().unwrap();
    assert!(child.holds(&chunk()).unwrap() && child.holds(&other).unwrap());
    assert!(fork.holds(&chunk()).unwrap() && !fork.holds(&other).unwrap());
    let state = serde_json::json!({"from": 3});
    for branch in [&mut child, &mut fork] {
        assert_eq!(branch.eval_with::<_, i64>(chunk(), &state).unwrap(), 4);
    }
    assert_eq!(child.eval_with::<_, i64>(other, &state).unwrap(), 5);
}

/// Whoever reads the file doesn't know under which numbers its guest holds which texts.
#[test]
fn what_was_written_and_read_holds_nothing_that_is_known() {
    let pool = Pool::builder().build().unwrap();
    let bytes = snapshot(&pool, &[chunk()]).to_bytes().unwrap();
    let mut branch = pool.snapshot_from_bytes(&bytes).unwrap().branch().unwrap();
    assert!(!branch.holds(&chunk()).unwrap());
    let chunks = [chunk().first_line(9)];
    let extras = Extras {
        state: None,
        chunks: &chunks,
    };
    let mut child = branch.snapshot_with(extras).unwrap().branch().unwrap();
    let state = serde_json::json!({"from": 3});
    let seen: i64 = child.eval_with(chunks[0].clone(), &state).unwrap();
    assert_eq!(seen, 4);
}
