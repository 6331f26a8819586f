//! Marks in every kind of place that a script can reach, and where they are found afterwards: nowhere in a
//! fresh branch, all of the parent's and none of a sibling's in a fork, and in a snapshot those alone that
//! are in use.

use memchr::memmem;
use moonfork::testing::memory_of;
use moonfork::{Branch, PoolBuilder};

use crate::builder;

/// Plants marks of this owner. They are put together as the script runs, so that none of its text is one.
const PLANT: &str = r#"
    local owner = ...
    local function mark(place) return owner .. "~" .. place end
    planted = mark("global")
    _G[mark("key")] = true
    getmetatable("").planted = mark("metatable")
    do local held = mark("upvalue") function reveal() return held end end
    sleeper = coroutine.create(function(said) local kept = said coroutine.yield() return kept end)
    coroutine.resume(sleeper, mark("coroutine"))
    boxed = setmetatable({}, {__index = {mark("nested")}})
    pcall(error, mark("error"))
"#;

/// Leaves marks where nothing is in use any more.
const LEAVE: &str = r#"
    local owner = ...
    for i = 1, 4000 do local freed = (owner .. "~freed"):rep(30) .. i end
    local function deep(n) if n > 0 then return deep(n - 1), 1 end return (owner .. "~"):lower():upper() end
    pcall(deep, 50)
    string.upper(owner .. "~stack")
"#;

/// Places that are in use, as they stand in a mark.
const LIVE: [&str; 6] = [
    "global",
    "key",
    "metatable",
    "upvalue",
    "coroutine",
    "nested",
];

/// Places that aren't.
const LEFT: [&str; 3] = ["freed", "STACK", "request"];

fn plant(branch: &mut Branch, owner: &str) {
    for code in [PLANT, LEAVE] {
        let code = format!("(function(...) {code} end)(state)");
        branch.eval_with::<_, ()>(code, owner).unwrap();
    }
    // It lies in the buffer for requests.
    let request = format!("{owner}~request");
    branch.set_global("passing", &request).unwrap();
    branch.exec("passing = nil").unwrap();
    string_on_the_stack(branch, owner);
}

/// What a function of C's had on its stack is there until another one has something there.
fn string_on_the_stack(branch: &mut Branch, owner: &str) {
    let code = "string.upper(state .. '~stack')";
    branch.eval_with::<_, String>(code, owner).unwrap();
}

fn has(memory: &[u8], mark: &str) -> bool {
    memmem::find(memory, mark.as_bytes()).is_some()
}

fn has_place(memory: &[u8], owner: &str, place: &str) -> bool {
    has(memory, &format!("{owner}~{place}"))
}

/// The marks of all instances at once: in capitals, so that `upper` leaves them.
const OWNERS: [&str; 4] = ["PARENT7", "OTHER4", "FORK12", "FORK88"];

/// Not a single one is anywhere in a fresh branch, while those who planted them live, and afterwards.
pub(crate) fn no_fresh_branch_has_a_mark(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let look = |when: &str| {
        for _ in 0..4 {
            let memory = memory_of(&pool.branch().unwrap());
            for owner in OWNERS {
                assert!(!has(&memory, &format!("{owner}~")), "{owner}, {when}");
            }
        }
    };
    let mut before = pool.branch().unwrap();
    plant(&mut before, OWNERS[1]);
    drop(before);
    look("after one that has planted them");
    let mut parent = pool.branch().unwrap();
    plant(&mut parent, OWNERS[0]);
    let mut forks: Vec<_> = (0..2).map(|_| parent.fork().unwrap()).collect();
    for (fork, owner) in forks.iter_mut().zip(&OWNERS[2..]) {
        plant(fork, owner);
    }
    let snapshot = parent.snapshot().unwrap();
    let started: Vec<_> = (0..3).map(|_| snapshot.branch().unwrap()).collect();
    look("while all live");
    drop(forks);
    look("after the forks");
    drop(started);
    look("after those that began with the snapshot");
    drop(parent);
    look("after the parent");
    drop(snapshot);
    look("after the snapshot");
}

