//! Copies of an instance: `fork`, and branches that begin with a `snapshot`.

use moonfork::{Branch, Clock, Grants, Main, Pool, RunOptions, Snapshot};
use rstest::rstest;

use crate::common::{builder, pool};

/// How a branch comes to have what another instance has.
#[derive(Clone, Copy, Debug)]
enum Way {
    Fork,
    Snapshot,
}

/// A copy of `parent`, with these options.
fn copy_with(way: Way, parent: &mut Branch, options: &RunOptions) -> moonfork::Result<Branch> {
    match way {
        Way::Fork => parent.fork_with(options),
        Way::Snapshot => parent.snapshot()?.branch_with(options),
    }
}

fn copy(way: Way, parent: &mut Branch) -> Branch {
    copy_with(way, parent, &RunOptions::new()).unwrap()
}

/// All kinds of what a script can leave, and an expression that is true where it is.
const STATE: &str = r#"
    number, text = 42, "kept"
    list = {1, 2, {deep = "er"}}
    do local n = 0 function count() n = n + 1 return n end count() end
    Account = {} Account.__index = Account Account.__add = function(a, b) return a.sum + b.sum end
    function Account.new(sum) return setmetatable({sum = sum}, Account) end
    account = Account.new(5)
    generator = coroutine.create(function(first)
      local second = coroutine.yield(first + 1)
      coroutine.yield(second * 2)
    end)
    coroutine.resume(generator, 1)
    weak = setmetatable({}, {__mode = "k"}) weak[list] = "held"
    string.shout = function(text) return text:upper() .. "!" end
"#;

const FOUND: [&str; 9] = [
    "number == 42 and text == 'kept'",
    "list[3].deep == 'er' and #list == 3",
    "count() == 2",
    "account + account == 10 and getmetatable(account) == Account",
    "select(2, coroutine.resume(generator, 21)) == 42",
    "coroutine.status(generator) == 'suspended'",
    "weak[list] == 'held'",
    "('a'):shout() == 'A!'",
    "_G.text == text and next(weak) == list",
];

#[rstest]
fn what_scripts_have_made_goes_along(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut parent = pool().branch().unwrap();
    parent.exec(STATE).unwrap();
    let mut copy = copy(way, &mut parent);
    for found in FOUND {
        assert!(copy.eval::<bool>(found).unwrap(), "{found} in the copy");
    }
    for found in FOUND {
        assert!(parent.eval::<bool>(found).unwrap(), "{found} in the parent");
    }
}

#[rstest]
fn what_either_does_is_not_seen_by_the_other(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut parent = pool().branch().unwrap();
    parent.exec(STATE).unwrap();
    let (mut one, mut other) = (copy(way, &mut parent), copy(way, &mut parent));
    one.exec("number, list[3].deep, Account.__add = 1, 'one', nil string.shout = nil extra = {}")
        .unwrap();
    parent
        .exec("text = 'changed' for i = 1, 1000 do list[i] = i end")
        .unwrap();
    for found in FOUND {
        assert!(other.eval::<bool>(found).unwrap(), "{found} in the other");
    }
    assert!(other.eval::<bool>("extra == nil and #list == 3").unwrap());
    assert_eq!(one.eval::<String>("text").unwrap(), "kept");
    assert_eq!(parent.eval::<i64>("number").unwrap(), 42);
    assert!(
        parent
            .eval::<bool>("extra == nil and string.shout ~= nil")
            .unwrap()
    );
}

#[test]
fn the_pools_main_and_that_of_a_run_are_forked_as_branches_are() {
    let pool = builder().build().unwrap();
    let mut main: Main = pool.main().unwrap();
    main.exec("x = 1").unwrap();
    let mut fork = main.fork().unwrap();
    assert_ne!(fork.store_id(), main.store_id());
    assert_eq!(fork.role(), moonfork::Role::Branch);
    // It may go where main can't.
    let seen = std::thread::spawn(move || fork.global::<i64>("x").unwrap());
    assert_eq!(seen.join().unwrap(), 1);
    let mut run = pool.run_main().unwrap();
    run.exec("x = 2").unwrap();
    assert_eq!(run.fork().unwrap().global::<i64>("x").unwrap(), 2);
    assert_eq!(
        run.snapshot()
            .unwrap()
            .branch()
            .unwrap()
            .global::<i64>("x")
            .unwrap(),
        2
    );
    assert_eq!(
        pool.runtime()
            .unwrap()
            .fork()
            .unwrap()
            .global::<i64>("x")
            .unwrap(),
        1
    );
    drop(main);
    assert_eq!(pool.live_count(), 2, "main, and the run's");
}

