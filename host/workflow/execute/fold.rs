//! What branches gave the keys that their fan-out has reducers for, folded where they run: it takes as much
//! memory as what comes of it, however many branches there are.

use std::sync::Arc;

use crate::workflow::execute::partial::Partial;
#[cfg(feature = "nats")]
use crate::workflow::execute::partial_sent::PartialSent;
use crate::workflow::execute::reduce::Reduction;
use crate::workflow::json::Json;
use crate::workflow::model::Reducers;
use crate::workflow::state::State;

/// The reductions of a fan-out, and the state from before it.
pub(crate) struct Reductions {
    before: State,
    of_keys: Vec<Reduction>,
}

/// What some branches gave all these keys.
pub(crate) struct Partials(Vec<Partial>);

impl Reductions {
    /// Those of these keys.
    ///
    /// # Errors
    /// If a value of the state isn't of the kind that its reducer is about.
    pub(crate) fn new(reducers: &Reducers, before: &State) -> Result<Reductions, String> {
        let of_keys = reducers
            .iter()
            .map(|(key, reducer)| Reduction::new(*reducer, key, before.get(key)));
        Ok(Reductions {
            before: before.clone(),
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

    /// Of the state that a branch ended with, what [`take`](Self::take) looks at.
    pub(crate) fn of(&self, after: &State) -> State {
        let mut own = State::default();
        for Reduction { key, .. } in &self.of_keys {
            if let Some(value) = after.get(key).filter(|it| self.before.get(key) != Some(it)) {
                own.set(Arc::clone(key), value.clone());
            }
        }
        own
    }

    /// Puts what other branches gave beside this.
    pub(crate) fn join(&self, into: &mut Partials, other: Partials) {
        let pairs = into.0.iter_mut().zip(other.0);
        for (reduction, (partial, other)) in self.of_keys.iter().zip(pairs) {
            reduction.join(partial, other);
        }
    }

    /// What some branches gave, as it passes to a side that has the state from before them.
    #[cfg(feature = "nats")]
    pub(crate) fn sent(&self, partials: Partials) -> Vec<PartialSent> {
        let partials = partials.0.into_iter();
        partials
            .map(|partial| PartialSent::new(partial, &self.before))
            .collect()
    }

    /// The same on that side.
    ///
    /// # Errors
    /// If it is of other keys, or a value in it can't be had.
    #[cfg(feature = "nats")]
    pub(crate) fn received(&self, sent: Vec<PartialSent>) -> Result<Partials, String> {
        if sent.len() != self.of_keys.len() {
            return Err(format!(
                "{} keys in place of {}",
                sent.len(),
                self.of_keys.len()
            ));
        }
        let partials = sent.into_iter().map(|it| it.partial(&self.before));
        Ok(Partials(partials.collect::<Result<_, _>>()?))
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
