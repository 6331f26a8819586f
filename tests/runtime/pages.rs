//! What almost every script touches lies in front of the guest's memory, where it is copied for each
//! instance: nothing has to be asked of the kernel for it.

use std::fs;

use moonfork::Pool;

use crate::common;

/// Pages that this thread had to ask the kernel for so far.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Behind the program's name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

/// The fewest of them in ten branches in a row, of many tens: whatever else goes on in the machine.
fn fewest(pool: &Pool, code: &str) -> u64 {
    let ten = (0..30).map(|_| {
        let before = faults();
        for _ in 0..10 {
            pool.branch().unwrap().eval::<i64>(code).unwrap();
        }
        faults() - before
    });
    ten.min().unwrap()
}

#[test]
fn a_small_script_in_a_fresh_branch_takes_no_page_from_the_kernel() {
    let pool = common::builder().max_branches(1).build().unwrap();
    for code in [
        "return 1 + 1",
        "local t = {} for i = 1, 20 do t[i] = {x = i, text = 'item ' .. i} end return #t",
    ] {
        assert_eq!(fewest(&pool, code), 0, "{code}");
    }
    // So they are counted.
    let large = "return #('x'):rep(1 << 20)";
    assert!(fewest(&pool, large) > 10, "{large}");
}
