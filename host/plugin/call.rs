//! One call of a plugin: an instance, the entry if it wasn't run there yet, the function.

use std::sync::Arc;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::budget;
use super::error::{CallError, CallErrorKind};
use super::host::Inner;
use super::kept::{Key, NoTurn};
use super::load::Plugin;
use super::report::{CallReport, Reply, joined};
use crate::diagnostics::Suggestions;
use crate::{
    Branch, Cancel, Chunk, Deadline, Error, ErrorKind, Outcome, Report, Result, RunOptions,
    StoreId, Wait,
};

/// What is particular to one call: when it must have ended, and a way to stop it.
///
/// How much it may use is for the plugin's manifest and the host to say.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct CallOptions {
    wait: Wait,
}

impl CallOptions {
    /// Nothing particular.
    pub fn new() -> CallOptions {
        CallOptions::default()
    }

    /// When the call must have ended, waiting for an instance included: a moment, or a
    /// [`Deadline`], whose time errors tell as it was given.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.wait = self.wait.deadline(deadline);
        self
    }

    /// Stops the call when it is fired, also while it waits for an instance.
    pub fn cancel_handle(mut self, cancel: &Cancel) -> Self {
        self.wait = self.wait.cancel_handle(cancel);
        self
    }
}

/// Who wants what of which plugin.
pub(super) struct Call<'c> {
    pub(super) host: &'c Inner,
    /// As it was when the call began.
    pub(super) plugin: Arc<Plugin>,
    pub(super) tenant: &'c Arc<str>,
    pub(super) export: &'c str,
    pub(super) options: &'c CallOptions,
}

