//! A run from its beginning to its end, and what comes of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::workflow::Workflow;
use crate::workflow::error::RunError;
use crate::workflow::event::{EventKind, Events, Moment};
use crate::workflow::execute::budget::Budget;
use crate::workflow::execute::checkpoint::{Checkpoint, Position, Saver};
use crate::workflow::execute::path::{self, At, Ended, Flow};
use crate::workflow::execute::state::State;
use crate::workflow::execute::terms::{Terms, VARIABLES};
use crate::workflow::execute::track::Track;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::execute::workers::Workers;
use crate::workflow::options::RunOptions;
use crate::workflow::plan::NodeId;
use crate::workflow::report::{Failure, InstanceReport, Report, RunOutcome, SCHEMA_VERSION, ms};
use crate::{Grants, Pool};

/// What a run gave that came to its end, or to a node that it stops at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The state after the last node.
    pub state: Map<String, Value>,
    /// What the run did.
    pub report: Report,
    /// Where the run stopped, if it isn't at its end.
    pub interrupt: Option<Interrupted>,
}

/// A run that stopped at a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Interrupted {
    /// The node.
    pub node: String,
    /// Whether the run stopped before it, or after it.
    pub when: Moment,
    /// What to [resume](Workflow::resume) it with.
    pub checkpoint: Checkpoint,
}

/// What all parts of a run share.
pub(crate) struct Run<'r> {
    pub(crate) workflow: &'r Workflow,
    pub(crate) pool: &'r Pool,
    pub(crate) options: &'r RunOptions,
    pub(crate) started: Instant,
    pub(crate) events: Events,
    pub(crate) budget: Budget,
    pub(crate) workers: Arc<Workers>,
    stops: HashSet<(NodeId, Moment)>,
}

/// Where a run begins.
pub(crate) enum From {
    Start(Map<String, Value>),
    Checkpoint(Checkpoint, Map<String, Value>),
}

/// Runs a workflow to its end, or to where it stops.
pub(crate) fn run(
    workflow: &Workflow,
    pool: &Pool,
    from: From,
    options: &RunOptions,
) -> Result<Outcome, RunError> {
    let started = Instant::now();
    let plan = &workflow.plan;
    let run = Run {
        workflow,
        pool,
        options,
        started,
        events: Events::new(started, options.listener.clone()),
        budget: Budget::new(&workflow.model.settings.limits),
        workers: Workers::new(options.workers(workflow), pool.max_branches(), plan.depth()),
        stops: HashSet::new(),
    };
    run.start(from)
}

impl<'r> Run<'r> {
    fn start(mut self, from: From) -> Result<Outcome, RunError> {
        let workflow = self.workflow.model.name.clone();
        let node = match &from {
            From::Start(_) => None,
            From::Checkpoint(checkpoint, _) => Some(checkpoint.node().map(str::to_owned)),
        };
        let result = self.prepare(from);
        let begin = result.as_ref().ok();
        let file = begin.and_then(|begin| begin.saver.file());
        let checkpoint = file.map(Path::to_owned);
        self.events.emit(None, || match node {
            None => EventKind::Start {
                workflow,
                checkpoint,
            },
            Some(node) => EventKind::Resume {
                workflow,
                node,
                checkpoint,
            },
        });
        match result {
            Ok(begin) => self.main(begin),
            Err(trouble) => Err(self.fail(trouble, Vec::new())),
        }
    }

    /// Finds out what is needed before anything runs.
    fn prepare(&mut self, from: From) -> Result<Begin, Trouble> {
        self.stops = self.find_stops()?;
        self.check_capabilities()?;
        let plan = &self.workflow.plan;
        let depth = plan.depth();
        if depth > self.pool.max_branches() {
            let message = format!(
                "branches can be {depth} deep in each other, and the pool may have {} at once: \
                 build it with more",
                self.pool.max_branches()
            );
            return Err(Failure::own("BusyError", message).into());
        }
        let begin = self.begin(from)?;
        let schema = &self.workflow.model.schema;
        schema
            .check(&begin.state)
            .map_err(|why| Failure::own("SchemaError", why))?;
        Ok(begin)
    }

