//! The smallest or largest of what branches gave a key.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value;

use crate::workflow::execute::exact;
use crate::workflow::json::Json;
use crate::workflow::model::Reducer;

#[derive(Clone, Debug)]
pub(super) struct Best {
    /// The first branch that gave one of the kind.
    pub(super) first: (usize, Arc<str>),
    /// The branch's index, and its value.
    pub(super) best: (usize, Json),
}

/// The better of two; of equal ones that of the first branch.
pub(super) fn join_best(into: &mut Option<Best>, other: Option<Best>, reducer: Reducer) {
    let Some(other) = other else { return };
    let Some(known) = into else {
        *into = Some(other);
        return;
    };
    if other.first.0 < known.first.0 {
        known.first = other.first;
    }
    let (ours, theirs) = (known.best.1.kind(), other.best.1.kind());
    let is_better = precedes(reducer, theirs, ours);
    if is_better || (other.best.0 < known.best.0 && !precedes(reducer, ours, theirs)) {
        known.best = other.best;
    }
}

/// Whether one value is better than another, and not just as good. Both are of one kind.
pub(super) fn precedes(reducer: Reducer, one: &Value, other: &Value) -> bool {
    let order = match (one, other) {
        (Value::Number(one), Value::Number(other)) => exact::compare(one, other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        _ => Ordering::Equal,
    };
    match reducer {
        Reducer::Min => order.is_lt(),
        _ => order.is_gt(),
    }
}