#[rstest]
fn copies_of_copies(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut last = pool().branch().unwrap();
    last.exec("depth = 0 items = {}").unwrap();
    for depth in 1..=6 {
        let way = if depth % 2 == 0 { Way::Fork } else { way };
        last = copy(way, &mut last);
        last.exec("depth = depth + 1 for i = 1, 2000 do items[#items + 1] = {i} end")
            .unwrap();
    }
    assert_eq!(
        last.eval::<(i64, i64)>("{depth, #items}").unwrap(),
        (6, 12_000)
    );
}

#[rstest]
fn an_instance_that_has_run_nothing_is_copied_as_it_is(
    #[values(Way::Fork, Way::Snapshot)] way: Way,
) {
    let mut copy = copy(way, &mut pool().branch().unwrap());
    assert_eq!(copy.eval::<i64>("1 + 1").unwrap(), 2);
}

#[rstest]
fn a_copy_of_one_that_was_stopped_is_refused(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut parent = pool().branch().unwrap();
    let quick = RunOptions::new().wall(std::time::Duration::from_millis(20));
    parent.with(&quick).exec("while true do end").unwrap_err();
    let error = copy_with(way, &mut parent, &RunOptions::new()).unwrap_err();
    assert!(error.is_poisoned(), "{error}");
}

#[test]
fn main_is_not_forked_by_a_host_function_that_it_calls() {
    use std::sync::{Arc, Mutex};
    let owner: Arc<Mutex<Option<Pool>>> = Arc::default();
    let asked = Arc::clone(&owner);
    let pool = builder()
        .function("ask", move |()| {
            let pool = asked.lock().unwrap().clone().unwrap();
            match pool.main() {
                Ok(_) => Err("it was given main".into()),
                Err(error) => Ok(error.to_string()),
            }
        })
        .grants(Grants::none().all_functions())
        .build()
        .unwrap();
    *owner.lock().unwrap() = Some(pool.clone());
    let mut main = pool.main().unwrap();
    let told = main.eval::<String>("ask()").unwrap();
    assert!(told.contains("host function"), "{told}");
    owner.lock().unwrap().take();
}

#[rstest]
fn grants_are_the_copys_own(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let pool = builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("sub", |(a, b): (i64, i64)| Ok(a - b))
        .module("tax", "return {rate = 0.19}")
        .module("late", "return {}")
        .build()
        .unwrap();
    let wide = Grants::none()
        .function("add")
        .all_modules()
        .clock(Clock::fixed(std::time::Duration::from_secs(7)))
        .variable("region", "north");
    let mut parent = pool.branch_with(&RunOptions::new().grants(wide)).unwrap();
    parent
        .exec("kept, tax = add, require('tax') assert(os.time() == 7) now = os.time")
        .unwrap();

    let mut bare = copy_with(way, &mut parent, &RunOptions::new()).unwrap();
    for denied in [
        "kept(1, 2)",
        "add(1, 2)",
        "require('late')",
        "os.time()",
        "now()",
        "sub(1, 2)",
    ] {
        let error = bare.eval::<i64>(denied).unwrap_err();
        assert!(error.is_denied(), "{denied}: {error}");
    }
    assert_eq!(
        bare.eval::<f64>("tax.rate + require('tax').rate").unwrap(),
        0.38
    );
    assert_eq!(bare.eval::<String>("variables.region").unwrap(), "north");

    let other = Grants::none().all_functions().variable("region", "south");
    let mut other = copy_with(way, &mut parent, &RunOptions::new().grants(other)).unwrap();
    assert_eq!(other.eval::<i64>("sub(kept(1, 2), add(1, 1))").unwrap(), 1);
    assert_eq!(other.eval::<String>("variables.region").unwrap(), "south");
    assert!(other.eval::<i64>("now()").unwrap_err().is_denied());
    assert_eq!(parent.eval::<String>("variables.region").unwrap(), "north");
}

