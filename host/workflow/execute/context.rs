//! What all parts of a run share.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::workflow::definition::Workflow;
use crate::workflow::event::{Events, Moment};
use crate::workflow::execute::budget::Budget;
use crate::workflow::execute::journals::Journals;
use crate::workflow::execute::terms::{Terms, VARIABLES};
use crate::workflow::execute::workers::Workers;
use crate::workflow::model::Where;
use crate::workflow::options::RunSettings;
use crate::workflow::plan::NodeId;
use crate::workflow::worker::away::OfRun;
use crate::workflow::worker::elsewhere::Opened;
use crate::workflow::worker::message::Granted;
use crate::workflow::worker::workers::Workers as Elsewhere;
use crate::{Grants, Pool, Snapshot};

/// What all parts of a run share.
pub(crate) struct Run<'r> {
    pub(crate) workflow: &'r Workflow,
    pub(crate) pool: &'r Pool,
    pub(crate) options: &'r RunSettings,
    pub(crate) started: Instant,
    /// What it goes by: a run that is resumed is still the same.
    pub(crate) id: Arc<str>,
    /// Whether nodes may call any host function.
    pub(crate) has_functions: bool,
    pub(crate) events: Events,
    pub(crate) budget: Budget,
    pub(crate) workers: Arc<Workers>,
    /// What the prelude has left, once it has run: what each branch begins with that doesn't begin with more.
    pub(crate) prelude: OnceLock<Snapshot>,
    /// What is granted, where branches run in other processes.
    pub(crate) granted: Option<Granted>,
    pub(crate) opened: Opened,
    /// The nodes that it stops at.
    pub(crate) stops: HashSet<(NodeId, Moment)>,
    /// Where the journals of instances go, if they keep any.
    pub(crate) journals: Option<Journals>,
}

impl<'r> Run<'r> {
    pub(crate) fn new(workflow: &'r Workflow, pool: &'r Pool, options: &'r RunSettings) -> Run<'r> {
        let started = Instant::now();
        let depth = workflow.plan.depth();
        Run {
            workflow,
            pool,
            options,
            started,
            id: Run::new_id(),
            has_functions: pool.function_names().next().is_some(),
            events: Events::new(started, options.listener.clone()),
            budget: Budget::new(&workflow.model.settings.limits),
            workers: Workers::new(options.at_once(workflow), pool.max_branches(), depth),
            prelude: OnceLock::new(),
            granted: options
                .workers
                .as_ref()
                .map(|_| options.granted_names(pool)),
            opened: Opened::default(),
            stops: HashSet::new(),
            journals: None,
        }
    }

    /// An id that no other run has.
    fn new_id() -> Arc<str> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let stamp = since.map_or(0, |since| since.as_nanos());
        format!("{stamp:x}-{:016x}", fastrand::u64(..)).into()
    }

    /// What workers have to know of the run, if it has any.
    pub(crate) fn of_workers(&self) -> Option<(&Elsewhere, OfRun<'_>)> {
        if self.workflow.model.settings.parallel.place == Some(Where::Local) {
            return None;
        }
        let of_run = OfRun {
            events: &self.events,
            budget: &self.budget,
            started: self.started,
            hash: self.workflow.fingerprint(),
            sources: &self.workflow.sources,
            granted: self.granted.as_ref()?,
            max_workers: self.workers.most(),
            max_iterations: self.options.max_iterations.map(NonZeroUsize::get),
        };
        Some((self.options.workers.as_ref()?, of_run))
    }

    /// The terms of the whole run.
    pub(crate) fn terms(&self) -> Terms {
        let cancel = self.options.cancel.clone().unwrap_or_default();
        Terms::of_run(&self.workflow.model.settings, self.started, cancel)
    }

    /// What nodes may do besides computing.
    pub(crate) fn granted(&self) -> &Grants {
        self.options.granted(self.pool)
    }

    /// Whether it stops there.
    pub(crate) fn stops(&self, id: NodeId, moment: Moment) -> bool {
        self.stops.contains(&(id, moment))
    }

    /// The options that an instance is made with.
    pub(crate) fn instance_options(&self, terms: &Terms) -> crate::RunOptions {
        let mut options = terms.of_instance();
        if let Some(journals) = &self.journals {
            options = options.journal(journals.bytes());
        }
        let model = &self.workflow.model;
        let modules = &self.workflow.modules;
        // They are the workflow's own: there unless its list of capabilities leaves them out.
        let named = model.settings.capabilities.as_ref();
        let sees = named.is_none_or(|named| named.names.iter().any(|it| it.value == VARIABLES));
        let variables = Some(&model.variables).filter(|variables| sees && !variables.is_empty());
        if variables.is_none() && modules.is_empty() && self.options.grants.is_none() {
            return options;
        }
        let mut grants = self.granted().clone();
        for (name, value) in variables.iter().flat_map(|variables| variables.iter()) {
            grants = grants.variable(name.clone(), value.clone());
        }
        for (name, source) in modules {
            grants = grants.own_module(name.clone(), source.clone());
        }
        options.grants(grants)
    }
}