impl<'c> Call<'c> {
    /// Finds the plugin and sees that it exports the function.
    pub(super) fn new(
        host: &'c Inner,
        tenant: &'c Arc<str>,
        name: &str,
        export: &'c str,
        options: &'c CallOptions,
    ) -> Result<Call<'c>, CallError> {
        Ok(Call {
            host,
            plugin: find(host, name, export)?,
            tenant,
            export,
            options,
        })
    }

    /// Makes the call.
    pub(super) fn run<A, R>(self, args: &A) -> Result<Reply<R>, CallError>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        if self.plugin.is_kept() {
            self.run_kept(args)
        } else {
            self.run_fresh(args)
        }
    }

    fn run_fresh<A, R>(&self, args: &A) -> Result<Reply<R>, CallError>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let mut branch = self.branch().map_err(|error| self.failed(error, None))?;
        let ran = self.run_on(&mut branch, true, args);
        self.reply(ran, None)
    }

    fn run_kept<A, R>(mut self, args: &A) -> Result<Reply<R>, CallError>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let key = Key {
            plugin: Arc::clone(&self.plugin.name),
            tenant: Arc::clone(self.tenant),
        };
        let keep = &self.host.keep;
        let wait = &self.options.wait;
        let turn = keep.enter(&key, self.host.patience, wait.until());
        let mut turn = turn.map_err(|why| self.no_turn(why))?;
        // It may have been reloaded meanwhile: then this is a call of the new one.
        self.plugin = find(self.host, &self.plugin.name, self.export)?;
        if !self.plugin.is_kept() {
            drop(turn);
            return self.run_fresh(args);
        }
        turn.end_outdated(self.plugin.generation);
        let replaces = turn.lost;
        let is_new = turn.branch().is_none();
        let branch = if is_new {
            let made = turn.make(self.plugin.generation, || self.branch());
            made.map_err(|error| self.failed(error, None))?
                .ok_or(CallErrorKind::TooManyKept { limit: keep.limit })?
        } else {
            turn.branch().expect("it is there")
        };
        let ran = self.run_on(branch, is_new, args);
        if !ran.loaded || !branch.is_live() {
            turn.discard(ran.loaded);
        } else {
            turn.lost = None;
        }
        self.reply(ran, replaces)
    }

    /// A fresh instance on the plugin's terms.
    fn branch(&self) -> Result<Branch> {
        let pool = &self.host.loader.pool;
        let (options, wait) = (&self.plugin.options, &self.options.wait);
        match &self.plugin.start {
            Some(start) => pool.branch_from(&start.snapshot, options, wait),
            None => pool.branch_for(options, wait),
        }
    }

    /// Runs the entry, if that is still to do and the instance didn't begin with what it leaves, and then
    /// the function. Together they have what the limits give to one call.
    fn run_on<A, R>(&self, branch: &mut Branch, load: bool, args: &A) -> Ran<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let limits = &self.plugin.limits;
        let mut options = RunOptions::within(&self.options.wait);
        // The call and the loading before it have one time, and the caller's may end first.
        let wall = Deadline::after(limits.wall);
        if let Some(ends) = Deadline::earlier(self.options.wait.get_deadline(), Some(wall)) {
            options = options.deadline(ends);
        }
        let mut loading = None;
        if load && let Some(start) = &self.plugin.start {
            loading = Some(start.cost.clone());
        } else if load {
            let entry =
                Chunk::body(&*self.plugin.source.entry.text).named(&*self.plugin.chunk_name);
            let result = branch.with(&options).eval::<IgnoredAny>(entry);
            let report = branch.take_report();
            if let Err(error) = result {
                return Ran {
                    result: Err(error),
                    report,
                    loaded: false,
                };
            }
            loading = Some(report);
        }
        if let Some(loading) = &loading {
            options = budget::left(options, limits, loading);
        }
        let mut result = branch.with(&options).call(self.export, args);
        let mut report = branch.take_report();
        if let Some(loading) = loading {
            result = result.map_err(|error| budget::whole(error, limits));
            if let Err(error) = &result {
                report.outcome = Outcome::Failed {
                    code: error.code().to_owned(),
                    message: error.to_string(),
                };
            }
            report = joined(loading, report);
        }
        Ran {
            result,
            report,
            loaded: true,
        }
    }

    fn reply<R>(&self, ran: Ran<R>, replaces: Option<StoreId>) -> Result<Reply<R>, CallError> {
        let manifest = self.plugin.manifest();
        let report = CallReport {
            schema_version: CallReport::SCHEMA_VERSION,
            plugin: manifest.name.clone(),
            version: manifest.version.to_string(),
            tenant: self.tenant.to_string(),
            export: self.export.to_owned(),
            instance: manifest.instance,
            replaces,
            run: ran.report,
        };
        match ran.result {
            Ok(value) => Ok(Reply { value, report }),
            Err(error) => Err(self.failed(error, Some(report))),
        }
    }

    fn failed(&self, error: Error, report: Option<CallReport>) -> CallError {
        let plugin = self.plugin.name.to_string();
        CallError::new(CallErrorKind::Run { plugin, error }, report)
    }

    fn no_turn(&self, why: NoTurn) -> CallError {
        let plugin = self.plugin.name.to_string();
        let run = |kind: ErrorKind| self.failed(kind.into(), None);
        match why {
            NoTurn::InUse(waited) => CallErrorKind::InUse { plugin, waited }.into(),
            NoTurn::Reentrant => CallErrorKind::Reentrant { plugin }.into(),
            NoTurn::TimedOut(limit) => run(ErrorKind::Timeout {
                limit,
                at: None,
                begun: false,
            }),
            NoTurn::Cancelled => run(ErrorKind::Cancelled {
                at: None,
                begun: false,
            }),
        }
    }
}

/// The plugin as it is now, if it exports the function.
fn find(host: &Inner, name: &str, export: &str) -> Result<Arc<Plugin>, CallError> {
    let plugins = host.plugins();
    let Some(plugin) = plugins.get(name) else {
        let known = plugins.keys().map(|name| &**name);
        return Err(CallError::from(CallErrorKind::UnknownPlugin {
            plugin: name.to_owned(),
            hint: Suggestions::default().hint_or_list(name, known),
        }));
    };
    let exports = &plugin.manifest().exports;
    if !exports.contains_key(export) {
        return Err(CallError::from(CallErrorKind::UnknownExport {
            plugin: name.to_owned(),
            export: export.to_owned(),
            hint: Suggestions::default().hint_or_list(export, exports.keys().map(String::as_str)),
        }));
    }
    Ok(Arc::clone(plugin))
}

/// What came of a call.
struct Ran<R> {
    result: Result<R>,
    report: Report,
    /// Whether the entry had been run to its end.
    loaded: bool,
}
