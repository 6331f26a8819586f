//! Why a call of a plugin gave no result.

use std::fmt;
use std::time::Duration;

use super::report::CallReport;
use crate::Error;

/// A call of a plugin that gave no result.
///
/// It says what happened ([`kind`](Self::kind)), and what it cost where anything ran
/// ([`report`](Self::report)).
pub struct CallError(Box<Inner>);

struct Inner {
    kind: CallErrorKind,
    report: Option<CallReport>,
}

/// The kinds of [`CallError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// The host has no plugin of that name.
    #[error("there is no plugin `{plugin}`{}", hinted(hint))]
    UnknownPlugin {
        /// The name.
        plugin: String,
        /// What might have been meant.
        hint: Option<String>,
    },
    /// The plugin's manifest exports no such function.
    #[error("the plugin `{plugin}` exports no function `{export}`{}", hinted(hint))]
    UnknownExport {
        /// The plugin.
        plugin: String,
        /// The function.
        export: String,
        /// What might have been meant.
        hint: Option<String>,
    },
    /// The tenant's kept instance was in use by other calls for as long as the caller would
    /// wait.
    #[error("the plugin `{plugin}` was busy with other calls of the same tenant for {waited:?}")]
    InUse {
        /// The plugin.
        plugin: String,
        /// How long anybody waits for their turn.
        waited: Duration,
    },
    /// A host function that the plugin called wants to call the same kept instance again.
    #[error("the plugin `{plugin}` is in the middle of the call that this one comes from")]
    Reentrant {
        /// The plugin.
        plugin: String,
    },
    /// As many instances are kept as the host allows.
    #[error(
        "{limit} instances are kept, and the host allows no more; release tenants that are gone"
    )]
    TooManyKept {
        /// How many the host allows.
        limit: usize,
    },
    /// The run failed: the script's error, a limit, something denied.
    #[error("plugin `{plugin}`: {error}")]
    Run {
        /// The plugin.
        plugin: String,
        /// What the run gave.
        error: Error,
    },
}

fn hinted(hint: &Option<String>) -> String {
    hint.as_ref()
        .map_or_else(String::new, |hint| format!("; {hint}"))
}

impl CallError {
    pub(super) fn new(kind: CallErrorKind, report: Option<CallReport>) -> CallError {
        CallError(Box::new(Inner { kind, report }))
    }

    /// What happened.
    pub fn kind(&self) -> &CallErrorKind {
        &self.0.kind
    }

    /// What the run gave, if it came to one, or to waiting for an instance.
    pub fn run_error(&self) -> Option<&Error> {
        match &self.0.kind {
            CallErrorKind::Run { error, .. } => Some(error),
            _ => None,
        }
    }

    /// What the call cost, if anything ran.
    pub fn report(&self) -> Option<&CallReport> {
        self.0.report.as_ref()
    }

    /// Whether the host has no such plugin, or the plugin no such function.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self.0.kind,
            CallErrorKind::UnknownPlugin { .. } | CallErrorKind::UnknownExport { .. }
        )
    }

    /// Whether what the globals of the tenant's kept instance held is lost by this call.
    pub fn loses_state(&self) -> bool {
        self.report()
            .is_some_and(|report| report.instance == super::Lifetime::Kept)
            && self.run_error().is_some_and(Error::ends_instance)
    }
}

impl From<CallErrorKind> for CallError {
    fn from(kind: CallErrorKind) -> CallError {
        CallError::new(kind, None)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("kind", &self.0.kind)
            .field("report", &self.0.report)
            .finish()
    }
}

impl std::error::Error for CallError {}
