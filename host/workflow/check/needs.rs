//! What a workflow needs, against what a run has: functions, folders, capabilities, secrets,
//! limits.

use super::lua::Parser;
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::RunSettings;
use crate::workflow::definition::Workflow;
use crate::workflow::execute::terms::VARIABLES;
use crate::workflow::expression::Template;
use crate::workflow::model::{Capabilities, HostCall, LuaText, Model, Policy, Work};
use crate::workflow::outside::Origin;
use crate::workflow::parts::{self, Inside};
use crate::workflow::signature::{Argument, Signature};
use crate::{Access, Capability, Grants, Limit, PartialLimits, Pool};

/// Reports everything that a run with these options lacks.
pub(super) fn check(
    workflow: &Workflow,
    pool: &Pool,
    options: &RunSettings,
    parser: &mut Parser<'_>,
    problems: &mut Problems,
) {
    let mut needs = Needs {
        workflow,
        pool,
        options,
        granted: options.granted(pool),
        problems,
        parser,
    };
    for part in parts::of(&workflow.model) {
        needs.settings(part.model);
        for inside in &part.nodes {
            needs.node(part.model, inside);
        }
    }
    needs.outside();
}

struct Needs<'n, 'p> {
    workflow: &'n Workflow,
    pool: &'n Pool,
    options: &'n RunSettings,
    granted: &'n Grants,
    problems: &'n mut Problems,
    /// For Lua among arguments.
    parser: &'n mut Parser<'p>,
}

impl Needs<'_, '_> {
    fn settings(&mut self, model: &Model) {
        let settings = &model.settings;
        self.capabilities(settings.capabilities.as_ref());
        if let Some(place) = settings.limits_place {
            // The others are totals of the run, which may be more than any one call has.
            self.limits(&settings.limits.of_each(), place);
            self.fuel(&settings.limits, place);
        }
    }

    fn node(&mut self, model: &Model, inside: &Inside<'_>) {
        let policy = &inside.node.policy;
        self.capabilities(policy.capabilities.as_ref());
        if let Some(place) = policy.limits_place {
            self.limits(&policy.limits, place);
            self.fuel(&policy.limits, place);
        }
        if let Work::Call(call) = inside.work() {
            self.call(model, &inside.policies, call);
        }
    }

    /// Refuses names that nothing of is granted.
    fn capabilities(&mut self, named: Option<&Capabilities>) {
        for name in named.iter().flat_map(|named| &named.names) {
            if name.value != VARIABLES && !self.granted.covers(&name.value) {
                let what = format!("the capability `{}`", name.value);
                self.deny(&what, &Capability::named(&name.value), name.place);
            }
        }
    }

    fn limits(&mut self, wanted: &PartialLimits, place: Place) {
        let given = *self.pool.limits();
        for &limit in Limit::ALL {
            let (name, most) = (limit.name(), given.get(limit));
            let Some(wanted) = wanted.get(limit).filter(|wanted| *wanted > most) else {
                continue;
            };
            let message = format!(
                "the limit `{name}` of {wanted} is wider than the {most} that a call can have"
            );
            self.problems.error(Code::LimitTooWide, place, message);
        }
    }

    /// Refuses a limit of fuel where none is counted.
    fn fuel(&mut self, wanted: &PartialLimits, place: Place) {
        if wanted.fuel.is_some() && !self.pool.is_metered() {
            let message = "a limit of fuel, and fuel isn't counted here";
            self.problems.error(Code::LimitTooWide, place, message);
        }
    }

    /// Looks up what a node calls, and what it calls it with.
    fn call(&mut self, model: &Model, policies: &[&Policy], call: &HostCall) {
        let name = &call.function.value;
        let place = call.function.place;
        if !self.pool.function_names().any(|known| known == name) {
            let known = self.pool.function_names();
            let hint = self.problems.suggestions().hint_or_list(name, known);
            let message = format!("there is no host function `{name}`");
            let problem = self.problems.error(Code::UnknownFunction, place, message);
            if let Some(hint) = hint {
                problem.with_hint(hint);
            }
            return;
        }
        let settings = [
            &self.workflow.model.settings.capabilities,
            &model.settings.capabilities,
        ];
        let said = policies.iter().map(|policy| &policy.capabilities);
        let mut said = settings.into_iter().chain(said).flatten();
        let leaves_out = |said: &Capabilities| said.names.iter().all(|it| it.value != *name);
        if said.any(leaves_out) {
            let message = format!("`{name}` is not among the `capabilities` here");
            self.problems.error(Code::NotGranted, place, message);
        } else if !self.granted.grants_function(name) {
            let what = format!("the host function `{name}`");
            self.deny(&what, &Capability::Function(name.clone()), place);
        }
        if let Some(signature) = self.options.signatures.get(name) {
            self.arguments(call, &signature.clone());
        }
    }

