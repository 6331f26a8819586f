//! Runs that were stopped: by limits, by somebody, or by what they called.

use std::time::Duration;

use moonfork::{
    Cancel, Chunk, Grants, HostError, Limits, Pool, ReplayEnd, ReplayOptions, RunOptions,
};
use rstest::rstest;

use super::{offline, recording, replay, same, taken};
use crate::common;

fn pool() -> Pool {
    common::builder()
        .max_branches(2)
        .metered()
        .function("one", |()| Ok::<_, HostError>(1))
        .function("panics", |()| -> Result<(), HostError> {
            panic!("on purpose")
        })
        .build()
        .unwrap()
}

#[rstest]
#[case::fuel("one() while true do end", RunOptions::new().fuel(1_000_000), "out_of_fuel")]
#[case::host_calls("for i = 1, 100 do one() end", RunOptions::new().host_calls(10), "too_many_host_calls")]
#[case::memory("one() local s = 'x' while true do s = s .. s end", RunOptions::new().memory(8 << 20), "out_of_memory")]
#[case::a_panic("one() panics()", RunOptions::new(), "host_panic")]
#[case::a_value("one() return print", RunOptions::new(), "value")]
fn a_limit_stops_it_again(#[case] code: &str, #[case] options: RunOptions, #[case] kind: &str) {
    let pool = pool();
    let options = options
        .grants(Grants::none().all_functions())
        .journal(1 << 20);
    let mut branch = pool.branch_with(&options).unwrap();
    let error = branch.eval::<()>(code).unwrap_err();
    assert_eq!(error.code(), kind);
    let journal = taken(&mut branch);
    let shown = same(&journal).to_string();
    assert!(
        shown.contains(&format!("failed ({kind}): {error}")),
        "{shown}"
    );
    assert!(shown.contains("eval:1: one() -> 1"), "{shown}");
}

#[test]
fn limits_of_a_call_are_its_own() {
    let pool = pool();
    let mut branch = pool
        .branch_with(&recording(Grants::none().all_functions()))
        .unwrap();
    let few = RunOptions::new().host_calls(3);
    branch.with(&few).exec("one() one() one()").unwrap();
    assert!(branch.with(&few).exec("one() one() one() one()").is_err());
    same(&taken(&mut branch));
}

#[rstest]
#[case::by_time(RunOptions::new().wall(Duration::from_millis(300)), "timeout")]
#[case::by_somebody(RunOptions::new(), "cancelled")]
fn one_that_waited_for_the_host_stops_there(#[case] options: RunOptions, #[case] kind: &str) {
    let cancel = Cancel::new();
    let fired = (kind == "cancelled").then(|| cancel.clone());
    let pool = common::builder()
        .max_branches(1)
        .function("one", |()| Ok::<_, HostError>(1))
        .async_function("waits", move |_, ()| {
            // Once the script waits for it.
            if let Some(cancel) = &fired {
                cancel.cancel();
            }
            async {
                std::future::pending::<()>().await;
                Ok::<_, HostError>(())
            }
        })
        .build()
        .unwrap();
    let options = options
        .grants(Grants::none().all_functions())
        .cancel_handle(&cancel)
        .journal(1 << 20);
    let mut branch = pool.branch_with(&options).unwrap();
    let error = branch.eval::<()>("one()\nwaits()").unwrap_err();
    assert_eq!(error.code(), kind);
    let journal = taken(&mut branch);
    let shown = replay(&journal).to_string();
    assert!(shown.contains("eval:2: waits() -> stopped: "), "{shown}");
    assert!(shown.contains(&format!("failed ({kind})")), "{shown}");
}

#[test]
fn one_that_was_cancelled_before_it_began_has_nothing_to_replay() {
    let pool = pool();
    let cancel = Cancel::new();
    let options = recording(Grants::none().all_functions()).cancel_handle(&cancel);
    let mut branch = pool.branch_with(&options).unwrap();
    cancel.cancel();
    assert!(branch.eval::<()>("one()").unwrap_err().is_cancelled());
    assert_eq!(taken(&mut branch).calls(), 0);
}

#[test]
fn one_that_was_cancelled_goes_on_until_it_asks_for_more() {
    let cancel = Cancel::new();
    let fired = cancel.clone();
    let pool = common::builder()
        .max_branches(1)
        .function("fire", move |()| {
            // The script runs on until the next tick.
            fired.cancel();
            Ok::<_, HostError>(1)
        })
        .build()
        .unwrap();
    let options = recording(Grants::none().all_functions()).cancel_handle(&cancel);
    let mut branch = pool.branch_with(&options).unwrap();
    let error = branch.eval::<()>("fire()\nwhile true do end").unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    let journal = taken(&mut branch);
    let options = ReplayOptions::new().script(None, "fire()\nfire()");
    let replay = super::replay_with(&journal, &options);
    assert!(matches!(replay.end(), ReplayEnd::Beyond), "{replay}");
    let shown = replay.to_string();
    let said = "the recorded run ended here (at eval:2): stopped: the run was cancelled";
    assert!(shown.contains(said), "{shown}");
}

#[test]
fn a_replay_can_be_stopped_itself() {
    let pool = pool();
    let mut branch = pool.branch_with(&recording(Grants::none())).unwrap();
    branch.eval::<u64>("return 1").unwrap();
    let journal = taken(&mut branch);
    let cancel = Cancel::new();
    cancel.cancel();
    let options = ReplayOptions::new().cancel_handle(&cancel);
    let replay = offline(&journal).replay(&journal, &options).unwrap();
    assert!(matches!(replay.end(), ReplayEnd::Cancelled), "{replay}");
}

#[test]
fn what_it_could_use_is_what_it_can_use() {
    let limits = Limits::default().memory(8 << 20).depth(5);
    let pool = common::builder()
        .limits(limits)
        .max_branches(1)
        .build()
        .unwrap();
    let mut branch = pool.branch_with(&recording(Grants::none())).unwrap();
    let deep = "local t = {} for i = 1, 9 do t = {t} end return t";
    assert!(branch.eval::<()>(Chunk::new(deep)).unwrap_err().is_value());
    let journal = taken(&mut branch);
    assert_eq!(journal.limits(), limits);
    same(&journal);
}