#[rstest]
fn scripts_can_not_get_in_the_way_of_what_a_copy_is_told(
    #[values(Way::Fork, Way::Snapshot)] way: Way,
) {
    let pool = builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .module("tax", "return {rate = 0.19}")
        .build()
        .unwrap();
    let mut parent = pool.branch().unwrap();
    parent
        .exec(
            "setmetatable(_G, {__newindex = function(_, key) rawset(_G, 'seen', key) end})
             setmetatable, next, type, error = nil
             local rawset_, globals = rawset, _G
             rawset = function() end
             getmetatable(globals).__newindex = function(_, key) rawset_(globals, 'seen', key) end
             _G = {}",
        )
        .unwrap();
    let grants = Grants::none()
        .all_functions()
        .all_modules()
        .clock(Clock::system())
        .variable("region", "north");
    let mut copy = copy_with(way, &mut parent, &RunOptions::new().grants(grants)).unwrap();
    let all = "add(1, 2) == 3 and require('tax').rate == 0.19 and os.time() > 0 and variables.region == 'north'";
    assert!(copy.eval::<bool>(all).unwrap());
    assert!(copy.eval::<bool>("seen == nil").unwrap());
}

#[test]
fn what_the_parent_was_granted_is_as_scripts_left_it() {
    let pool = builder()
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .grants(Grants::none().all_functions())
        .build()
        .unwrap();
    let mut parent = pool.branch().unwrap();
    parent
        .exec("local own = add function add(a, b) return 100 * own(a, b) end")
        .unwrap();
    assert_eq!(
        parent.fork().unwrap().eval::<i64>("add(1, 2)").unwrap(),
        300
    );
}

#[rstest]
fn a_copys_clock_counts_from_when_it_was_made(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    let seconds = Arc::new(AtomicU64::new(1000));
    let shown = Arc::clone(&seconds);
    let clock =
        Clock::from_fn(move || std::time::Duration::from_secs(shown.load(Ordering::Relaxed)));
    let pool = builder()
        .grants(Grants::none().clock(clock))
        .build()
        .unwrap();
    let mut parent = pool.branch().unwrap();
    seconds.store(1100, Ordering::Relaxed);
    assert_eq!(parent.eval::<f64>("os.clock()").unwrap(), 0.0);
    seconds.store(1200, Ordering::Relaxed);
    assert_eq!(parent.eval::<f64>("os.clock()").unwrap(), 100.0);
    let mut copy = copy(way, &mut parent);
    assert_eq!(copy.eval::<f64>("os.clock()").unwrap(), 0.0);
    seconds.store(1230, Ordering::Relaxed);
    assert_eq!(copy.eval::<f64>("os.clock()").unwrap(), 30.0);
    assert_eq!(parent.eval::<f64>("os.clock()").unwrap(), 130.0);
}

const DRAW: &str = "{math.random(1 << 40), math.random(1 << 40)}";

#[test]
fn random_numbers_are_afresh_and_from_a_seed_each_forks_own() {
    let mut parent = pool().branch().unwrap();
    parent.exec("math.random()").unwrap();
    let mut drawn: Vec<[i64; 2]> = (0..8)
        .map(|_| parent.fork().unwrap().eval(DRAW).unwrap())
        .collect();
    drawn.push(parent.eval(DRAW).unwrap());
    let all = drawn.len();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), all);

    let run = || {
        let pool = builder().grants(Grants::none().seed(7)).build().unwrap();
        let mut parent = pool.branch().unwrap();
        let mut first = parent.fork().unwrap();
        let mut drawn: Vec<[i64; 2]> = vec![parent.eval(DRAW).unwrap(), first.eval(DRAW).unwrap()];
        for mut fork in [parent.fork().unwrap(), first.fork().unwrap()] {
            drawn.push(fork.eval(DRAW).unwrap());
        }
        let snapshot = parent.snapshot().unwrap();
        let one = || snapshot.branch().unwrap().eval::<[i64; 2]>(DRAW).unwrap();
        let of_snapshot = one();
        assert_eq!(one(), of_snapshot);
        drawn.push(of_snapshot);
        drawn
    };
    let drawn = run();
    assert_eq!(run(), drawn, "the same in every run");
    let mut distinct = drawn.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), drawn.len(), "{drawn:?}");
}

