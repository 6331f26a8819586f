//! What a whole run may use, and what is left of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::workflow::report::Failure;
use crate::{Amount, Limit, PartialLimits, Unit};

/// Totals of a run: all its instances use them up together.
///
/// A call is given what is left when it begins. Branches that run at the same time are each
/// given that, so that together they may exceed the total by what each of them was given; the
/// next call finds nothing left.
#[derive(Debug)]
pub(crate) struct Budget(Vec<(Limit, AtomicU64)>);

impl Budget {
    /// The budget that the settings of a workflow say. Time isn't part of it: a run has a deadline.
    pub(crate) fn new(limits: &PartialLimits) -> Budget {
        let sums = Limit::ALL.iter().filter(|limit| limit.is_sum());
        let total = |limit: &Limit| match limits.get(*limit)? {
            Amount::Count(total) | Amount::Bytes(total) => Some((*limit, AtomicU64::new(total))),
            Amount::Time(_) => None,
        };
        Budget(sums.filter_map(total).collect())
    }

    /// What is left for the next call.
    ///
    /// # Errors
    /// If there is no fuel left: not even a call that does nothing can do without.
    pub(crate) fn left(&self) -> Result<PartialLimits, Failure> {
        let mut all = PartialLimits::default();
        for (limit, left) in &self.0 {
            let left = left.load(Ordering::Relaxed);
            let amount = match limit.unit() {
                Unit::Bytes => Amount::Bytes(left),
                _ => Amount::Count(left),
            };
            if all.set(*limit, amount).is_err() {
                let message = format!(
                    "the run has used up the {} of `settings.limits`",
                    limit.name()
                );
                return Err(Failure::own("FuelError", message));
            }
        }
        Ok(all)
    }

    /// Whether there is any total.
    #[cfg(feature = "nats")]
    pub(crate) fn is_limited(&self) -> bool {
        !self.0.is_empty()
    }

    /// What was taken of it since it was these limits.
    pub(crate) fn spent(&self, limits: &PartialLimits) -> Amounts {
        let before = Budget::new(limits);
        let pairs = before.0.iter().zip(&self.0);
        let spent = pairs.map(|((limit, before), (_, left))| {
            let left = left.load(Ordering::Relaxed);
            let spent = before.load(Ordering::Relaxed).saturating_sub(left);
            (limit.name().to_owned(), spent)
        });
        Amounts(spent.collect())
    }

    /// Takes off what was used of these.
    pub(crate) fn spend_amounts(&self, spent: &Amounts) {
        for (limit, used) in spent.known() {
            self.spend(limit, used);
        }
    }

    /// Takes off what a call used of this.
    pub(crate) fn spend(&self, limit: Limit, used: u64) {
        if let Some((_, counter)) = self.0.iter().find(|(it, _)| *it == limit) {
            let less = |left: u64| Some(left.saturating_sub(used));
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// Limits as they pass to another process: times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Amounts(Vec<(String, u64)>);

impl Amounts {
    pub(crate) fn of(limits: &PartialLimits) -> Amounts {
        let amount = |limit: &Limit| {
            let amount = match limits.get(*limit)? {
                Amount::Count(amount) | Amount::Bytes(amount) => amount,
                Amount::Time(time) => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            };
            Some((limit.name().to_owned(), amount))
        };
        Amounts(Limit::ALL.iter().filter_map(amount).collect())
    }

    /// Those that there are.
    fn known(&self) -> impl Iterator<Item = (Limit, u64)> {
        self.0.iter().filter_map(|(name, amount)| {
            let limit = Limit::ALL.iter().find(|limit| limit.name() == name)?;
            Some((*limit, *amount))
        })
    }

    /// Adds others of the same limits.
    #[cfg(feature = "nats")]
    pub(crate) fn add(&mut self, other: &Amounts) {
        for (name, amount) in &other.0 {
            match self.0.iter_mut().find(|(it, _)| it == name) {
                Some((_, own)) => *own = own.saturating_add(*amount),
                None => self.0.push((name.clone(), *amount)),
            }
        }
    }

    /// What is left of these where so much of them was used.
    #[cfg(feature = "nats")]
    pub(crate) fn less(&self, used: &Amounts) -> Amounts {
        let left = self.0.iter().map(|(name, amount)| {
            let used = used.0.iter().find(|(it, _)| it == name);
            let left = amount.saturating_sub(used.map_or(0, |(_, used)| *used));
            (name.clone(), left)
        });
        Amounts(left.collect())
    }

    /// Whether there is so little of one that not even a call that does nothing can do with it.
    #[cfg(feature = "nats")]
    pub(crate) fn are_used_up(&self) -> bool {
        let mut limits = PartialLimits::default();
        let mut known = self.known();
        known.any(|(limit, amount)| limits.set(limit, amount_of(limit, amount)).is_err())
    }

    pub(crate) fn limits(&self) -> PartialLimits {
        let mut limits = PartialLimits::default();
        for (limit, amount) in self.known() {
            // One that can't be was none on the other side, either.
            let _ = limits.set(limit, amount_of(limit, amount));
        }
        limits
    }
}

fn amount_of(limit: Limit, amount: u64) -> Amount {
    match limit.unit() {
        Unit::Bytes => Amount::Bytes(amount),
        Unit::Time => Amount::Time(Duration::from_nanos(amount)),
        _ => Amount::Count(amount),
    }
}
