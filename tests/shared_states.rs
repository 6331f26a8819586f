//! What branches give takes memory by what they changed, and not by what they were given.
//!
//! Counted are the bytes that are allocated at a time, at the most. A process of its own, since the
//! allocator is that of the process; and one test, since it counts for all threads.

#![allow(unsafe_code, reason = "an allocator can't be had without")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use moonfork::Pool;
use moonfork::workflow::{RunOptions, Workflow};
use serde_json::{Value, json};

/// The system's allocator, which counts what it has given and not got back.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn add(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: all of it is the system's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Branches that change a number and look at a large list; a fan-in that looks at all that they
/// gave and keeps it as it is; and a node that finds it as it was.
const WORKFLOW: &str = "
settings: {parallel: {max_workers: 2}}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ state.items }}'
    run: 'return {n = state.item + #state.rows, text = state.text}'
  - name: join
    run: |
      local all = 0
      for _, result in ipairs(state.parallel_results) do
        assert(result.success, result.error)
        all = all + result.state.n + #result.state.rows + #result.state.text
      end
      return {all = all, kept = state.parallel_results, parallel_results = null}
  - name: look
    run: |
      local again = 0
      for index, result in ipairs(state.kept) do
        again = again + result.state.n + #result.state.rows + #result.state.text
      end
      return {again = again, kept = null, items = null}
";

/// The most bytes that were allocated at a time for so many branches over a list of so many numbers,
/// beside what was there before.
fn most(pool: &Pool, workflow: &Workflow, branches: usize, rows: usize) -> usize {
    let input = json!({
        "items": (0..branches).collect::<Vec<_>>(),
        "rows": (0..rows).collect::<Vec<_>>(),
        "text": "x".repeat(rows),
    });
    let Value::Object(input) = input else {
        panic!("an object");
    };
    let expected = branches * (branches - 1) / 2 + branches * 3 * rows;
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let outcome = workflow.run(pool, input, &RunOptions::new());
    let most = MOST.load(Ordering::Relaxed) - before;
    let state = outcome.unwrap_or_else(|error| panic!("{error}")).state;
    assert_eq!(
        (&state["all"], &state["again"]),
        (&json!(expected), &json!(expected))
    );
    most
}

#[test]
fn what_branches_were_given_is_there_once() {
    let workflow = Workflow::parse(WORKFLOW, "w.yaml").unwrap_or_else(|error| panic!("{error}"));
    let pool = common::builder().max_branches(2).build().expect("a pool");
    // Compiled, and whatever is made once.
    most(&pool, &workflow, 2, 10);
    let few = most(&pool, &workflow, 20, 20_000);
    let many = most(&pool, &workflow, 620, 20_000);
    // Each copy of the list would take 480 KB or more.
    let each = many.saturating_sub(few) / 600;
    println!("{few} bytes for 20 branches, {many} for 620: {each} for each more");
    assert!(each < 24_000, "{each} bytes for each branch");
}
