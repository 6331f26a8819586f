//! How much a journal may take: what there is room for is whole, and what isn't there is said.

use moonfork::{Grants, HostError, Journal, Pool, ReplayEnd, RunOptions};

use super::{replay, same, taken};
use crate::common;

fn pool() -> Pool {
    common::builder()
        .max_branches(1)
        .function("text", |(len,): (usize,)| {
            Ok::<_, HostError>("x".repeat(len))
        })
        .build()
        .unwrap()
}

fn journal(bytes: usize, code: &str) -> Journal {
    let pool = pool();
    let options = RunOptions::new()
        .grants(Grants::none().all_functions())
        .journal(bytes);
    let mut branch = pool.branch_with(&options).unwrap();
    // The script itself doesn't notice.
    branch.eval::<u64>(code).unwrap();
    branch.eval::<u64>("return 2").unwrap();
    taken(&mut branch)
}

const CODE: &str = "local n = 0 for i = 1, 1000 do n = n + #text(100) end return n";

#[test]
fn what_has_room_is_whole() {
    let journal = journal(1 << 20, CODE);
    assert!(!journal.is_cut());
    assert_eq!(journal.calls(), 2);
    same(&journal);
}

#[test]
fn what_has_none_is_cut_and_says_so() {
    let journal = journal(20_000, CODE);
    assert!(journal.is_cut());
    assert_eq!(journal.calls(), 1);
    let replay = replay(&journal);
    assert!(
        matches!(replay.end(), ReplayEnd::Beyond) && !replay.is_same(),
        "{replay}"
    );
    let shown = replay.to_string();
    assert!(
        shown.contains("the journal was full and ends here (at eval:1)"),
        "{shown}"
    );
    assert!(shown.contains("record it again with more"), "{shown}");
    let told = shown.matches("-> \"xxx").count();
    assert!((50..200).contains(&told), "{told} of a thousand");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut");
    journal.write(&file).unwrap();
    let len = std::fs::metadata(&file).unwrap().len();
    assert!(len < 40_000, "{len} bytes");
    assert_eq!(Journal::read(&file).unwrap(), journal);
}

#[test]
fn a_million_calls_take_no_more_than_there_is_room_for() {
    let pool = common::builder()
        .max_branches(1)
        .limits(moonfork::Limits::default().host_calls(2_000_000))
        .function("tick", |()| Ok::<_, HostError>(()))
        .build()
        .unwrap();
    let options = RunOptions::new()
        .grants(Grants::none().all_functions())
        .journal(100_000);
    let mut branch = pool.branch_with(&options).unwrap();
    branch.exec("for i = 1, 1e6 do tick() end").unwrap();
    assert_eq!(branch.take_report().host_calls["tick"], 1_000_000);
    let journal = taken(&mut branch);
    assert!(journal.is_cut());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut");
    journal.write(&file).unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() < 300_000);
}

#[test]
fn a_request_that_has_no_room_leaves_nothing_to_replay() {
    let code = format!("return 1 -- {}", "x".repeat(5000));
    let journal = journal(1000, &code);
    assert!(journal.is_cut());
    assert_eq!(journal.calls(), 0);
    let replay = replay(&journal);
    assert!(matches!(replay.end(), ReplayEnd::Beyond), "{replay}");
}
