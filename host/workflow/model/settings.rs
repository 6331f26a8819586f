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
    /// Where branches run, and on whose workers: no part of what a workflow does.
    #[serde(skip)]
    pub(crate) place: Option<Where>,
    #[serde(skip)]
    pub(crate) pool: Option<String>,
}

/// Where the branches of a workflow run, if it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// In the process of the run, whatever workers it is given.
    Local,
    /// On workers, which have to be given.
    Workers,
}

impl Where {
    /// All of them, by the words for them.
    pub(crate) const WORDS: [(&str, Where); 2] =
        [("local", Where::Local), ("workers", Where::Workers)];
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
    /// The same with what is said of one fan-out, which comes first.
    pub(crate) fn with(&self, own: &Together) -> Merge {
        let mut merge = self.clone();
        merge
            .reducers
            .extend(own.merge.iter().map(|(key, it)| (key.clone(), *it)));
        merge
            .reducers
            .retain(|key, _| !own.reduce.contains_key(key));
        merge
    }

    /// Whether anything of what branches end with is merged at all.
    pub(crate) fn is_nothing(&self) -> bool {
        self.strategy == MergeStrategy::Isolated && self.reducers.is_empty()
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

    /// Whether values can be put together in parts, and the parts then: what `reduce` asks for. The others
    /// compare the values of all branches.
    pub(crate) fn is_associative(self) -> bool {
        !matches!(self, Reducer::Deep | Reducer::Fail)
    }

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
    /// What is merged once all have ended.
    #[serde(rename = "reducers")]
    pub(crate) merge: Reducers,
    /// What is folded where branches run.
    #[serde(skip_serializing_if = "Reducers::is_empty")]
    pub(crate) reduce: Reducers,
    /// How many have to succeed for the others to be stopped.
    pub(crate) until: Option<Spanned<NonZeroUsize>>,
    /// Which entries the fan-in sees; all of them, where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collect: Option<Spanned<Collect>>,
}

impl Together {
    /// Which entries the fan-in sees.
    pub(crate) fn collect(&self) -> Collect {
        self.collect.as_ref().map_or(Collect::All, |it| it.value)
    }

    /// How many have to succeed for the others to be stopped.
    pub(crate) fn until(&self) -> Option<usize> {
        self.until.as_ref().map(|until| until.value.get())
    }

    /// The first key that is both merged and folded, of which it can only be one.
    pub(crate) fn key_of_both(&self) -> Option<&String> {
        self.reduce.keys().find(|key| self.merge.contains_key(*key))
    }
}

/// Which entries of branches the fan-in sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Collect {
    All,
    /// Those of branches that failed.
    Errors,
    None,
}

impl Collect {
    /// All of them, by the words for them.
    pub(crate) const WORDS: [(&str, Collect); 3] = [
        ("all", Collect::All),
        ("errors", Collect::Errors),
        ("none", Collect::None),
    ];
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
