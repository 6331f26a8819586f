//! Branches of a run that is elsewhere.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_json::Value;

use crate::workflow::definition::Workflow;
use crate::workflow::event::{Events, Listener};
use crate::workflow::execute::budget::{Amounts, Budget};
use crate::workflow::execute::context::Run;
use crate::workflow::execute::fold::Reductions;
use crate::workflow::execute::here::Here;
use crate::workflow::execute::job::{Body, BranchEnd, BranchJob, FanOutJob};
use crate::workflow::execute::journals::Journals;
use crate::workflow::execute::path::Flow;
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::track::Beginning;
use crate::workflow::execute::workers::Workers as Gate;
use crate::workflow::load::files::Bytes;
use crate::workflow::load::source::Source;
use crate::workflow::model::Work;
use crate::workflow::options::RunSettings;
use crate::workflow::worker::message::{
    BranchSent, EndSent, FanOutSent, SCHEMA_VERSION, WorkflowSent,
};
use crate::workflow::worker::pack::Packed;
use crate::{Cancel, Pool, Snapshot};

/// What branches have here.
pub(crate) struct Host<'h> {
    pub(crate) pool: &'h Pool,
    pub(crate) settings: &'h RunSettings,
    /// How many instances there are for a branch and those inside of it.
    pub(crate) slots: usize,
}

/// A fan-out whose branches may come.
pub(crate) struct FanOut {
    pub(crate) sent: FanOutSent,
    job: FanOutJob,
    start: Option<Snapshot>,
    /// What is folded of the states of branches that succeed, where nothing else of them is needed.
    reductions: Option<Reductions>,
}

/// A branch that has come to its end, and what it took of the totals.
pub(crate) struct Ran {
    pub(crate) end: BranchEnd,
    pub(crate) spent: Amounts,
}

impl FanOut {
    /// How a branch went, as it passes: without what nobody needs.
    pub(crate) fn end_sent(&self, number: u64, ran: Ran) -> EndSent {
        let Ran { mut end, spent } = ran;
        match (&mut end.result, &self.reductions) {
            (Ok(state), Some(reductions)) => {
                let after = end.after.take();
                *state = reductions.of(after.as_ref().unwrap_or(&*state));
            }
            (Err(failed), _) if !self.sent.needs.failed => failed.state = None,
            _ => {}
        }
        EndSent::new(number, end, &self.job.state, spent)
    }

    /// How its branches can be folded here, if the run takes them together.
    #[cfg(feature = "nats")]
    pub(crate) fn folds(&self) -> Option<&Reductions> {
        self.reductions.as_ref().filter(|_| !self.sent.needs.each)
    }

    /// The name of a branch.
    #[cfg(feature = "nats")]
    pub(crate) fn name(&self, index: usize, loaded: &Loaded) -> Arc<str> {
        self.job.name(index, &loaded.workflow.plan)
    }
}

/// A workflow whose fan-outs may come.
pub(crate) struct Loaded {
    hash: String,
    workflow: Workflow,
    /// What its prelude has left, if it has one.
    prelude: Option<Snapshot>,
}

/// What stops a branch, besides what stops the worker.
pub(crate) fn cancel(settings: &RunSettings) -> Cancel {
    match &settings.cancel {
        Some(cancel) => cancel.child(),
        None => Cancel::new(),
    }
}

impl Host<'_> {
    /// Runs a branch of a fan-out to its end, or until it is cancelled.
    ///
    /// # Errors
    /// If it makes no sense.
    pub(crate) fn branch(
        &self,
        loaded: &Loaded,
        fan_out: &FanOut,
        sent: &BranchSent,
        cancel: Cancel,
        listener: Option<Listener>,
    ) -> Result<Ran, String> {
        let workflow = &loaded.workflow;
        let item = sent.item.as_ref().map(item_of).transpose()?;
        let job = BranchJob {
            index: sent.index,
            item,
        };
        let limits = sent.totals.limits();
        let mut options = self.settings.clone();
        options.max_iterations = fan_out
            .sent
            .max_iterations
            .and_then(std::num::NonZeroUsize::new);
        let started = Instant::now();
        let started = started.checked_sub(sent.elapsed).unwrap_or(started);
        let run = Run {
            started,
            events: Events::new(started, listener),
            budget: Budget::new(&limits),
            workers: Gate::new(fan_out.sent.max_workers, self.slots, workflow.plan.depth()),
            journals: Journals::of(&options)?,
            prelude: loaded
                .prelude
                .clone()
                .map(OnceLock::from)
                .unwrap_or_default(),
            ..Run::new(workflow, self.pool, &options)
        };
        let terms = Terms::received(&fan_out.sent.terms, sent.left, cancel.clone());
        let here = Here {
            run: &run,
            flow: Flow {
                model: &workflow.model,
                plan: &workflow.plan,
            },
            level: 0,
            around: None,
            job: &fan_out.job,
            terms: &terms,
            start: fan_out.start.clone().map(Beginning::from),
            cancel,
        };
        let end = here.branch(&job);
        let spent = run.budget.spent(&limits);
        Ok(Ran { end, spent })
    }
}

fn item_of(item: &Packed) -> Result<Arc<Value>, String> {
    match item {
        Packed::Value(value) => Ok(Arc::clone(value)),
        _ => Err("an item is a value of its own".to_owned()),
    }
}

/// Reads a workflow, which has to be the one that the run has.
pub(crate) fn load(sent: WorkflowSent, pool: &Pool) -> Result<Loaded, String> {
    let workflow = Source::given(sent.sources)
        .load()
        .map_err(|error| format!("the workflow can't be read here: {error}"))?;
    let hash = workflow.fingerprint().to_owned();
    if hash != sent.hash {
        return Err("the workflow does something else here than where the run is".to_owned());
    }
    Ok(Loaded {
        hash,
        workflow,
        prelude: snapshot(sent.prelude, pool)?,
    })
}

/// A memory that branches begin with.
fn snapshot(bytes: Option<Bytes>, pool: &Pool) -> Result<Option<Snapshot>, String> {
    let loaded = bytes.map(|bytes| pool.snapshot_from_bytes(&bytes.0));
    loaded.transpose().map_err(|error| error.to_string())
}

/// Looks at a fan-out: whether the workflow has it.
pub(crate) fn enter(
    mut sent: FanOutSent,
    loaded: Option<&Loaded>,
    pool: &Pool,
) -> Result<FanOut, String> {
    if sent.schema_version != SCHEMA_VERSION {
        return Err(format!("jobs of version {}", sent.schema_version));
    }
    let Some(Loaded { workflow, .. }) = loaded.filter(|it| it.hash == sent.workflow) else {
        return Err("a fan-out of another workflow".to_owned());
    };
    let nodes = &workflow.model.nodes;
    let together = match sent.body {
        Body::Edges(id) if workflow.plan.has_fan_out(id) => {
            Some(&workflow.plan.fan_out(id).together)
        }
        Body::Edges(_) => None,
        Body::Each(id) => nodes.get(id.0).and_then(|node| match &node.work {
            Work::Each(each) => Some(&each.together),
            _ => None,
        }),
    };
    let is_there = sent.fan_in.is_none_or(|id| id.0 < nodes.len());
    let Some(together) = together.filter(|_| is_there) else {
        return Err("a fan-out that the workflow doesn't have".to_owned());
    };
    let job = sent.job()?;
    let reductions = (!sent.needs.succeeded).then(|| Reductions::new(&together.reduce, &job.state));
    Ok(FanOut {
        start: snapshot(sent.start.take(), pool)?,
        reductions: reductions.transpose()?,
        sent,
        job,
    })
}
