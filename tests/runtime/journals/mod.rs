//! Journals: what an instance did, run again alone and offline.

mod bounds;
mod divergence;
mod ends;
mod files;
mod masks;
mod origins;
mod replay;

use moonfork::{Branch, Grants, Journal, Pool, PoolBuilder, Replay, ReplayOptions, RunOptions};

use crate::common;

/// Options of a branch that keeps a journal.
fn recording(grants: Grants) -> RunOptions {
    RunOptions::new().grants(grants).journal(Journal::BYTES)
}

/// The journal of a branch that was made to keep one.
fn taken(branch: &mut Branch) -> Journal {
    let journal = branch.take_journal().expect("it keeps one");
    assert!(branch.take_journal().is_none(), "it was taken");
    journal
}

/// A pool that has nothing of what the journal's had.
fn offline(journal: &Journal) -> Pool {
    let builder: PoolBuilder = common::builder().max_branches(2);
    builder.for_replay(journal).build().unwrap()
}

fn replay(journal: &Journal) -> Replay {
    replay_with(journal, &ReplayOptions::new())
}

fn replay_with(journal: &Journal, options: &ReplayOptions) -> Replay {
    offline(journal).replay(journal, options).unwrap()
}

/// Replays a journal, which has to go as it went.
#[track_caller]
fn same(journal: &Journal) -> Replay {
    let replay = replay(journal);
    assert!(replay.is_same(), "{replay}");
    replay
}