    fn arguments(&mut self, call: &HostCall, signature: &Signature) {
        let name = &call.function.value;
        let (entries, place) = match call.with.as_ref().map(|with| (&with.value, with.place)) {
            None => (&[][..], call.function.place),
            Some((Template::Mapping(entries), place)) => (entries.as_slice(), place),
            // A list of arguments is said to be one when the function is called.
            Some(_) => return,
        };
        let mut wrong = 0;
        for (key, value) in entries {
            let written = call.arguments.iter().find(|argument| argument.key == *key);
            let key_place = written.map_or(place, |argument| argument.key_place);
            let Some(known) = signature.keys.get(key) else {
                let known = signature.keys.keys().map(String::as_str);
                let hint = self.problems.suggestions().hint_or_list(key, known);
                let message = format!("`{name}` has no argument `{key}`");
                let problem = self
                    .problems
                    .error(Code::InvalidArgument, key_place, message);
                if let Some(hint) = hint {
                    problem.with_hint(hint);
                }
                wrong += 1;
                continue;
            };
            match known.argument {
                Argument::Value => {}
                Argument::Lua => {
                    if let (Some(source), Some(_)) =
                        (written.and_then(|it| it.text.as_ref()), value.fixed_text())
                    {
                        self.lua(&format!("`{key}` of `{name}`"), source);
                    }
                }
                Argument::Reads => self.path(key, value, Access::ReadOnly, key_place),
                Argument::Writes => self.path(key, value, Access::ReadWrite, key_place),
            }
        }
        let given = |key: &String| entries.iter().any(|(known, _)| known == key);
        let keys = signature.keys.iter();
        let missing = keys.filter(|(key, known)| known.required && !given(key));
        // One that is misspelt is missing, too, and said already.
        for (key, _) in missing.skip(wrong) {
            let message = format!("`{name}` needs the argument `{key}`");
            self.problems.error(Code::InvalidArgument, place, message);
        }
    }

    fn lua(&mut self, what: &str, source: &LuaText) {
        self.parser.one(what, source, self.problems);
    }

    /// Looks up the folder that a path begins with, as far as it is known.
    fn path(&mut self, key: &str, value: &Template, access: Access, place: Place) {
        let Some(path) = value.known_start() else {
            return;
        };
        let (name, rest) = match path.split_once('/') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        // What is filled in may be more of the name.
        if rest.is_none() && value.fixed_text().is_none() {
            return;
        }
        let what = match self.granted.granted_folders().get(name) {
            Some(folder) if folder.access() >= access => return,
            Some(_) => format!("writing into the folder `{name}` (by `{key}`)"),
            None => format!("the folder `{name}` (by `{key}`)"),
        };
        let name = name.to_owned();
        self.deny(&what, &Capability::Folder { name, access }, place);
    }

    /// Looks up the secrets and environment variables that conditions and templates name.
    fn outside(&mut self) {
        for used in &self.workflow.outside {
            let outside = &self.options.outside;
            if outside.has(used.origin, used.name.as_deref()) {
                continue;
            }
            let what = match &used.name {
                Some(name) => format!("`{}.{name}`", used.origin),
                None => format!("`{}`", used.origin),
            };
            let name = used.name.clone().unwrap_or_else(|| "NAME".to_owned());
            let capability = match used.origin {
                Origin::Secrets => Capability::Secret(name),
                Origin::Env => Capability::Env(name),
            };
            self.deny(&what, &capability, used.place);
        }
    }

    fn deny(&mut self, what: &str, capability: &Capability, place: Place) {
        let hint = self
            .options
            .advice
            .as_ref()
            .and_then(|advice| advice(capability));
        let message = format!("the workflow needs {what}, which isn't granted");
        let problem = self.problems.error(Code::NotGranted, place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
    }
}
