//! What almost every script touches lies in front of the guest's memory, where it is copied for each
//! instance: nothing has to be asked of the kernel for it.

use std::fs;

use moonfork::Branch;
use moonfork::testing::memory_of;

use crate::common;

/// Pages that this thread had to ask the kernel for so far.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Behind the program's name, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

/// The fewest of them in ten branches in a row, of many tens: whatever else goes on in the machine.
fn fewest(make: impl Fn() -> Branch, code: &str) -> u64 {
    let ten = (0..30).map(|_| {
        let before = faults();
        for _ in 0..10 {
            make().eval::<i64>(code).unwrap();
        }
        faults() - before
    });
    ten.min().unwrap()
}

#[test]
fn a_small_script_in_a_fresh_branch_takes_no_page_from_the_kernel() {
    let pool = common::builder().max_branches(1).build().unwrap();
    let fresh = || pool.branch().unwrap();
    for code in [
        "return 1 + 1",
        "local t = {} for i = 1, 20 do t[i] = {x = i, text = 'item ' .. i} end return #t",
    ] {
        assert_eq!(fewest(fresh, code), 0, "{code}");
    }
    // So they are counted.
    let large = "return #('x'):rep(1 << 20)";
    assert!(fewest(fresh, large) > 10, "{large}");
}

/// Pages behind the front of the memory that are written to in a branch by this code.
fn written(mut branch: Branch, code: &str) -> usize {
    const PAGE: usize = 4 << 10;
    /// As in `host/engine/image.rs`.
    const FRONT: usize = 116 << 10;

    let before = memory_of(&branch);
    branch.eval::<i64>(code).unwrap();
    let after = memory_of(&branch);
    assert_eq!(before.len(), after.len());
    let pages = before.chunks(PAGE).zip(after.chunks(PAGE));
    pages
        .skip(FRONT / PAGE)
        .filter(|(one, other)| one != other)
        .count()
}

#[test]
fn one_that_begins_with_a_snapshot_writes_to_a_page_of_its_strings_alone() {
    let pool = common::builder().max_branches(1).build().unwrap();
    for kilobytes in [64, 1024, 8192] {
        let snapshot = {
            let mut parent = pool.branch().unwrap();
            let fill = format!(
                "records = {{}} while collectgarbage('count') < {kilobytes} do \
                 records[#records + 1] = {{id = #records, name = 'record ' .. #records}} end"
            );
            parent.exec(fill).unwrap();
            parent.snapshot().unwrap()
        };
        // The chunk's name is put among all strings, which are too many for the front.
        let pages = written(snapshot.branch().unwrap(), "return 1 + 1");
        assert!(pages <= 1, "{pages}: {kilobytes} KB");
        // So they are counted.
        let write = "for i = 1, #records do records[i].id = 0 end return 1";
        let pages = written(snapshot.branch().unwrap(), write);
        assert!(pages >= 5, "{pages}: {kilobytes} KB");
    }
}