/// Bytes that a parent of about so many megabytes takes.
fn grown(megabytes: usize) -> Branch {
    let mut parent = pool().branch().unwrap();
    parent
        .exec(format!(
            "pieces = {{}} for i = 1, {megabytes} do pieces[i] = ('x'):rep((1 << 20) - 64) .. i end"
        ))
        .unwrap();
    parent
}

#[rstest]
fn a_parent_larger_than_the_limit_is_refused(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut parent = grown(8);
    let options = |memory: usize| RunOptions::new().memory(memory);
    let error = copy_with(way, &mut parent, &options(8 << 20)).unwrap_err();
    assert!(
        error.to_string().contains("begins with a memory of"),
        "{error}"
    );
    let mut copy = copy_with(way, &mut parent, &options(16 << 20)).unwrap();
    assert_eq!(copy.eval::<usize>("#pieces").unwrap(), 8);
    let error = copy.exec("for i = 9, 16 do pieces[i] = ('y'):rep(1 << 20) .. i end");
    assert!(error.unwrap_err().is_out_of_memory());
    parent
        .exec("for i = 9, 16 do pieces[i] = ('y'):rep(1 << 20) .. i end")
        .unwrap();
}

#[rstest]
fn reports_and_output_are_the_copys_own(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut parent = pool().branch().unwrap();
    parent.exec("print('parent')").unwrap();
    let mut copy = copy(way, &mut parent);
    assert_eq!(copy.take_output().text(), "");
    copy.exec("print('copy')").unwrap();
    let report = copy.take_report();
    assert_eq!((report.calls, &*report.output), (1, "copy\n"));
    assert_eq!(report.store_id, copy.store_id());
    let report = parent.take_report();
    assert_eq!((report.calls, &*report.output), (1, "parent\n"));
}

#[rstest]
fn errors_are_caught_in_copies(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let mut parent = pool().branch().unwrap();
    let caught = "select(2, pcall(function() local t = nil; return t.x end)) ~= nil \
                  and select(2, pcall(coroutine.wrap(function() error({7}) end)))[1] == 7";
    assert!(parent.eval::<bool>(caught).unwrap());
    let mut copy = copy(way, &mut parent);
    for _ in 0..100 {
        assert!(copy.eval::<bool>(caught).unwrap());
    }
    assert!(parent.eval::<bool>(caught).unwrap());
    assert!(copy.eval::<i64>("nothing()").unwrap_err().is_script());
}

#[test]
fn a_fresh_branch_is_not_told_where_a_copy_has_room_for_requests() {
    let pool = builder().build().unwrap();
    let mut parent = pool.branch().unwrap();
    // A large request, whose room the guest gives back.
    parent.set_global("large", &"x".repeat(200_000)).unwrap();
    let mut fork = parent.fork().unwrap();
    assert_eq!(fork.eval::<usize>("#large").unwrap(), 200_000);
    let mut fresh = pool.branch().unwrap();
    fresh
        .exec("t = {} for i = 1, 50000 do t[i] = 'text ' .. i end")
        .unwrap();
    for _ in 0..100 {
        assert!(
            fresh
                .eval::<bool>("t[50000] == 'text 50000' and #t == 50000")
                .unwrap()
        );
    }
}

