//! What an ended instance leaves in its slot is never to be seen by the next one, wherever the
//! kernel has put it by then: here its pages are swapped out just before it ends.
//!
//! A process of its own, since it counts what of the process is swapped out, and swaps it.
//!
//! Skipped, saying so, where the kernel has nowhere to swap to. `.ci/run` makes a swap file.

#![cfg(target_os = "linux")]

use std::fs;

use moonfork::testing::{Inspect, memory_of};
use moonfork::{Branch, Pool};

#[test]
fn swapped_memory_is_not_seen_by_the_next_branch() {
    if fs::read_to_string("/proc/swaps").map_or(0, |swaps| swaps.lines().count()) < 2 {
        eprintln!("skipped: this machine has no swap (see .ci/run)");
        return;
    }
    let pool = Pool::builder().max_branches(1).max_runs(0).build().unwrap();
    let untouched = memory_of(&pool.branch().unwrap());
    let mut swapped = 0;
    for round in 0..40 {
        let mut before = pool.branch().unwrap();
        before.set_global("secret", "left behind").unwrap();
        before
            .eval::<()>("marks = {} for i = 1, 2000 do marks[i] = 'mark ' .. i end")
            .unwrap();
        let idle = swapped_out();
        page_out(&before);
        swapped += usize::from(swapped_out() > idle);
        drop(before);

        let mut after = pool.branch().unwrap();
        // Not by `assert_eq`, whose message would be megabytes.
        let differing = untouched
            .iter()
            .zip(memory_of(&after))
            .filter(|(expected, found)| **expected != *found)
            .count();
        assert_eq!(differing, 0, "bytes of round {round} aren't the image's");
        assert_eq!(after.global::<Option<String>>("secret").unwrap(), None);
    }
    assert!(swapped > 0, "the kernel swapped nothing out");
}

/// Has the kernel move all of the branch's memory to where it swaps to.
#[expect(unsafe_code, reason = "only the kernel can be asked for this")]
fn page_out(branch: &Branch) {
    use rustix::mm::{Advice, madvise};

    let base = branch.memory_base().expect("the branch is alive") as *mut _;
    let length = memory_of(branch).len();
    // SAFETY: the memory is mapped as long as the branch lives; paging it out changes none of it.
    unsafe { madvise(base, length, Advice::LinuxPageOut) }.expect("memory can be paged out");
}

/// Kilobytes of this process that are swapped out.
fn swapped_out() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSwap:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse().ok())
        .expect("the kernel counts what is swapped out")
}
