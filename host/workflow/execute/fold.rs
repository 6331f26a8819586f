//! What branches gave the keys that their fan-out has reducers for, folded where they run: it takes as much
//! memory as what comes of it, however many branches there are.

use std::sync::Arc;

use crate::workflow::execute::reduce::{Partial, Reduction};
use crate::workflow::json::Json;
use crate::workflow::model::Reducers;
use crate::workflow::state::State;

/// The reductions of a fan-out, and the state from before it.
pub(crate) struct Reductions<'s> {
    before: &'s State,
    of_keys: Vec<Reduction>,
}

/// What some branches gave all these keys.
pub(crate) struct Partials(Vec<Partial>);

impl<'s> Reductions<'s> {
    /// Those of these keys.
    ///
    /// # Errors
    /// If a value of the state isn't of the kind that its reducer is about.
    pub(crate) fn new(reducers: &Reducers, before: &'s State) -> Result<Reductions<'s>, String> {
        let of_keys = reducers
            .iter()
            .map(|(key, reducer)| Reduction::new(*reducer, key, before.get(key)));
        Ok(Reductions {
            before,
            of_keys: of_keys.collect::<Result<_, _>>()?,
        })
    }

    /// What no branch has given anything to yet.
    pub(crate) fn empty(&self) -> Partials {
        Partials(self.of_keys.iter().map(Reduction::empty).collect())
    }

    /// Takes in what a branch gave that ended with this state. A key that it left as it was is nothing that it gave.
    pub(crate) fn take(&self, into: &mut Partials, index: usize, branch: &Arc<str>, after: &State) {
        for (reduction, partial) in self.of_keys.iter().zip(&mut into.0) {
            if let Some(value) = after.get(&reduction.key)
                && self.before.get(&reduction.key) != Some(value)
            {
                reduction.take(partial, index, branch, value);
            }
        }
    }

    /// Puts what other branches gave beside this.
    pub(crate) fn join(&self, into: &mut Partials, other: Partials) {
        let pairs = into.0.iter_mut().zip(other.0);
        for (reduction, (partial, other)) in self.of_keys.iter().zip(pairs) {
            reduction.join(partial, other);
        }
    }

    /// The keys with their values after the fan-out, those that any branch gave one.
    ///
    /// # Errors
    /// Where a value isn't of the kind that its reducer is about.
    pub(crate) fn finish(&self, partials: Partials) -> Result<Vec<(String, Json)>, String> {
        let mut values = Vec::new();
        for (reduction, partial) in self.of_keys.iter().zip(partials.0) {
            if let Some(value) = reduction.finish(partial)? {
                values.push((reduction.key.to_string(), value));
            }
        }
        Ok(values)
    }
}
