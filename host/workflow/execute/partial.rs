//! What some branches gave a key, on its way to what all of them did.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::workflow::execute::best::Best;
use crate::workflow::execute::exact::ExactSum;
use crate::workflow::json::Json;

/// What some branches gave a key.
#[derive(Clone, Debug)]
pub(crate) struct Partial {
    /// Whether any of them gave it anything, if only null.
    pub(super) is_given: bool,
    pub(super) what: What,
    /// The first one whose value the reducer doesn't take, and what is wrong with it.
    pub(super) wrong: Option<(usize, String)>,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// What each branch put behind the list, by the branch's index.
    Lists(BTreeMap<usize, Vec<Value>>),
    /// The same, each value once, with the first place where it was: the branch's index, and that in its list.
    Set(HashMap<String, (usize, usize, Value)>),
    Sum(ExactSum),
    /// The best number and the best string: only one kind may be there.
    Best {
        numbers: Option<Best>,
        strings: Option<Best>,
    },
    /// That of the branch with the largest index.
    Last(Option<(usize, Json)>),
}

impl Partial {
    /// Notes what is wrong with the value of a branch, unless that is known of one before it.
    pub(super) fn note(&mut self, index: usize, why: String) {
        if self.wrong.as_ref().is_none_or(|(known, _)| index < *known) {
            self.wrong = Some((index, why));
        }
    }
}

/// Puts a value into a set, at the first place where it was.
pub(super) fn put_first(
    set: &mut HashMap<String, (usize, usize, Value)>,
    text: String,
    item: (usize, usize, Value),
) {
    match set.entry(text) {
        std::collections::hash_map::Entry::Vacant(new) => drop(new.insert(item)),
        std::collections::hash_map::Entry::Occupied(mut known) => {
            if (item.0, item.1) < (known.get().0, known.get().1) {
                known.insert(item);
            }
        }
    }
}
