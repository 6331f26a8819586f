//! The checks can fail: each is run against pools that break a promise on purpose, and has to
//! notice. A sound pool passes all of them, in `main.rs`.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use moonfork::PoolBuilder;
use moonfork::testing::Sabotage;
use rstest::rstest;

use crate::builder;
use crate::canaries;
use crate::checks::{self, Check};

#[rstest]
#[case::workers_never_get_main(
    checks::workers_never_get_main,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::main_asked_twice_is_the_same_store(
    checks::main_asked_twice_is_the_same_store,
    &[Sabotage::FreshMain]
)]
#[case::fifty_rounds_of_five_threads(
    checks::fifty_rounds_of_five_threads,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores, Sabotage::ReusedIds]
)]
#[case::twenty_tasks_with_three_inner_threads(
    checks::twenty_tasks_with_three_inner_threads,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::memories_lie_apart(
    checks::memories_lie_apart,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::twenty_workers_read_back_their_own(
    checks::twenty_workers_read_back_their_own,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::five_instances_each_keep_their_id(
    checks::five_instances_each_keep_their_id,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::nothing_is_found_elsewhere(
    checks::nothing_is_found_elsewhere,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::IdsWithoutStores, Sabotage::UsedBranches]
)]
#[case::ids_are_not_used_again(
    checks::ids_are_not_used_again,
    &[Sabotage::MainToWorker, Sabotage::BranchTwice, Sabotage::ReusedIds, Sabotage::IdsWithoutStores]
)]
#[case::no_fresh_branch_has_a_mark(
    canaries::no_fresh_branch_has_a_mark,
    &[Sabotage::BranchTwice, Sabotage::IdsWithoutStores, Sabotage::UsedBranches]
)]
#[case::a_fork_has_its_parents_marks_and_no_siblings(
    canaries::a_fork_has_its_parents_marks_and_no_siblings,
    &[Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::a_snapshot_has_marks_that_are_in_use_alone(
    canaries::a_snapshot_has_marks_that_are_in_use_alone,
    &[Sabotage::BranchTwice, Sabotage::IdsWithoutStores]
)]
#[case::slots_alternate_between_memories(
    // With room for the instance that the saboteur keeps, or nothing but the lack of it would be noticed.
    |builder: PoolBuilder| canaries::slots_alternate_between_memories(builder.max_branches(3)),
    &[Sabotage::BranchTwice, Sabotage::IdsWithoutStores, Sabotage::UsedBranches]
)]
fn a_sabotaged_pool_is_noticed(#[case] check: Check, #[case] sabotages: &[Sabotage]) {
    for &sabotage in sabotages {
        let passed = panic::catch_unwind(AssertUnwindSafe(|| check(builder().sabotage(sabotage))));
        assert!(passed.is_err(), "{sabotage:?} went unnoticed");
    }
}

/// Not part of the table: here a sabotaged pool makes one script wait for the other's instance,
/// and the check has to notice that nobody came, however long it waits.
#[test]
fn branches_that_are_one_do_not_overlap() {
    let builder = builder().sabotage(Sabotage::IdsWithoutStores);
    let check = || checks::overlap_within(builder, Duration::from_millis(50));
    assert!(panic::catch_unwind(AssertUnwindSafe(check)).is_err());
}
