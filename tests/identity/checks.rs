//! The checks: each builds a pool from the settings it is given, and panics when the pool
//! doesn't keep its promise.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use moonfork::testing::Inspect;
use moonfork::{Branch, Main, Pool, PoolBuilder, Role, Runtime, StoreId};

/// One check.
pub(crate) type Check = fn(PoolBuilder);

/// A handle of which there are several.
pub(crate) trait Owner: Inspect + Debug {
    fn id(&self) -> StoreId;
    fn set_mark(&mut self, mark: Option<usize>);
    fn mark(&mut self) -> Option<usize>;
}

macro_rules! owner {
    ($handle:ty) => {
        impl Owner for $handle {
            fn id(&self) -> StoreId {
                self.store_id()
            }

            fn set_mark(&mut self, mark: Option<usize>) {
                self.set_global("distinct_mark", &mark).unwrap();
            }

            fn mark(&mut self) -> Option<usize> {
                self.global("distinct_mark").unwrap()
            }
        }
    };
}

owner!(Branch);
owner!(Main);

/// All of `handles`, which are alive, reach instances of their own: by their ids, by where
/// their memories lie, and by what they remember.
#[track_caller]
pub(crate) fn assert_distinct<H: Owner>(handles: &mut [H]) {
    let ids: HashSet<_> = handles.iter().map(Owner::id).collect();
    assert_eq!(ids.len(), handles.len(), "an id occurs twice: {handles:?}");

    let bases: HashSet<_> = handles
        .iter()
        .map(|handle| handle.memory_base().expect("alive"))
        .collect();
    assert_eq!(
        bases.len(),
        handles.len(),
        "two share a memory: {handles:?}"
    );

    for (n, handle) in handles.iter_mut().enumerate() {
        handle.set_mark(Some(n));
    }
    for (n, handle) in handles.iter_mut().enumerate() {
        let mark = handle.mark();
        assert_eq!(mark, Some(n), "one overwrote another's global: {handle:?}");
        handle.set_mark(None);
    }
}

/// What `threads` threads get that each ask for a runtime, all at the same time. The handles
/// are alive when this returns.
fn ask_at_once(pool: &Pool, threads: usize) -> Vec<Branch> {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    match pool.runtime().unwrap() {
                        Runtime::Branch(branch) => branch,
                        Runtime::Main(main) => panic!("a worker was given {main:?}"),
                    }
                })
            })
            .collect();
        asking
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// None of `branches` is main, and none is another.
#[track_caller]
fn assert_apart_from_main(pool: &Pool, branches: &mut [Branch]) {
    let mut main = pool.main().unwrap();
    assert_eq!(main.role(), Role::Main);
    main.set_global("only_main_has_this", &true).unwrap();
    for branch in branches.iter_mut() {
        assert_eq!(branch.role(), Role::Branch);
        assert!(branch.store_id() != main.store_id(), "{branch:?} is main");
        assert_ne!(branch.memory_base(), main.memory_base());
        let seen: Option<bool> = branch.global("only_main_has_this").unwrap();
        assert_eq!(seen, None, "{branch:?} sees a global of main");
    }
    assert_distinct(branches);
}

pub(crate) fn workers_never_get_main(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let mut branches = ask_at_once(&pool, 3);
    assert_apart_from_main(&pool, &mut branches);
}

pub(crate) fn main_asked_twice_is_the_same_store(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let (mut main, mut again) = (pool.main().unwrap(), pool.main().unwrap());
    assert_eq!(main.store_id(), again.store_id());
    assert_eq!(main.memory_base(), again.memory_base());
    main.set_global("x", &1).unwrap();
    assert_eq!(again.global::<i64>("x").unwrap(), 1);
    let Runtime::Main(runtime) = pool.runtime().unwrap() else {
        panic!("the pool's own thread was given a branch");
    };
    assert_eq!(runtime.store_id(), main.store_id());
}

pub(crate) fn fifty_rounds_of_five_threads(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let mut seen = HashSet::new();
    for _ in 0..50 {
        let mut branches = ask_at_once(&pool, 5);
        assert_apart_from_main(&pool, &mut branches);
        for branch in &branches {
            assert!(
                seen.insert(branch.store_id()),
                "{branch:?} had its id before"
            );
        }
    }
}

