//! What a whole run may use, and what is left of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::workflow::model::LimitSettings;
use crate::workflow::report::Failure;

/// Totals of a run: all its instances use them up together.
///
/// A call is given what is left when it begins. Branches that run at the same time are each
/// given that, so that together they may exceed the total by what each of them was given; the
/// next call finds nothing left.
#[derive(Debug)]
pub(crate) struct Budget {
    fuel: Option<AtomicU64>,
    output: Option<AtomicU64>,
    host_calls: Option<AtomicU64>,
}

/// What is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) fuel: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) host_calls: Option<u64>,
}

impl Budget {
    /// The budget that the settings of a workflow say.
    pub(crate) fn new(limits: &LimitSettings) -> Budget {
        Budget {
            fuel: limits.fuel.map(AtomicU64::new),
            output: limits.output.map(|bytes| AtomicU64::new(bytes as u64)),
            host_calls: limits.host_calls.map(AtomicU64::new),
        }
    }

    /// What is left for the next call.
    ///
    /// # Errors
    /// If there is no fuel left: not even a call that does nothing can do without.
    pub(crate) fn left(&self) -> Result<Left, Failure> {
        let read =
            |counter: &Option<AtomicU64>| counter.as_ref().map(|left| left.load(Ordering::Relaxed));
        let left = Left {
            fuel: read(&self.fuel),
            output: read(&self.output),
            host_calls: read(&self.host_calls),
        };
        match left.fuel {
            Some(0) => Err(Failure::own(
                "FuelError",
                "the run has used up the fuel of `settings.limits`",
            )),
            _ => Ok(left),
        }
    }

    /// Takes off what a call used.
    pub(crate) fn spend(&self, fuel: u64, output: u64, host_calls: u64) {
        let spend = |counter: &Option<AtomicU64>, used: u64| {
            if let Some(counter) = counter {
                let less = |left: u64| Some(left.saturating_sub(used));
                let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
        };
        spend(&self.fuel, fuel);
        spend(&self.output, output);
        spend(&self.host_calls, host_calls);
    }
}