    /// Refuses a workflow that asks for what it isn't granted, before any of it runs.
    fn check_capabilities(&self) -> Result<(), Trouble> {
        let model = &self.workflow.model;
        let of_nodes = model.nodes.iter().map(|node| &node.policy.capabilities);
        let mut names = of_nodes
            .chain([&model.settings.capabilities])
            .flatten()
            .flat_map(|named| &named.names);
        let missing =
            names.find(|name| name.value != VARIABLES && !self.granted().covers(&name.value));
        match missing {
            None => Ok(()),
            Some(name) => {
                let message = format!(
                    "the workflow asks for the capability `{}`, which it is not granted",
                    name.value
                );
                Err(Failure::own("DeniedError", message).into())
            }
        }
    }

    /// What nodes may do besides computing.
    pub(crate) fn granted(&self) -> &Grants {
        let of_run = self.options.grants.as_ref();
        of_run.unwrap_or_else(|| self.pool.grants())
    }

    fn begin(&self, from: From) -> Result<Begin, Trouble> {
        let workflow = self.workflow;
        let name = workflow.model.name.clone();
        let folder = self.options.checkpoint_dir.clone();
        let folder = folder.or_else(|| {
            let named = workflow.model.config.checkpoint_dir.as_ref();
            named.map(PathBuf::from)
        });
        let fail = |why: String| Trouble::from(Failure::own("CheckpointError", why));
        let new_saver = || match &folder {
            Some(folder) => Saver::new(folder, name.clone()),
            None => Ok(Saver::in_memory(name.clone())),
        };
        match from {
            From::Start(input) => {
                let state = State::new(&workflow.model.initial_state, input);
                let mut saver = new_saver().map_err(fail)?;
                saver.save(Position::Start, &state, 0, None).map_err(fail)?;
                Ok(Begin {
                    at: At::Start,
                    state,
                    ran: 0,
                    saver,
                })
            }
            From::Checkpoint(checkpoint, input) => {
                if let (Some(theirs), Some(ours)) = (&checkpoint.workflow, &name)
                    && theirs != ours
                {
                    let why = format!("the checkpoint is of the workflow `{theirs}`, not `{ours}`");
                    return Err(fail(why));
                }
                let at = checkpoint.at(&workflow.plan).map_err(fail)?;
                let saver = match checkpoint.path() {
                    Some(_) => Saver::of(&checkpoint, name.clone()),
                    None => new_saver().map_err(fail)?,
                };
                if !input.is_empty() {
                    // Branches that came to their end did so without it.
                    saver.forget_finished();
                }
                let ran = checkpoint.ran();
                let mut state = State::from_json(checkpoint.state);
                state.merge(input);
                Ok(Begin {
                    at,
                    state,
                    ran,
                    saver,
                })
            }
        }
    }

    /// The nodes that the run stops at.
    fn find_stops(&self) -> Result<HashSet<(NodeId, Moment)>, Trouble> {
        let workflow = self.workflow;
        let mut stops = HashSet::new();
        let said = workflow.model.interrupts();
        for (index, node) in workflow.model.nodes.iter().enumerate() {
            let (before, after) = said.of(node);
            stops.extend(before.then_some((NodeId(index), Moment::Before)));
            stops.extend(after.then_some((NodeId(index), Moment::After)));
        }
        let asked = [
            (&self.options.interrupt_before, Moment::Before),
            (&self.options.interrupt_after, Moment::After),
        ];
        for (names, moment) in asked {
            for name in names {
                let refuse = |why: &str| {
                    let message = format!("an interrupt {moment} `{name}`, {why}");
                    Trouble::from(Failure::own("OptionError", message))
                };
                let Some(id) = workflow.plan.find(name) else {
                    return Err(refuse("but there is no such node"));
                };
                if workflow.plan.is_in_branch(id) {
                    return Err(refuse("which runs in a branch, where a run can't stop"));
                }
                stops.insert((id, moment));
            }
        }
        Ok(stops)
    }

