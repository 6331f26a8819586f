//! How a node runs: its limits, what it may use, and what becomes of it when it fails.

use std::time::Duration;

use serde::Serialize;

use super::spanned::Spanned;
use crate::PartialLimits;
use crate::diagnostics::Place;

/// What a node may use, and what happens when it fails.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Policy {
    pub(crate) retry: Option<Retry>,
    pub(crate) fallback: Option<Spanned<String>>,
    pub(crate) on_error: Option<OnError>,
    /// What one attempt may take.
    pub(crate) timeout: Option<Duration>,
    pub(crate) limits: PartialLimits,
    /// Where they are said.
    #[serde(skip)]
    pub(crate) limits_place: Option<Place>,
    pub(crate) capabilities: Option<Capabilities>,
}

/// `retry`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Retry {
    pub(crate) max_retries: u32,
    pub(crate) base_delay: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) backoff_multiplier: f64,
    pub(crate) jitter: bool,
    /// The kinds of errors that are worth it; all, if there are none.
    pub(crate) only: Vec<String>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max_retries: 3,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            backoff_multiplier: 2.0,
            jitter: true,
            only: Vec::new(),
        }
    }
}

/// `on_error`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OnError {
    pub(crate) mode: ErrorMode,
    pub(crate) fallback: Option<Spanned<String>>,
    pub(crate) capture_traceback: bool,
}

/// What follows on the last failure of a node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum ErrorMode {
    /// The run, or the branch, fails.
    Raise,
    /// It goes on, with the error in the state.
    Graceful,
    /// It is tried again, and fails after that.
    Retry(Retry),
}

/// The names of what may be used; nothing else is granted then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Capabilities {
    pub(crate) names: Vec<Spanned<String>>,
}
