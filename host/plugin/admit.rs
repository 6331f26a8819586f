//! What a plugin wants, against what the host grants.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use super::manifest::Lifetime;
use super::source::Source;
use crate::diagnostics::{Code, Problems};
use crate::{Access, Grants, Limits, Pool, quantity};

/// The most that a host gives to any plugin.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) grants: Grants,
    pub(super) limits: Limits,
    /// How many kept instances there may be; none are allowed without.
    pub(super) kept: Option<usize>,
}

/// What one plugin was given.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) grants: Grants,
    pub(super) limits: Limits,
}

/// Gives the plugin what its manifest wants. Reports everything that is too much.
pub(super) fn admit(
    source: &Source,
    policy: &Policy,
    pool: &Pool,
    problems: &mut Problems,
) -> Option<Terms> {
    let before = problems.count();
    let mut admission = Admission {
        source,
        policy,
        pool,
        problems,
    };
    admission.lifetime();
    let grants = admission.grants();
    let limits = admission.limits();
    (problems.count() == before).then_some(Terms { grants, limits })
}

struct Admission<'a> {
    source: &'a Source,
    policy: &'a Policy,
    pool: &'a Pool,
    problems: &'a mut Problems,
}

impl Admission<'_> {
    fn refuse(&mut self, code: Code, key: &str, message: String, hint: Option<String>) {
        let file: &Arc<str> = &self.source.manifest_file;
        let place = self.source.places.of(key);
        let problem = self.problems.error_in(file, code, place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
    }

    fn deny(&mut self, key: &str, what: impl Display, hint: Option<String>) {
        let message = format!("the plugin wants {what}, which the host doesn't grant");
        self.refuse(Code::NotGranted, key, message, hint);
    }

    fn lifetime(&mut self) {
        if self.source.manifest.instance == Lifetime::Kept && self.policy.kept.is_none() {
            self.deny("instance", "a kept instance", None);
        }
    }

    fn grants(&mut self) -> Grants {
        let Self {
            source,
            policy,
            pool,
            ..
        } = *self;
        let (wants, host) = (&source.manifest.wants, &policy.grants);
        let mut grants = Grants::none().output_of(host);
        for (name, file) in &source.modules {
            grants = grants.own_module(name, Arc::clone(&file.text));
        }
        for name in &wants.functions {
            let known = || {
                pool.function_names()
                    .filter(|name| host.grants_function(name))
            };
            if known().any(|known| known == name) {
                grants = grants.function(name);
            } else {
                let key = format!("wants.functions.{name}");
                let hint = self.problems.suggestions().hint_or_list(name, known());
                self.deny(&key, format_args!("the host function `{name}`"), hint);
            }
        }
        for name in &wants.modules {
            let known = || pool.module_names().filter(|name| host.grants_module(name));
            let key = format!("wants.modules.{name}");
            if let Some(own) = source.modules.get(name) {
                let message = format!(
                    "the plugin wants the host's module `{name}`, and has one of that name: {}",
                    own.path
                );
                self.refuse(Code::ModuleConflict, &key, message, None);
            } else if known().any(|known| known == name) {
                grants = grants.module(name);
            } else {
                let hint = self.problems.suggestions().hint_or_list(name, known());
                self.deny(&key, format_args!("the host's module `{name}`"), hint);
            }
        }
        if wants.clock {
            match host.granted_clock() {
                Some(clock) => grants = grants.clock(clock.clone()),
                None => self.deny("wants.clock", "a clock", None),
            }
        }
        for name in &wants.variables {
            let known = host.granted_variables();
            if let Some(value) = known.get(name) {
                grants = grants.variable(name, value.clone());
            } else {
                let known = known.keys().map(String::as_str);
                let hint = self.problems.suggestions().hint_or_list(name, known);
                let key = format!("wants.variables.{name}");
                self.deny(&key, format_args!("the variable `{name}`"), hint);
            }
        }
        for (name, access) in &wants.folders {
            let known = host.granted_folders();
            let key = format!("wants.folders.{name}");
            match known.get(name) {
                Some(folder) if folder.access() >= *access => {
                    grants = grants.folder(name, folder.narrowed(*access));
                }
                Some(_) => self.deny(
                    &key,
                    format_args!("the folder `{name}` for writing"),
                    Some("the host grants it for reading: \"read-only\"".to_owned()),
                ),
                None => {
                    let known = known.keys().map(String::as_str);
                    let hint = self.problems.suggestions().hint_or_list(name, known);
                    let how = match access {
                        Access::ReadOnly => "reading",
                        Access::ReadWrite => "writing",
                    };
                    self.deny(&key, format_args!("the folder `{name}` for {how}"), hint);
                }
            }
        }
        if let Some(seed) = wants.seed.or(host.granted_seed()) {
            grants = grants.seed(seed);
        }
        grants
    }

    fn limits(&mut self) -> Limits {
        let (wanted, host) = (self.source.manifest.limits, self.policy.limits);
        let bytes = |bytes: usize| quantity::format_size(bytes as u64);
        let fuel = match wanted.fuel {
            Some(_) if !self.pool.is_metered() => {
                let message = "the plugin wants a limit of fuel, and the host doesn't meter fuel";
                self.refuse(Code::LimitTooWide, "limits.fuel", message.into(), None);
                host.fuel
            }
            Some(fuel) => {
                Some(self.narrower("fuel", Some(fuel), host.fuel.unwrap_or(u64::MAX), |n| n))
            }
            None => host.fuel,
        };
        Limits {
            wall: self.narrower("wall", wanted.wall, host.wall, quantity::format_duration),
            fuel,
            memory: self.narrower("memory", wanted.memory, host.memory, bytes),
            output: self.narrower("output", wanted.output, host.output, bytes),
            host_calls: self.narrower("host_calls", wanted.host_calls, host.host_calls, |n| n),
            value: self.narrower("value", wanted.value, host.value, bytes),
            depth: self.narrower("depth", wanted.depth, host.depth, |n| n),
        }
    }

    fn narrower<T: PartialOrd + Copy + Debug, D: Display>(
        &mut self,
        name: &str,
        wanted: Option<T>,
        given: T,
        show: impl Fn(T) -> D,
    ) -> T {
        match wanted {
            Some(wanted) if wanted > given => {
                let message = format!(
                    "the plugin wants a limit `{name}` of {}, and the host gives {}",
                    show(wanted),
                    show(given)
                );
                self.refuse(Code::LimitTooWide, &format!("limits.{name}"), message, None);
                given
            }
            Some(wanted) => wanted,
            None => given,
        }
    }
}
