//! What the instances of a plugin begin with: what its entry leaves, run once as the plugin is loaded.
//!
//! That is what running it again would leave only if the entry does nothing but compute. So it is used where
//!
//! - the entry printed nothing and asked the host for nothing but modules, whose texts don't change;
//! - it leaves the same, byte by byte, in two instances whose random numbers differ;
//! - the plugin has no seed: the function's numbers are those behind the entry's.
//!
//! Everywhere else, the entry is run in each instance. Either way a call has what the entry leaves of
//! its limits: what it took of fuel and of calls of the host is the same each time.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::source::Source;
use crate::{Chunk, Pool, Report, Result, RunOptions, Snapshot, Wait};

/// What the entry has left.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) snapshot: Snapshot,
    /// What running it takes of the limits of a call.
    pub(super) cost: Report,
}

/// What a module costs to be asked for, by the name that reports have for it.
const REQUIRE: &str = "require";

impl Start {
    /// Runs the entry on the plugin's terms, which have no seed, where it was found sound, and `report` says
    /// what it did. Nothing where it has to be run in each instance.
    pub(super) fn find(
        report: &Report,
        source: &Source,
        options: &RunOptions,
        pool: &Pool,
    ) -> Option<Start> {
        // Whoever is asked for something by it is asked no more often than there are instances.
        let asks = report.host_calls.keys().any(|name| name != REQUIRE);
        if asks || report.output_bytes > 0 {
            return None;
        }
        // Whatever goes wrong here, the entry can be run each time.
        let one = Start::make(source, options, pool).ok()?;
        let other = Start::make(source, options, pool).ok()?;
        let is_same = one.snapshot.hash() == other.snapshot.hash()
            && [&one.cost, &other.cost].iter().all(|cost| {
                cost.fuel == report.fuel
                    && cost.host_calls == report.host_calls
                    && cost.output_bytes == 0
            });
        // It may be larger than what the plugin may have.
        let fits = || pool.branch_from(&one.snapshot, options, &Wait::default());
        (is_same && fits().is_ok()).then_some(one)
    }

    fn make(source: &Source, options: &RunOptions, pool: &Pool) -> Result<Start> {
        let mut branch = pool.branch_for(options, &Wait::default())?;
        let entry = Chunk::body(&*source.entry.text).named(source.chunk_name());
        branch.eval::<IgnoredAny>(entry)?;
        let report = branch.take_report();
        Ok(Start {
            snapshot: branch.snapshot()?,
            cost: Report {
                calls: 0,
                wall: Duration::ZERO,
                peak_memory: 0,
                ..report
            },
        })
    }
}
