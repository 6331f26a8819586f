//! What a plugin wants, against what the host grants.

use std::fmt::Display;
use std::sync::Arc;

use super::manifest::Lifetime;
use super::source::Source;
use crate::diagnostics::{Code, Problems};
use crate::{Access, Chunk, Grants, Limit, Limits, PartialLimits, Pool};

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
            let chunk = Chunk::body(&*file.text).named(source.module_chunk_name(name));
            grants = grants.own_module(name, chunk);
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
        let mut limits = PartialLimits::default();
        for &limit in Limit::ALL {
            let (Some(amount), given) = (wanted.get(limit), host.get(limit)) else {
                continue;
            };
            let refusal = if limit == Limit::Fuel && !self.pool.is_metered() {
                "the plugin wants a limit of fuel, and the host doesn't meter fuel".to_owned()
            } else if amount > given {
                format!(
                    "the plugin wants a limit `{}` of {amount}, and the host gives {given}",
                    limit.name()
                )
            } else {
                // A manifest has been checked.
                let _ = limits.set(limit, amount);
                continue;
            };
            let key = format!("limits.{}", limit.name());
            self.refuse(Code::LimitTooWide, &key, refusal, None);
        }
        host.with(&limits)
    }
}
