//! Options of a run that were checked, with what they leave of what they are part of.

use std::sync::Arc;

use crate::grants::granted::Granted;
use crate::grants::host_call::CallKeys;
use crate::run::limits::Limits;
use crate::run::options::RunOptions;
use crate::{Cancel, Deadline, Error, Result};

/// What an instance may do, or some of its calls: options that were checked.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) limits: Limits,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) cancel: Option<Cancel>,
    /// `None` where nothing else is granted than what the pool grants, or the instance was.
    pub(crate) granted: Option<Arc<Granted>>,
    /// Bytes of the journal that the instance is to keep, if it is to keep one.
    pub(crate) journal: Option<usize>,
    /// What calls of host functions go by, if they go by anything.
    pub(crate) keys: Option<Arc<CallKeys>>,
}

impl Terms {
    /// These limits, and nothing else.
    pub(crate) fn of_limits(limits: Limits) -> Terms {
        Terms {
            limits,
            deadline: None,
            cancel: None,
            granted: None,
            journal: None,
            keys: None,
        }
    }

    /// The terms of an instance, in a pool with these limits that grants this.
    ///
    /// # Errors
    ///
    /// `Options` when they are wider than the pool's, or grant what it hasn't.
    pub(crate) fn of_instance(
        options: &RunOptions,
        limits: &Limits,
        granted: &Granted,
        metered: bool,
    ) -> Result<Terms> {
        Ok(Terms {
            limits: options.narrow(limits, metered)?,
            deadline: options.get_deadline(),
            cancel: options.get_cancel().cloned(),
            granted: match options.get_grants() {
                Some(grants) => Some(Arc::new(granted.instead(grants.clone())?)),
                None => None,
            },
            journal: options.get_journal(),
            keys: options.get_keys().cloned(),
        })
    }

    /// The terms of some calls of an instance that has these limits and was granted this, within
    /// `outer` ones. The instance's own deadline and handle hold besides.
    ///
    /// # Errors
    ///
    /// `Options` when they are wider.
    pub(crate) fn of_calls(
        options: &RunOptions,
        limits: &Limits,
        granted: &Granted,
        outer: Option<&Terms>,
        metered: bool,
    ) -> Result<Terms> {
        refuse_journal(options)?;
        let limits = outer.map_or(limits, |outer| &outer.limits);
        let outer_granted = outer.and_then(|outer| outer.granted.as_ref());
        let outer_cancel = outer.and_then(|outer| outer.cancel.as_ref());
        let outer_deadline = outer.and_then(|outer| outer.deadline);
        let outer_keys = outer.and_then(|outer| outer.keys.as_ref());
        Ok(Terms {
            limits: options.narrow(limits, metered)?,
            deadline: Deadline::earlier(outer_deadline, options.get_deadline()),
            cancel: match (options.get_cancel(), outer_cancel) {
                (Some(own), Some(outer)) => Some(Cancel::any([own, outer])),
                (own, outer) => own.or(outer).cloned(),
            },
            granted: match options.get_grants() {
                None => outer_granted.cloned(),
                Some(grants) => {
                    let wider = outer_granted.map_or(granted, |outer| outer);
                    Some(Arc::new(wider.narrowed(grants)?))
                }
            },
            journal: None,
            keys: options.get_keys().or(outer_keys).cloned(),
        })
    }
}

/// Refuses a journal where no instance is made.
///
/// # Errors
///
/// `Options`.
pub(crate) fn refuse_journal(options: &RunOptions) -> Result<()> {
    match options.get_journal() {
        None => Ok(()),
        Some(_) => Err(Error::options(
            "a journal is asked for when an instance is made; for a call it would have no effect",
        )),
    }
}
