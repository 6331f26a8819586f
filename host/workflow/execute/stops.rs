//! Where a run is told to stop.

use serde::{Deserialize, Serialize};

/// Nodes that a run was told to stop at when it began: it stops there after resuming, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stops {
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
}

impl Stops {
    /// Adds those of `other` that aren't there.
    pub(crate) fn add(&mut self, other: &Stops) {
        let add = |own: &mut Vec<String>, others: &[String]| {
            for name in others {
                if !own.contains(name) {
                    own.push(name.clone());
                }
            }
        };
        add(&mut self.before, &other.before);
        add(&mut self.after, &other.after);
    }
}