    pub(crate) fn stops(&self, id: NodeId, moment: Moment) -> bool {
        self.stops.contains(&(id, moment))
    }

    /// The options that an instance is made with.
    pub(crate) fn instance_options(&self, terms: &Terms) -> crate::RunOptions {
        let options = terms.of_instance();
        let model = &self.workflow.model;
        let named = model.settings.capabilities.as_ref();
        let asks = named.is_some_and(|named| named.names.iter().any(|it| it.value == VARIABLES));
        if !asks && self.options.grants.is_none() {
            return options;
        }
        let mut grants = self.granted().clone();
        if asks {
            for (name, value) in model.variables.iter() {
                grants = grants.variable(name.clone(), value.clone());
            }
        }
        options.grants(grants)
    }

    fn main(&self, begin: Begin) -> Result<Outcome, RunError> {
        let settings = &self.workflow.model.settings;
        let cancel = self.options.cancel.clone().unwrap_or_default();
        let wall = settings.limits.wall;
        let deadline = wall.and_then(|wall| self.started.checked_add(wall));
        let terms = Terms::of_run(settings, deadline, cancel);
        let track = match Track::new(self, None, &terms) {
            Ok(track) => track,
            Err(error) => return Err(self.fail(error.into(), Vec::new())),
        };
        let mut state = begin.state;
        let mut path = path::Path {
            run: self,
            flow: Flow {
                model: &self.workflow.model,
                plan: &self.workflow.plan,
            },
            track,
            terms,
            level: 0,
            fan_in: None,
            running: None,
            saver: Some(begin.saver),
            ran: begin.ran,
            retries: 0,
            instances: Vec::new(),
        };
        let ended = path.follow(begin.at, &mut state);
        let checkpoint = path.saver.take().and_then(Saver::into_last);
        let instances = path.finish();
        match ended {
            Err(trouble) => Err(self.fail(trouble, instances)),
            Ok(Ended::Done) => {
                self.events.emit(None, || EventKind::Finish {
                    state: state.to_json(),
                });
                Ok(Outcome {
                    state: state.into_json(),
                    report: self.report(RunOutcome::Done, instances),
                    interrupt: None,
                })
            }
            Ok(Ended::Interrupted(id, when)) => {
                let node = self.workflow.plan.name(id).to_owned();
                self.events.emit(None, || EventKind::Interrupt {
                    node: node.clone(),
                    when,
                    state: state.to_json(),
                });
                let report = self.report(RunOutcome::Interrupted, instances);
                let Some(checkpoint) = checkpoint else {
                    let failure = Failure::own("CheckpointError", "there is no checkpoint");
                    return Err(RunError::new(self.workflow, failure.into(), report));
                };
                Ok(Outcome {
                    state: state.into_json(),
                    report,
                    interrupt: Some(Interrupted {
                        node,
                        when,
                        checkpoint,
                    }),
                })
            }
        }
    }

    fn fail(&self, trouble: Trouble, instances: Vec<InstanceReport>) -> RunError {
        let outcome = match trouble.failure.is_cancelled() {
            true => RunOutcome::Cancelled,
            false => RunOutcome::Failed,
        };
        self.events.emit(None, || EventKind::Error {
            error: trouble.failure.clone(),
            node: trouble.node.as_ref().map(|(node, _)| node.to_string()),
        });
        RunError::new(self.workflow, trouble, self.report(outcome, instances))
    }

    fn report(&self, outcome: RunOutcome, instances: Vec<InstanceReport>) -> Report {
        Report {
            schema_version: SCHEMA_VERSION,
            workflow: self.workflow.model.name.clone(),
            outcome,
            wall_ms: ms(self.started.elapsed()),
            instances,
        }
    }
}

/// Where a run begins, and with what.
struct Begin {
    at: At,
    state: State,
    ran: usize,
    saver: Saver,
}