#[test]
fn a_kill_in_a_fork_leaves_the_parent_and_its_siblings() {
    let mut parent = pool().branch().unwrap();
    parent.exec(STATE).unwrap();
    let mut forks: Vec<_> = (0..3).map(|_| parent.fork().unwrap()).collect();
    let quick = RunOptions::new().wall(std::time::Duration::from_millis(20));
    assert!(
        forks[1]
            .with(&quick)
            .exec("while true do end")
            .unwrap_err()
            .is_timeout()
    );
    for one in [&mut parent].into_iter().chain(&mut forks) {
        let found = one.eval::<bool>("number == 42");
        assert!(matches!(&found, Ok(true)) || found.unwrap_err().is_poisoned());
    }
    assert!(forks[1].exec("x = 1").unwrap_err().is_poisoned());
}

#[test]
fn a_finalizer_that_runs_for_ever_ends_the_snapshot_alone() {
    let pool = builder()
        .wall(std::time::Duration::from_millis(300))
        .build()
        .unwrap();
    let mut parent = pool.branch().unwrap();
    parent
        .exec("setmetatable({}, {__gc = function() while true do end end}) x = 1")
        .unwrap();
    let error = parent.snapshot().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(parent.eval::<i64>("x").unwrap(), 1);
}

#[test]
fn finalizers_of_a_snapshots_garbage_run_in_the_copy_and_can_do_nothing() {
    let pool = builder()
        .function("count", |()| Ok(1))
        .grants(Grants::none().all_functions())
        .build()
        .unwrap();
    let mut parent = pool.branch().unwrap();
    parent
        .exec(
            "setmetatable({}, {__gc = function() ended = true said = pcall(count) print('!') end})",
        )
        .unwrap();
    let snapshot: Snapshot = parent.snapshot().unwrap();
    assert_eq!(parent.eval::<Option<bool>>("ended").unwrap(), None);
    assert_eq!(parent.take_output().text(), "");
    let mut branch = snapshot.branch().unwrap();
    assert_eq!(
        branch.eval::<(bool, bool)>("{ended, said}").unwrap(),
        (true, false)
    );
    assert_eq!(branch.take_output().text(), "");
}

#[test]
fn a_pool_without_a_free_slot_refuses_a_fork_and_the_parent_lives() {
    let pool = builder()
        .max_branches(1)
        .slot_timeout(std::time::Duration::from_millis(5))
        .build()
        .unwrap();
    let mut parent = pool.branch().unwrap();
    parent.exec("x = 1").unwrap();
    assert!(parent.fork().unwrap_err().is_busy());
    let snapshot = parent.snapshot().unwrap();
    assert!(snapshot.branch().unwrap_err().is_busy());
    assert_eq!(parent.global::<i64>("x").unwrap(), 1);
    drop(parent);
    assert_eq!(snapshot.branch().unwrap().global::<i64>("x").unwrap(), 1);
}

#[rstest]
fn fuel_is_counted_and_the_same_in_every_copy(#[values(Way::Fork, Way::Snapshot)] way: Way) {
    let pool = builder().metered().build().unwrap();
    let mut parent = pool.branch().unwrap();
    parent.exec(STATE).unwrap();
    let work = "local sum = 0 for i = 1, 1000 do sum = sum + #list + count() end";
    let mut burnt: Vec<_> = (0..3)
        .map(|_| {
            let mut copy = copy(way, &mut parent);
            copy.exec(work).unwrap();
            copy.take_report().fuel.unwrap()
        })
        .collect();
    assert!(burnt[0] > 1000);
    burnt.dedup();
    assert_eq!(burnt.len(), 1, "{burnt:?}");
}

#[test]
fn a_snapshot_outlives_what_it_was_made_of_and_serves_any_thread() {
    let pool = builder().build().unwrap();
    let snapshot = {
        let mut parent = pool.branch().unwrap();
        parent.exec(STATE).unwrap();
        parent.snapshot().unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..50 {
                    let mut branch = snapshot.branch().unwrap();
                    branch.set_global("number", &n).unwrap();
                    assert_eq!(branch.eval::<i64>("count()").unwrap(), 2);
                    let mut fresh = pool.branch().unwrap();
                    assert!(
                        fresh
                            .eval::<bool>("number == nil and count == nil")
                            .unwrap()
                    );
                }
            });
        }
    });
}