/// A fork has all of its parent, byte by byte, and nothing of others'.
pub(crate) fn a_fork_has_its_parents_marks_and_no_siblings(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let (mut parent, mut other) = (pool.branch().unwrap(), pool.branch().unwrap());
    plant(&mut parent, OWNERS[0]);
    plant(&mut other, OWNERS[1]);
    let before = memory_of(&parent);
    for place in LIVE.iter().chain(&LEFT) {
        assert!(
            has_place(&before, OWNERS[0], place),
            "{place} was not planted"
        );
    }
    let mut sibling = parent.fork().unwrap();
    assert!(memory_of(&sibling) == before, "the first fork is no copy");
    plant(&mut sibling, OWNERS[2]);
    let fork = parent.fork().unwrap();
    let memory = memory_of(&fork);
    for owner in &OWNERS[1..] {
        assert!(!has(&memory, &format!("{owner}~")), "{owner} in a fork");
    }
    assert!(memory == before, "the second fork is no copy");
    assert!(memory_of(&parent) == before, "the parent has changed");
    drop(sibling);
    // In the slot that the sibling had.
    assert!(
        memory_of(&parent.fork().unwrap()) == before,
        "the third fork is no copy"
    );
}

/// What begins with a snapshot has what is in use, and neither what was freed nor what calls have left.
pub(crate) fn a_snapshot_has_marks_that_are_in_use_alone(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let (mut parent, mut other) = (pool.branch().unwrap(), pool.branch().unwrap());
    plant(&mut parent, OWNERS[0]);
    plant(&mut other, OWNERS[1]);
    let snapshot = parent.snapshot().unwrap();
    let mut sibling = snapshot.branch().unwrap();
    plant(&mut sibling, OWNERS[2]);
    let memory = memory_of(&snapshot.branch().unwrap());
    for owner in &OWNERS[1..] {
        assert!(!has(&memory, &format!("{owner}~")), "{owner} in a snapshot");
    }
    for place in LIVE {
        assert!(has_place(&memory, OWNERS[0], place), "{place} is gone");
    }
    for place in LEFT {
        let mark = format!("{}~{place}", OWNERS[0]);
        // Unused room inside of what is in use may have kept a fragment.
        let mark = if place == "freed" {
            mark.repeat(2)
        } else {
            mark
        };
        let at = memmem::find(&memory, mark.as_bytes());
        let around = at.map(|at| String::from_utf8_lossy(&memory[at - 64..at + 64]));
        assert_eq!(around, None, "{place} is there, at {at:?}");
    }
    drop(sibling);
    let again = memory_of(&snapshot.branch().unwrap());
    assert!(
        again == memory,
        "a slot that was used again is not as the snapshot"
    );
}

/// The same slot, in turn for instances that begin with different memories: `builder`'s pool has room for
/// one besides the parent.
pub(crate) fn slots_alternate_between_memories(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let mut parent = pool.branch().unwrap();
    plant(&mut parent, OWNERS[0]);
    parent
        .exec("big = {} for i = 1, 3000 do big[i] = 'text ' .. i end")
        .unwrap();
    let first = parent.snapshot().unwrap();
    parent
        .exec("planted = nil big = ('x'):rep(500000)")
        .unwrap();
    let second = parent.snapshot().unwrap();
    let fresh = || pool.branch().unwrap();
    let begin: [&dyn Fn() -> Branch; 3] = [&fresh, &|| first.branch().unwrap(), &|| {
        second.branch().unwrap()
    }];
    let untouched = begin.map(|begin| memory_of(&begin()));
    for round in 0..12 {
        let which = [0, 1, 2, 1, 0, 2][round % 6];
        let mut branch = begin[which]();
        assert!(memory_of(&branch) == untouched[which], "round {round}");
        plant(&mut branch, OWNERS[3]);
        branch
            .exec("t = {} for i = 1, 20000 do t[i] = planted .. i end")
            .unwrap();
    }
}

#[test]
fn what_a_host_asks_for_once_more_is_the_same() {
    let pool = builder().build().unwrap();
    let mut parent = pool.branch().unwrap();
    plant(&mut parent, OWNERS[0]);
    let hashes = [(); 2].map(|()| *parent.snapshot().unwrap().hash());
    assert_eq!(hashes[0], hashes[1]);
    parent.exec("planted = 'other'").unwrap();
    assert_ne!(*parent.snapshot().unwrap().hash(), hashes[0]);
}
