//! What almost every script touches lies in front of the guest's memory, where it is copied for each
//! instance: nothing has to be asked of the kernel for it.

use std::fs;

use moonfork::Branch;

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

#[test]
fn one_that_begins_with_a_snapshot_takes_a_page_of_its_strings() {
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
        let begun = || snapshot.branch().unwrap();
        // The chunk's name is looked up among all strings, which are too many for the front, and put there: a page
        // is read and then written to.
        let asked = fewest(begun, "return 1 + 1");
        assert!(asked <= 20, "{asked}: {kilobytes} KB");
        // Pages of the snapshot are copied where they are written to.
        let write = "for i = 1, math.min(#records, 500) do records[i].id = 0 end return 1";
        assert!(fewest(begun, write) > 10, "{kilobytes} KB, {write}");
    }
}
