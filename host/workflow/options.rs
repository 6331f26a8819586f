//! Settings of one run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::workflow::definition::Workflow;
use crate::workflow::event::{Event, Heard, Listener};
use crate::workflow::outside::Outside;
use crate::workflow::signature::Signature;
use crate::workflow::worker::message::Granted;
use crate::workflow::worker::workers::Workers;
use crate::{Access, Cancel, Capability, Grants, Pool};

/// Settings of one run. The default is what the workflow says.
///
/// ```
/// use std::num::NonZeroUsize;
/// use moonfork::workflow::RunSettings;
/// let settings = RunSettings::new()
///     .max_workers(NonZeroUsize::MIN)
///     .checkpoint_dir("checkpoints")
///     .interrupt_after(["review"]);
/// # let _ = settings;
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct RunSettings {
    pub(crate) max_workers: Option<NonZeroUsize>,
    pub(crate) workers: Option<Workers>,
    pub(crate) cancel: Option<Cancel>,
    pub(crate) grants: Option<Grants>,
    pub(crate) interrupt_before: Vec<String>,
    pub(crate) interrupt_after: Vec<String>,
    pub(crate) checkpoint_dir: Option<PathBuf>,
    pub(crate) changed: bool,
    pub(crate) max_iterations: Option<NonZeroUsize>,
    pub(crate) listener: Option<Listener>,
    pub(crate) signatures: BTreeMap<String, Signature>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) advice: Option<Advice>,
    pub(crate) journals: Option<PathBuf>,
    pub(crate) journal_bytes: Option<usize>,
    #[cfg(feature = "compile")]
    pub(crate) compile: bool,
}

/// What to tell whoever lacks a capability.
pub(crate) type Advice = Arc<dyn Fn(&Capability) -> Option<String> + Send + Sync>;

impl RunSettings {
    /// What the workflow says, and nothing else.
    pub fn new() -> RunSettings {
        RunSettings::default()
    }

    /// How many branches may run at a time, instead of what the workflow's settings say. Where
    /// neither says anything, as many as the machine has processors to offer.
    pub fn max_workers(mut self, max_workers: NonZeroUsize) -> Self {
        self.max_workers = Some(max_workers);
        self
    }

    /// Runs the branches of the outermost fan-outs in other processes, as many at a time as there are, or as
    /// [`max_workers`](Self::max_workers) says where it or the workflow does. Branches inside of those run where they
    /// do, as many at a time in each process as could without.
    ///
    /// A branch has the same state, entry and events wherever it runs. What it may do is what its process
    /// grants, and a run begins only if that is all that is granted here. A process that ends while a branch runs is
    /// replaced, and the branch is run again: host functions may be called more than once for it. The third time, it
    /// has failed as `WorkerLost`.
    pub fn workers(mut self, workers: &Workers) -> Self {
        self.workers = Some(workers.clone());
        self
    }

    /// How many nodes may run on one path, in place of what the workflow says.
    pub fn max_iterations(mut self, max_iterations: NonZeroUsize) -> Self {
        self.max_iterations = Some(max_iterations);
        self
    }

    /// Has the Lua of all nodes translated to WebAssembly before the run begins, for this and later runs on the pool: it does
    /// the same in less time (`docs/compiled-lua.md`). What can't be translated is interpreted, and so is all of a run that
    /// keeps journals, and what other processes run. A pool that has hot chunks compiled
    /// ([`PoolBuilder::compile_hot`](crate::PoolBuilder::compile_hot)) does so for nodes without this.
    ///
    /// **Only for workflows that you approved of**: a script then shapes what the compiler of machine code is given
    /// (`docs/threat-model.md`). The run begins up to a second later, unless the pool keeps compiled code
    /// ([`PoolBuilder::cache_dir`](crate::PoolBuilder::cache_dir)); [`Pool::compiled_lua`](crate::Pool::compiled_lua) tells.
    #[cfg(feature = "compile")]
    pub fn compile(mut self, compile: bool) -> Self {
        self.compile = compile;
        self
    }

    /// Stops the run when it is fired, within a tick of the pool's clock.
    pub fn cancel_handle(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// What nodes may do besides computing, in place of what the pool grants. A workflow's
    /// `capabilities` leave a part of it: see [`Grants::only`].
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = Some(grants);
        self
    }

