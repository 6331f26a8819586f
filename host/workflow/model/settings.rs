//! `settings`, `config`, and what branches have in common.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;

use super::policy::{Capabilities, OnError};
use super::spanned::Spanned;
use crate::PartialLimits;
use crate::diagnostics::Place;

/// `settings`.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    /// Node runs on one path.
    pub(crate) max_iterations: usize,
    /// Whether nodes may lead back to themselves.
    pub(crate) allow_cycles: bool,
    /// Whether unknown names and conditions that fail are errors.
    pub(crate) strict: bool,
    /// What nodes do that don't say it themselves.
    pub(crate) on_error: Option<OnError>,
    pub(crate) parallel: Parallel,
    pub(crate) limits: PartialLimits,
    /// Where they are said.
    #[serde(skip)]
    pub(crate) limits_place: Option<Place>,
    pub(crate) capabilities: Option<Capabilities>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_iterations: 1000,
            allow_cycles: true,
            strict: false,
            on_error: None,
            parallel: Parallel::default(),
            limits: PartialLimits::default(),
            limits_place: None,
            capabilities: None,
        }
    }
}

/// `settings.parallel`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Parallel {
    pub(crate) max_workers: Option<NonZeroUsize>,
    pub(crate) merge: Merge,
    pub(crate) fail_fast: bool,
    /// What a branch may take in all.
    pub(crate) timeout: Option<Duration>,
    pub(crate) start: Start,
}

/// What the instance of a branch begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Start {
    /// What every instance of the run does.
    #[default]
    Fresh,
    /// All that the instance has which its fan-out begins on.
    Fork,
}

impl Start {
    /// All of them, by the words for them.
    pub(crate) const WORDS: [(&str, Start); 2] = [("fresh", Start::Fresh), ("fork", Start::Fork)];
}

/// What becomes of the states that branches end with.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Merge {
    /// Of keys that have a reducer.
    pub(crate) reducers: Reducers,
    /// Of the others.
    pub(crate) strategy: MergeStrategy,
}

/// What becomes of single keys.
pub(crate) type Reducers = BTreeMap<String, Reducer>;

impl Merge {
    /// The same with the reducers of one fan-out, which come first.
    pub(crate) fn with(&self, own: &Reducers) -> Merge {
        let mut merge = self.clone();
        merge
            .reducers
            .extend(own.iter().map(|(key, reducer)| (key.clone(), *reducer)));
        merge
    }
}

/// How the values that branches gave a key become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Reducer {
    /// Lists, one behind the other.
    Append,
    /// The same, each value once.
    Union,
    /// What each branch added to a number.
    Sum,
    Min,
    Max,
    /// The value of the last branch, in the written order.
    Last,
    /// Key by key in mappings.
    Deep,
    /// The same, and different values for one key are an error.
    Fail,
}

impl Reducer {
    /// All reducers, by their words.
    pub(crate) const WORDS: [(&'static str, Reducer); 8] = [
        ("append", Reducer::Append),
        ("union", Reducer::Union),
        ("sum", Reducer::Sum),
        ("min", Reducer::Min),
        ("max", Reducer::Max),
        ("last", Reducer::Last),
        ("deep", Reducer::Deep),
        ("fail", Reducer::Fail),
    ];

    /// Its word.
    pub(crate) fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        let found = words.find(|(_, reducer)| *reducer == self);
        found.map_or("", |(word, _)| word)
    }
}

/// What is said of all branches of one fan-out.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Together {
    pub(crate) reducers: Reducers,
    /// How many have to succeed for the others to be stopped.
    pub(crate) until: Option<Spanned<NonZeroUsize>>,
}

/// What becomes of the states that branches end with, but for single keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) enum MergeStrategy {
    /// They are in `parallel_results` and nowhere else.
    #[default]
    Isolated,
    /// Keys that a branch changed are taken over; those of a later branch win.
    LastWriteWins,
    /// The same, key by key in mappings of any depth.
    MergeDeep,
    /// The same, and two branches that changed one key to different values are an error.
    FailOnConflict,
}

impl MergeStrategy {
    /// All strategies, by their words.
    pub(crate) const WORDS: [(&'static str, MergeStrategy); 4] = [
        ("isolated", MergeStrategy::Isolated),
        ("last_write_wins", MergeStrategy::LastWriteWins),
        ("merge_deep", MergeStrategy::MergeDeep),
        ("fail_on_conflict", MergeStrategy::FailOnConflict),
    ];
}

/// `config`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Config {
    pub(crate) interrupt_before: Vec<Spanned<String>>,
    pub(crate) interrupt_after: Vec<Spanned<String>>,
    #[serde(skip)]
    pub(crate) checkpoint_dir: Option<String>,
    /// Whether a failed branch fails the run.
    pub(crate) raise_exceptions: bool,
}
