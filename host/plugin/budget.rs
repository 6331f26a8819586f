//! What loading a plugin leaves of the limits of a call.

use crate::{Error, ErrorKind, Limits, Report, RunOptions};

/// `options` with what `spent` leaves of `limits`.
pub(super) fn left(options: RunOptions, limits: &Limits, spent: &Report) -> RunOptions {
    let calls: u64 = spent.host_calls.values().sum();
    let printed = usize::try_from(spent.output_bytes).unwrap_or(usize::MAX);
    let options = options
        .host_calls(limits.host_calls.saturating_sub(calls))
        .output(limits.output.saturating_sub(printed));
    match spent.fuel {
        // No fuel at all is a mistake in the options, not an empty tank.
        Some(spent) if limits.limits_fuel() => {
            options.fuel(limits.fuel.saturating_sub(spent).max(1))
        }
        _ => options,
    }
}

/// The error of a run that had what was left of `limits`, as one of a run that had all of them.
pub(super) fn whole(error: Error, limits: &Limits) -> Error {
    let kind = match error.kind() {
        ErrorKind::OutOfFuel { at, .. } => ErrorKind::OutOfFuel {
            limit: limits.fuel,
            at: at.clone(),
        },
        ErrorKind::TooManyHostCalls { at, .. } => ErrorKind::TooManyHostCalls {
            limit: limits.host_calls,
            at: at.clone(),
        },
        _ => return error,
    };
    kind.into()
}