    /// Nodes to stop before, besides those that the workflow names, in place of any that were set
    /// before.
    pub fn interrupt_before<N: Into<String>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.interrupt_before = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// Nodes to stop after, likewise.
    pub fn interrupt_after<N: Into<String>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.interrupt_after = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// The folder that checkpoints are written to, in place of the one that the workflow
    /// names. Where there is none, none are written.
    pub fn checkpoint_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.checkpoint_dir = Some(folder.into());
        self
    }

    /// Has each instance of the run keep a [`Journal`](crate::Journal), and writes them to this folder, which is made
    /// for this user alone if it isn't there: `main.journal`, and one named after each branch. Files that are
    /// there stay, and the next ones get a number. Secrets are masked in them: see [`secret`](Self::secret). The
    /// report says which instance's is where ([`InstanceReport::journal`](crate::workflow::InstanceReport)).
    pub fn journal_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.journals = Some(folder.into());
        self
    }

    /// Bytes that each journal may take, in place of [`Journal::BYTES`](crate::Journal::BYTES).
    pub fn journal_bytes(mut self, bytes: usize) -> Self {
        self.journal_bytes = Some(bytes);
        self
    }

    /// Whether a run may go on with a workflow that has changed since it began. Comments and
    /// descriptions are no change.
    pub fn changed(mut self, is_allowed: bool) -> Self {
        self.changed = is_allowed;
        self
    }

    /// Tells `listener` of everything that happens, when it happens: on the thread where it
    /// does, one call after another or several at once. The run waits for it.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Some(Listener::new(Heard::All, listener));
        self
    }

    /// Tells `listener` of nothing but [warnings](crate::workflow::EventKind::is_warning), likewise. The others aren't sent
    /// from where branches run, either: of many small ones on [`workers`](Self::workers), events are most of what
    /// there is to send.
    ///
    /// It takes the place of [`on_event`](Self::on_event), and the other way round.
    pub fn on_warning(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Some(Listener::new(Heard::Warnings, listener));
        self
    }

    /// Describes the arguments of a host function: a run that gives it others doesn't begin.
    pub fn describe(mut self, function: impl Into<String>, signature: Signature) -> Self {
        self.signatures.insert(function.into(), signature);
        self
    }

    /// Grants a secret: `secrets.NAME` in conditions, and in what host functions are given by
    /// `with`. Its value is replaced by `***` in what these functions return and fail with, so
    /// that it gets into no state, report, event or checkpoint that way.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.outside)
            .secrets
            .insert(name.into(), value.into());
        self
    }

    /// Grants a value as `env.NAME`, likewise; values of less than four bytes aren't replaced.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.outside)
            .env
            .insert(name.into(), value.into());
        self
    }

    /// Has this say how a capability is granted that a workflow needs and doesn't have: it
    /// becomes the hint of the problem.
    pub fn advise(
        mut self,
        advice: impl Fn(&Capability) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.advice = Some(Arc::new(advice));
        self
    }

    /// What nodes may do besides computing.
    pub(crate) fn granted<'g>(&'g self, pool: &'g Pool) -> &'g Grants {
        self.grants.as_ref().unwrap_or_else(|| pool.grants())
    }

    /// The names of what is granted to nodes.
    pub(crate) fn granted_names(&self, pool: &Pool) -> Granted {
        let granted = self.granted(pool);
        let functions = pool
            .function_names()
            .filter(|it| granted.grants_function(it));
        let modules = pool.module_names().filter(|it| granted.grants_module(it));
        let folders = granted.granted_folders().iter();
        let mut names: BTreeSet<String> = functions
            .map(|name| format!("the host function `{name}`"))
            .collect();
        names.extend(modules.map(|name| format!("the module `{name}`")));
        for (name, folder) in folders {
            names.insert(format!("the folder `{name}`"));
            if folder.access() == Access::ReadWrite {
                names.insert(format!("writing to the folder `{name}`"));
            }
        }
        names.extend(granted.granted_clock().map(|_| "the clock".to_owned()));
        let variables = granted.granted_variables().keys();
        names.extend(variables.map(|name| format!("the variable `{name}`")));
        let secrets = self.outside.secrets.keys();
        names.extend(secrets.map(|name| format!("the secret `{name}`")));
        let env = self.outside.env.keys();
        names.extend(env.map(|name| format!("`env.{name}`")));
        names.extend(pool.is_metered().then(|| "counting fuel".to_owned()));
        Granted(names)
    }

    /// How many branches of `workflow` may run at a time, if anything says so.
    pub(crate) fn said(&self, workflow: &Workflow) -> Option<NonZeroUsize> {
        self.max_workers
            .or(workflow.model.settings.parallel.max_workers)
    }

    /// How many branches of `workflow` may run at a time.
    pub(crate) fn at_once(&self, workflow: &Workflow) -> usize {
        self.said(workflow)
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }
}

impl fmt::Debug for RunSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunSettings")
            .field("max_workers", &self.max_workers)
            .field("interrupt_before", &self.interrupt_before)
            .field("interrupt_after", &self.interrupt_after)
            .field("checkpoint_dir", &self.checkpoint_dir)
            .field("changed", &self.changed)
            .field("max_iterations", &self.max_iterations)
            .finish_non_exhaustive()
    }
}
