//! The reason this project exists: no branch ever has main, or another branch's instance.
//!
//! The test this grew out of compared runtimes by address after they had been freed, and
//! failed whenever the allocator gave the same address out again. Here every check holds the
//! handles themselves until after the comparison, and compares store identities; since ids
//! could be counted without there being stores, it also looks at where memories lie while
//! all of them live, and at what each instance remembers.
//!
//! | acceptance criterion | where |
//! | --- | --- |
//! | AC-1: the tests pass in 20 consecutive runs | `cargo xtask stress --runs 20` |
//! | AC-2: they compare store identities, never addresses of what may be freed | `checks::assert_distinct`: ids, and memory bases of live instances only |
//! | AC-3: they hold the handles until after the comparison | every check collects handles, compares, and drops them when it returns |
//! | AC-4: everything else passes, nothing gets slower | `cargo test --workspace`, `cargo xtask perf` |
//!
//! | isolation case of The Edge Agent | where |
//! | --- | --- |
//! | two runtimes: a global set in one is nil in the other | `globals_are_absent_elsewhere` |
//! | five runtimes each keep `my_id` | `five_instances_each_keep_their_id` |
//! | functions don't leak, calling a leaked one raises | `functions_are_absent_elsewhere` |
//! | closures with upvalues don't leak | `upvalues_are_absent_elsewhere` |
//! | tables don't leak | `tables_are_absent_elsewhere` |
//! | two states at once: each run sees its own | `two_states_are_seen_by_their_own_run` |
//! | main thread: two calls give the same runtime | `main_asked_twice_is_the_same_store` |
//! | making one takes less than 10 ms | `cargo xtask perf`, as a ratio to a native state |
//! | three pool threads, none has main | `workers_never_get_main` |
//! | branches a and b of a workflow: globals, functions, tables | `tests/workflow/isolation.rs` |
//! | `initial_value` 42 is seen by both branches | `tests/workflow/isolation.rs` |
//! | nodes in sequence: (5 + 10) * 2 = 30 | `tests/workflow/run.rs` |
//! | 20 workers on 10 threads read back their own id | `twenty_workers_read_back_their_own` |
//! | stress 1: 50 rounds of 5 threads | `fifty_rounds_of_five_threads` |
//! | stress 2: 20 tasks on 4 threads, 3 inner threads each | `twenty_tasks_with_three_inner_threads` |
//! | asserted by none there: overlap in time | `two_branches_overlap` |
//!
//! `sabotage.rs` shows that each check can fail.

#[path = "../common/mod.rs"]
mod common;

mod canaries;
mod checks;
#[cfg(target_os = "linux")]
mod left_behind;
mod memory;
mod sabotage;

use moonfork::Pool;
use moonfork::testing::{call_function_of, read_memory_of};
use rstest::rstest;
use serde_json::{Value, json};

use checks::Check;

/// Enough branches for every check.
fn builder() -> moonfork::PoolBuilder {
    common::builder().max_branches(80)
}

#[rstest]
#[case::workers_never_get_main(checks::workers_never_get_main)]
#[case::main_asked_twice_is_the_same_store(checks::main_asked_twice_is_the_same_store)]
#[case::fifty_rounds_of_five_threads(checks::fifty_rounds_of_five_threads)]
#[case::twenty_tasks_with_three_inner_threads(checks::twenty_tasks_with_three_inner_threads)]
#[case::memories_lie_apart(checks::memories_lie_apart)]
#[case::twenty_workers_read_back_their_own(checks::twenty_workers_read_back_their_own)]
#[case::five_instances_each_keep_their_id(checks::five_instances_each_keep_their_id)]
#[case::nothing_is_found_elsewhere(checks::nothing_is_found_elsewhere)]
#[case::ids_are_not_used_again(checks::ids_are_not_used_again)]
#[case::two_branches_overlap(checks::two_branches_overlap)]
#[case::no_fresh_branch_has_a_mark(canaries::no_fresh_branch_has_a_mark)]
#[case::a_fork_has_its_parents_marks_and_no_siblings(
    canaries::a_fork_has_its_parents_marks_and_no_siblings
)]
#[case::a_snapshot_has_marks_that_are_in_use_alone(
    canaries::a_snapshot_has_marks_that_are_in_use_alone
)]
#[case::slots_alternate_between_memories(|builder: moonfork::PoolBuilder| {
    canaries::slots_alternate_between_memories(builder.max_branches(2))
})]
fn a_pool_keeps_instances_apart(#[case] check: Check) {
    check(builder());
}

#[test]
fn a_memory_or_a_function_of_one_store_is_refused_by_another() {
    let pool = builder().build().unwrap();
    let (mut one, mut other) = (pool.branch().unwrap(), pool.branch().unwrap());
    let message = read_memory_of(&one, &other).unwrap_err();
    assert!(message.contains("store"), "{message}");
    let message = call_function_of(&one, &mut other).unwrap_err();
    assert!(message.contains("store"), "{message}");
    // Both are as they were.
    for branch in [&mut one, &mut other] {
        assert_eq!(branch.eval::<i64>("1 + 1").unwrap(), 2);
    }
}

#[test]
fn main_is_refused_to_other_threads() {
    let pool = builder().build().unwrap();
    let main = pool.main().unwrap();
    let error = std::thread::scope(|scope| {
        let asking = scope.spawn(|| pool.main().map(|main| main.store_id()).unwrap_err());
        asking.join().unwrap()
    });
    assert!(error.is_wrong_thread(), "{error}");
    assert!(main.is_live());
}

#[test]
fn a_clone_of_the_pool_has_the_same_main_on_the_same_thread() {
    let pool = builder().build().unwrap();
    let (main, again) = (pool.main().unwrap(), pool.clone().main().unwrap());
    assert_eq!(main.store_id(), again.store_id());
}

#[test]
fn two_pools_have_two_mains() {
    let pools: [Pool; 2] = std::array::from_fn(|_| builder().build().unwrap());
    let mut mains: Vec<_> = pools.iter().map(|pool| pool.main().unwrap()).collect();
    checks::assert_distinct(&mut mains);
}

#[test]
fn two_states_are_seen_by_their_own_run() {
    let pool = builder().build().unwrap();
    let mut main = pool.main().unwrap();
    for state in [json!({"x": 1}), json!({"y": 2})] {
        let seen: Value = main.eval_with("return state", &state).unwrap();
        assert_eq!(seen, state);
    }
    assert_eq!(main.global::<Value>("state").unwrap(), Value::Null);
}
