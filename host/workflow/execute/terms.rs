//! What a node may use: what is said around it, and less where it says so itself.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::workflow::execute::budget::Amounts;
use crate::workflow::model::{Policy, Settings};
use crate::workflow::report::Failure;
use crate::{Cancel, Deadline, ErrorKind, Grants, Limits, PartialLimits, RunOptions};

/// The terms of one attempt at a node.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    limits: PartialLimits,
    /// The names of what may be used, where anything is said of it.
    capabilities: Option<Vec<String>>,
    /// When it must have ended.
    pub(crate) deadline: Option<Deadline>,
    pub(crate) cancel: Cancel,
}

/// What of terms passes to another process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TermsSent {
    limits: Amounts,
    capabilities: Option<Vec<String>>,
}

/// The time that is left, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Left {
    left: Duration,
    of: Option<Duration>,
}

#[cfg(feature = "nats")]
impl Left {
    /// What is left when this much of it has passed.
    pub(crate) fn after(self, time: Duration) -> Left {
        Left {
            left: self.left.saturating_sub(time),
            ..self
        }
    }
}

/// The capability of the workflow's variables.
pub(crate) const VARIABLES: &str = "variables";

impl Terms {
    /// The terms of a run, by the settings of its workflow.
    pub(crate) fn of_run(settings: &Settings, started: Instant, cancel: Cancel) -> Terms {
        // The others of a workflow are totals: its deadline, and its budget.
        let limits = settings.limits.of_each();
        let of_run = Policy {
            capabilities: settings.capabilities.clone(),
            ..Policy::default()
        };
        Terms {
            limits,
            capabilities: None,
            deadline: settings
                .limits
                .wall
                .map(|wall| Deadline::since(started, wall)),
            cancel,
        }
        .narrowed(&of_run)
    }

    /// The same for a branch, which may be stopped by itself.
    pub(crate) fn of_branch(&self, timeout: Option<Duration>, cancel: Cancel) -> Terms {
        Terms {
            deadline: self.until(timeout),
            cancel,
            ..self.clone()
        }
    }

    /// These as they pass to another process, without the time that is left.
    pub(crate) fn sent(&self) -> TermsSent {
        TermsSent {
            limits: Amounts::of(&self.limits),
            capabilities: self.capabilities.clone(),
        }
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Option<Left> {
        self.deadline.map(|deadline| Left {
            left: deadline.remaining(),
            of: deadline.time(),
        })
    }

    /// Those that another process has sent, of which this much time is left.
    pub(crate) fn received(sent: &TermsSent, left: Option<Left>, cancel: Cancel) -> Terms {
        let deadline = left.map(|Left { left, of }| {
            let now = Instant::now();
            let began = of.and_then(|of| Some((now.checked_sub(of.checked_sub(left)?)?, of)));
            match began {
                // So that it is said as it was.
                Some((began, of)) => Deadline::since(began, of),
                None => Deadline::after(left),
            }
        });
        Terms {
            limits: sent.limits.limits(),
            capabilities: sent.capabilities.clone(),
            deadline,
            cancel,
        }
    }

    /// The deadline with a time that begins now.
    fn until(&self, timeout: Option<Duration>) -> Option<Deadline> {
        Deadline::earlier(self.deadline, timeout.map(Deadline::after))
    }

    /// These, and what a node says besides.
    pub(crate) fn narrowed(&self, policy: &Policy) -> Terms {
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
            deadline: self.until(policy.timeout),
            cancel: self.cancel.clone(),
        }
    }

    /// Whether a capability may be used, as far as the workflow says anything of it.
    pub(crate) fn allow(&self, name: &str) -> bool {
        let names = self.capabilities.as_ref();
        names.is_none_or(|names| names.iter().any(|known| known == name))
    }

    /// The failure of what has no time left.
    pub(crate) fn out_of_time(&self, what: &str) -> Failure {
        let time = self.deadline.and_then(|deadline| deadline.time());
        let time = time.map_or_else(String::new, |time| format!(", {time:?},"));
        Failure::timeout(format!("the time for {what}{time} was over"))
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline.is_over())
    }

    /// The error of a call as one of what was said: the call itself had what was `left` of the
    /// totals of `settings`.
    pub(crate) fn as_said(
        error: crate::Error,
        left: &PartialLimits,
        settings: &PartialLimits,
    ) -> crate::Error {
        let kind = match error.kind() {
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
