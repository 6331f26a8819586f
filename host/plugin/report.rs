//! What calls of plugins cost.

use serde::{Deserialize, Serialize};

use super::manifest::Lifetime;
use crate::{Report, StoreId};

/// What a call gave, and what it cost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reply<R> {
    /// What the function returned.
    pub value: R,
    /// What the call cost.
    pub report: CallReport,
}

/// What one call of a plugin cost, loading included, and on which instance it ran.
///
/// Made for machines to read: [`schema_version`](Self::schema_version) is raised when a field
/// changes its meaning or goes; new fields may come at any time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallReport {
    /// Version of this layout: [`CallReport::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// For whom it was called.
    pub tenant: String,
    /// The function that was called.
    pub export: String,
    /// Whether the instance was for this call only.
    pub instance: Lifetime,
    /// The tenant's earlier instance of the plugin, which an earlier call ended, where this
    /// is the first call since: what its globals held is lost.
    pub replaces: Option<StoreId>,
    /// What ran on the instance: the call, and before it the entry, if it wasn't loaded yet.
    pub run: Report,
}

impl CallReport {
    /// The version of the layout.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// One report of what was reported in two parts, one after the other, on one instance.
pub(super) fn joined(first: Report, second: Report) -> Report {
    let mut joined = second;
    joined.calls += first.calls;
    joined.wall += first.wall;
    joined.fuel = match (first.fuel, joined.fuel) {
        (Some(first), Some(second)) => Some(first.saturating_add(second)),
        (first, second) => first.or(second),
    };
    joined.peak_memory = joined.peak_memory.max(first.peak_memory);
    // What comes after a gap would be misread.
    if first.output_truncated {
        joined.output = first.output;
    } else {
        joined.output.insert_str(0, &first.output);
    }
    joined.output_bytes += first.output_bytes;
    joined.output_truncated |= first.output_truncated;
    for (name, count) in first.host_calls {
        *joined.host_calls.entry(name).or_default() += count;
    }
    joined
}