pub(crate) fn twenty_tasks_with_three_inner_threads(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let mut branches: Vec<Branch> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..5)
                        .flat_map(|_| {
                            let mut inner = ask_at_once(&pool, 3);
                            assert_distinct(&mut inner);
                            inner
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(branches.len(), 60);
    assert_apart_from_main(&pool, &mut branches);
}

pub(crate) fn memories_lie_apart(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let (one, other) = (pool.branch().unwrap(), pool.branch().unwrap());
    let main = pool.main().unwrap();
    let bases = [one.memory_base(), other.memory_base(), main.memory_base()];
    assert!(bases.iter().all(Option::is_some));
    assert_eq!(HashSet::from(bases).len(), 3, "{bases:?}");
}

pub(crate) fn twenty_workers_read_back_their_own(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let all_wrote = Barrier::new(10);
    thread::scope(|scope| {
        for thread in 0..10 {
            let (pool, all_wrote) = (&pool, &all_wrote);
            scope.spawn(move || {
                let ids = [thread * 2, thread * 2 + 1];
                let mut wrote = ids.map(|id| -> moonfork::Result<_> {
                    let mut worker = pool.branch()?;
                    worker.set_global("worker_id", &id)?;
                    Ok((id, worker))
                });
                // Nothing fails before this, or the other threads would wait for ever.
                all_wrote.wait();
                for result in &mut wrote {
                    let (id, worker) = result.as_mut().unwrap();
                    assert_eq!(worker.global::<i32>("worker_id").unwrap(), *id);
                }
            });
        }
    });
}

pub(crate) fn five_instances_each_keep_their_id(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let mut branches: Vec<Branch> = (0..5).map(|_| pool.branch().unwrap()).collect();
    for (id, branch) in branches.iter_mut().enumerate() {
        branch.set_global("my_id", &id).unwrap();
    }
    for (id, branch) in branches.iter_mut().enumerate() {
        assert_eq!(branch.eval::<usize>("return my_id").unwrap(), id);
    }
}

/// What a script may leave behind, and an expression that is true where it is not to be found.
const TRACES: [(&str, &str, &str); 8] = [
    ("globals_are_absent_elsewhere", "trace = 1", "trace == nil"),
    (
        "functions_are_absent_elsewhere",
        "function trace() return 1 end",
        "not pcall(function() return trace() end)",
    ),
    (
        "upvalues_are_absent_elsewhere",
        "do local n = 0 function trace() n = n + 1 return n end trace() end",
        "trace == nil",
    ),
    (
        "tables_are_absent_elsewhere",
        "trace = {list = {1, 2}, [1] = {}}",
        "trace == nil",
    ),
    (
        "patches_of_the_string_library_are_absent_elsewhere",
        "string.upper = function() return 'patched' end string.trace = 1",
        "('x'):upper() == 'X' and string.trace == nil",
    ),
    (
        "metatables_are_absent_elsewhere",
        "getmetatable('').__add = function() return 'added' end",
        "not pcall(function() return 'a' + 'b' end)",
    ),
    (
        "changes_of_the_globals_are_absent_elsewhere",
        "setmetatable(_G, {__index = function() return 'found' end}) print = nil math = nil",
        "getmetatable(_G) == nil and print ~= nil and math.pi > 3",
    ),
    (
        "changes_of_json_are_absent_elsewhere",
        "json.encode = function() return 'patched' end null = 5",
        "json.encode({1, null}) == '[1,null]'",
    ),
];

pub(crate) fn nothing_is_found_elsewhere(builder: PoolBuilder) {
    // One branch at a time: the next one is made in the slot that the last one had.
    let pool = builder.build().unwrap();
    for (name, leave, is_absent) in TRACES {
        let mut branch = pool.branch().unwrap();
        let mut at_the_same_time = pool.branch().unwrap();
        branch.eval::<()>(leave).unwrap();
        let found_here: bool = branch.eval(format!("not ({is_absent})")).unwrap_or(true);
        assert!(found_here, "{name}: nothing was left");
        assert!(
            at_the_same_time.eval::<bool>(is_absent).unwrap(),
            "{name}: in another"
        );
        assert!(
            pool.main().unwrap().eval::<bool>(is_absent).unwrap(),
            "{name}: in main"
        );
        drop(at_the_same_time);
        let base = branch.memory_base();
        drop(branch);
        let mut reused = pool.branch().unwrap();
        assert_eq!(reused.memory_base(), base, "the slot was not used again");
        assert!(
            reused.eval::<bool>(is_absent).unwrap(),
            "{name}: in the slot it had"
        );
    }
}

pub(crate) fn ids_are_not_used_again(builder: PoolBuilder) {
    let pool = builder.build().unwrap();
    let mut seen = HashSet::from([pool.main().unwrap().store_id()]);
    for _ in 0..10_000 {
        let id = pool.branch().unwrap().store_id();
        assert!(seen.insert(id), "{id} was used before");
    }
    let mut last: Vec<Branch> = (0..2).map(|_| pool.branch().unwrap()).collect();
    assert_distinct(&mut last);
}

pub(crate) fn two_branches_overlap(builder: PoolBuilder) {
    // Long enough for the slowest machine: nothing waits this long unless the check fails.
    overlap_within(builder, Duration::from_secs(60));
}

/// Both scripts are inside the sandbox at the same time: each waits there for the other.
pub(crate) fn overlap_within(builder: PoolBuilder, patience: Duration) {
    let met = Arc::new((Mutex::new(0), Condvar::new()));
    let meeting = Arc::clone(&met);
    let pool = builder
        .grants(moonfork::Grants::none().all_functions())
        .function("meet", move |()| {
            let (count, arrived) = &*meeting;
            let mut count = count.lock().unwrap();
            *count += 1;
            arrived.notify_all();
            let (count, _) = arrived
                .wait_timeout_while(count, patience, |count| *count < 2)
                .unwrap();
            if *count < 2 {
                Err("nobody came".into())
            } else {
                Ok(())
            }
        })
        .build()
        .unwrap();
    let branches: Vec<_> = (0..2).map(|_| pool.branch().unwrap()).collect();
    thread::scope(|scope| {
        for mut branch in branches {
            scope.spawn(move || branch.eval::<()>("meet()").unwrap());
        }
    });
    assert_eq!(*met.0.lock().unwrap(), 2);
}
