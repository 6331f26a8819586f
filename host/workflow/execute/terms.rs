//! What a node may use: what is said around it, and less where it says so itself.

use std::time::{Duration, Instant};

use crate::workflow::model::{Policy, Settings};
use crate::{Cancel, ErrorKind, Grants, Limits, PartialLimits, RunOptions};

/// The terms of one attempt at a node.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    limits: PartialLimits,
    /// The names of what may be used, where anything is said of it.
    capabilities: Option<Vec<String>>,
    /// When it must have ended.
    pub(crate) deadline: Option<Instant>,
    /// The time that was said, of which that is the end.
    time: Option<Duration>,
    pub(crate) cancel: Cancel,
}

/// The capability of the workflow's variables.
pub(crate) const VARIABLES: &str = "variables";

impl Terms {
    /// The terms of a run, by the settings of its workflow.
    pub(crate) fn of_run(settings: &Settings, deadline: Option<Instant>, cancel: Cancel) -> Terms {
        // The others of a workflow are totals: its deadline, and its budget.
        let limits = settings.limits.of_each();
        let of_run = Policy {
            capabilities: settings.capabilities.clone(),
            ..Policy::default()
        };
        Terms {
            limits,
            capabilities: None,
            deadline,
            time: settings.limits.wall,
            cancel,
        }
        .narrowed(&of_run)
    }

    /// The same for a branch, which may be stopped by itself.
    pub(crate) fn of_branch(&self, timeout: Option<Duration>, cancel: Cancel) -> Terms {
        let (deadline, time) = self.until(timeout);
        Terms {
            deadline,
            time,
            cancel,
            ..self.clone()
        }
    }

    /// The deadline with a time that begins now, and the time whose end it is.
    fn until(&self, timeout: Option<Duration>) -> (Option<Instant>, Option<Duration>) {
        let own = timeout.and_then(|time| Instant::now().checked_add(time));
        match (own, self.deadline) {
            (Some(own), Some(around)) if around <= own => (self.deadline, self.time),
            (Some(_), _) => (own, timeout),
            (None, _) => (self.deadline, self.time),
        }
    }

    /// These, and what a node says besides.
    pub(crate) fn narrowed(&self, policy: &Policy) -> Terms {
        let (deadline, time) = self.until(policy.timeout);
        let own = policy.capabilities.as_ref();
        let own = own.map(|own| own.names.iter().map(|name| name.value.clone()));
        let capabilities = match (&self.capabilities, own) {
            (Some(around), Some(own)) => Some(own.filter(|name| around.contains(name)).collect()),
            (None, Some(own)) => Some(own.collect()),
            (around, None) => around.clone(),
        };
        Terms {
            limits: self.limits.and(&policy.limits),
            capabilities,
            deadline,
            time,
            cancel: self.cancel.clone(),
        }
    }

    /// Whether a capability may be used, as far as the workflow says anything of it.
    pub(crate) fn allow(&self, name: &str) -> bool {
        let names = self.capabilities.as_ref();
        names.is_none_or(|names| names.iter().any(|known| known == name))
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The error of a call under these terms, on a pool with the limits `pool`, as one of what was said:
    /// the call itself had what was `left` of the totals of `settings`, and of a time.
    pub(crate) fn as_said(
        &self,
        error: crate::Error,
        pool: &Limits,
        left: &PartialLimits,
        settings: &PartialLimits,
    ) -> crate::Error {
        let wall = self.limits.wall.map_or(pool.wall, |own| own.min(pool.wall));
        let kind = match error.kind() {
            ErrorKind::Timeout { limit, at, begun } if *limit != wall => ErrorKind::Timeout {
                limit: self.time.unwrap_or(*limit),
                at: at.clone(),
                begun: *begun,
            },
            ErrorKind::OutOfFuel { limit, at } if left.fuel == Some(*limit) => {
                ErrorKind::OutOfFuel {
                    limit: settings.fuel.unwrap_or(*limit),
                    at: at.clone(),
                }
            }
            ErrorKind::TooManyHostCalls { limit, at } if left.host_calls == Some(*limit) => {
                ErrorKind::TooManyHostCalls {
                    limit: settings.host_calls.unwrap_or(*limit),
                    at: at.clone(),
                }
            }
            _ => return error,
        };
        kind.into()
    }

    /// The options of an instance: when and by whom it is stopped.
    pub(crate) fn of_instance(&self) -> RunOptions {
        let options = RunOptions::new().cancel_handle(&self.cancel);
        match self.deadline {
            Some(deadline) => options.deadline(deadline),
            None => options,
        }
    }

    /// The options of a call of Lua, which may have no more than its instance.
    pub(crate) fn of_eval(
        &self,
        limits: &Limits,
        left: &PartialLimits,
        granted: &Grants,
    ) -> RunOptions {
        let options = self.of_call(limits, left);
        match &self.capabilities {
            // Variables are there or not since the instance was made.
            Some(names) => options.grants(
                granted.only(
                    names
                        .iter()
                        .map(String::as_str)
                        .filter(|it| *it != VARIABLES),
                ),
            ),
            None => options,
        }
    }

    /// The options of any call under these terms, on a pool that lets it have `limits`; what it
    /// is granted is left open.
    pub(crate) fn of_call(&self, limits: &Limits, left: &PartialLimits) -> RunOptions {
        // What is left of a total may be more than a call can have.
        let limits = self.limits.and(&left.at_most(limits));
        self.of_instance().limits(limits)
    }
}
