//! What a node may use: what is said around it, and less where it says so itself.

use std::time::{Duration, Instant};

use crate::workflow::execute::budget::Left;
use crate::workflow::model::{LimitSettings, Policy, Settings};
use crate::{Cancel, Grants, Limits, RunOptions};

/// The terms of one attempt at a node.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    limits: LimitSettings,
    /// The names of what may be used, where anything is said of it.
    capabilities: Option<Vec<String>>,
    /// When it must have ended.
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: Cancel,
}

/// The capability of the workflow's variables.
pub(crate) const VARIABLES: &str = "variables";

impl Terms {
    /// The terms of a run, by the settings of its workflow.
    pub(crate) fn of_run(settings: &Settings, deadline: Option<Instant>, cancel: Cancel) -> Terms {
        // All other limits of a workflow are totals.
        let limits = LimitSettings {
            memory: settings.limits.memory,
            ..LimitSettings::default()
        };
        let of_run = Policy {
            capabilities: settings.capabilities.clone(),
            ..Policy::default()
        };
        Terms {
            limits,
            capabilities: None,
            deadline,
            cancel,
        }
        .narrowed(&of_run)
    }

    /// The same for a branch, which may be stopped by itself.
    pub(crate) fn of_branch(&self, timeout: Option<Duration>, cancel: Cancel) -> Terms {
        let timeout = timeout.and_then(|it| Instant::now().checked_add(it));
        Terms {
            deadline: self.deadline.into_iter().chain(timeout).min(),
            cancel,
            ..self.clone()
        }
    }

    /// These, and what a node says besides.
    pub(crate) fn narrowed(&self, policy: &Policy) -> Terms {
        let timeout = policy.timeout.and_then(|it| Instant::now().checked_add(it));
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
            deadline: self.deadline.into_iter().chain(timeout).min(),
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

    /// The options of an instance: when and by whom it is stopped.
    pub(crate) fn of_instance(&self) -> RunOptions {
        let options = RunOptions::new().cancel_handle(&self.cancel);
        match self.deadline {
            Some(deadline) => options.deadline(deadline),
            None => options,
        }
    }

    /// The options of a call of Lua, which may have no more than its instance.
    pub(crate) fn of_eval(&self, limits: &Limits, left: Left, granted: &Grants) -> RunOptions {
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
    pub(crate) fn of_call(&self, limits: &Limits, left: Left) -> RunOptions {
        let mut options = self.of_instance();
        if let Some(wall) = self.limits.wall {
            options = options.wall(wall);
        }
        if let Some(memory) = self.limits.memory {
            options = options.memory(memory);
        }
        // What is left of a total may be more than a call can have.
        let fuel = left
            .fuel
            .map(|left| limits.fuel.map_or(left, |most| left.min(most)));
        if let Some(fuel) = fuel.into_iter().chain(self.limits.fuel).min() {
            options = options.fuel(fuel);
        }
        let output = left.output.and_then(|left| usize::try_from(left).ok());
        let output = output.map(|left| left.min(limits.output));
        if let Some(output) = output.into_iter().chain(self.limits.output).min() {
            options = options.output(output);
        }
        let host_calls = left.host_calls.map(|left| left.min(limits.host_calls));
        if let Some(calls) = host_calls.into_iter().chain(self.limits.host_calls).min() {
            options = options.host_calls(calls);
        }
        options
    }
}

impl LimitSettings {
    /// The narrower of both, limit by limit.
    pub(crate) fn and(&self, other: &LimitSettings) -> LimitSettings {
        fn less<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        LimitSettings {
            wall: less(self.wall, other.wall),
            fuel: less(self.fuel, other.fuel),
            memory: less(self.memory, other.memory),
            output: less(self.output, other.output),
            host_calls: less(self.host_calls, other.host_calls),
        }
    }
}
