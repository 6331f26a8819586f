//! Whether a second worker is worth as much to us as to native states.

use std::thread;
use std::time::Instant;

use mlua::Lua;
use moonfork::Pool;

use crate::Result;
use crate::measure::{Pair, median};
use crate::table::{Goal, Table};

/// Branches of one measurement.
const BRANCHES: u32 = 10_000;
/// Measurements of either side at the most, by one worker and by two each.
const MAX_ROUNDS: usize = 9;

/// What each branch does.
const CHUNK: &str = "local sum = 0 for i = 1, 100 do sum = sum + i end return sum";

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let name = "10,000 branches: speed-up of 2 workers over 1";
    if !table.wants(name) {
        return Ok(());
    }
    let pool = Pool::builder().build()?;
    let ours = || {
        let sum: u32 = pool
            .branch()
            .and_then(|mut branch| branch.eval(CHUNK))
            .expect("a branch runs");
        assert_eq!(sum, 5050);
    };
    let native = || {
        let sum: u32 = Lua::new().load(CHUNK).eval().expect("a state runs");
        assert_eq!(sum, 5050);
    };
    // In turn, since two workers feel all else that the machine does.
    let (mut our_speedups, mut native_speedups) = (vec![], vec![]);
    for _ in 0..table.effort().rounds.min(MAX_ROUNDS) {
        our_speedups.push(seconds(1, BRANCHES, &ours) / seconds(2, BRANCHES, &ours));
        native_speedups.push(seconds(1, BRANCHES, &native) / seconds(2, BRANCHES, &native));
    }
    let (ours, native) = (median(our_speedups), median(native_speedups));
    let pair = Pair {
        ours,
        native,
        ratio: ours / native,
    };
    table.add(name, Goal::AtLeast(0.95), pair, "x");
    Ok(())
}

/// Seconds in which `workers` threads do `work` so many times in all.
pub(crate) fn seconds(workers: u32, times: u32, work: &(dyn Fn() + Sync)) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| (0..times / workers).for_each(|_| work()));
        }
    });
    start.elapsed().as_secs_f64()
}
