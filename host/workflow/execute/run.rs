//! A run from its beginning to its end, and what comes of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::workflow::check::{self, Parser};
use crate::workflow::definition::Workflow;
use crate::workflow::error::RunError;
use crate::workflow::event::{EventKind, Moment};
use crate::workflow::execute::checkpoint::{Checkpoint, Of, Saver};
use crate::workflow::execute::context::Run;
use crate::workflow::execute::journals::Journals;
#[cfg(feature = "compile")]
use crate::workflow::execute::lua_of_branches::lua_of_nodes;
use crate::workflow::execute::path::{self, Ended, Flow};
use crate::workflow::execute::position::{At, Position};
use crate::workflow::execute::stops::Stops;
use crate::workflow::execute::track::Track;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::model::Where;
use crate::workflow::options::RunSettings;
use crate::workflow::plan::NodeId;
use crate::workflow::report::{Failure, InstanceReport, RunOutcome, RunReport, SCHEMA_VERSION, ms};
use crate::workflow::state::State;
use crate::{Pool, RunMain};

/// What a run gave that came to its end, or to a node that it stops at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunResult {
    /// The state after the last node.
    pub state: Map<String, Value>,
    /// What the run did.
    pub report: RunReport,
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

/// Where a run begins.
pub(crate) enum From {
    Start(Input),
    Checkpoint(Box<Checkpoint>, Input),
}

/// What a run is given, or why that is nothing that could be its input.
pub(crate) type Input = Result<Map<String, Value>, String>;

impl From {
    pub(crate) fn start(input: impl Serialize) -> From {
        From::Start(object(input))
    }

    pub(crate) fn checkpoint(checkpoint: Checkpoint, input: impl Serialize) -> From {
        From::Checkpoint(Box::new(checkpoint), object(input))
    }
}

/// A value as an object: nothing is one without keys.
fn object(input: impl Serialize) -> Input {
    match serde_json::to_value(input) {
        Ok(Value::Object(input)) => Ok(input),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(value) => {
            let kind = match value {
                Value::Array(_) => "a list",
                Value::String(_) => "a string",
                Value::Number(_) => "a number",
                _ => "a boolean",
            };
            Err(format!("the input of a workflow is an object, not {kind}"))
        }
        Err(error) => Err(format!("the input can't be had: {error}")),
    }
}

/// Refuses a state with integers that no node could see, all of them at once.
fn refuse_large_integers(state: &State) -> Result<(), Trouble> {
    let found = state.large_integers();
    match found.is_empty() {
        true => Ok(()),
        false => Err(Failure::own("ValueError", found.join("\n")).into()),
    }
}

/// Runs a workflow to its end, or to where it stops.
pub(crate) fn run(
    workflow: &Workflow,
    pool: &Pool,
    from: From,
    options: &RunSettings,
) -> Result<RunResult, RunError> {
    let mut run = Run::new(workflow, pool, options);
    let node = match &from {
        From::Start(_) => None,
        From::Checkpoint(checkpoint, _) => Some(checkpoint.node().map(str::to_owned)),
    };
    let result = prepare(&mut run, from);
    let begin = result.as_ref().ok();
    let file = begin.and_then(|begin| begin.saver.file());
    let checkpoint = file.map(Path::to_owned);
    let name = workflow.model.name.clone();
    match node {
        None => run.events.emit(None, || EventKind::Start {
            workflow: name,
            checkpoint,
        }),
        // What can't go on isn't resumed.
        Some(node) if result.is_ok() => run.events.emit(None, || EventKind::Resume {
            workflow: name,
            node,
            checkpoint,
        }),
        Some(_) => {}
    }
    match result {
        Ok(begin) => main(&run, begin),
        Err(trouble) => Err(fail(&run, trouble, None, Vec::new())),
    }
}

/// Finds out what is needed before anything runs.
fn prepare(run: &mut Run<'_>, from: From) -> Result<Begin, Trouble> {
    let resumed = match &from {
        From::Start(_) => None,
        From::Checkpoint(checkpoint, _) => Some(checkpoint.stops()),
    };
    run.stops = find_stops(run, resumed)?;
    run.journals =
        Journals::of(run.options).map_err(|why| Trouble::from(Failure::own("OptionError", why)))?;
    let main = check(run)?;
    #[cfg(feature = "compile")]
    if run.options.compile {
        let chunks = lua_of_nodes(&run.workflow.model);
        run.pool.compile_together(&chunks, true)?;
    }
    let depth = run.workflow.plan.depth();
    if depth > run.pool.max_branches() {
        let message = format!(
            "branches can be {depth} deep in each other, and the pool may have {} at once: \
             build it with more",
            run.pool.max_branches()
        );
        return Err(Failure::own("BusyError", message).into());
    }
    if depth > 0 {
        check_workers(run)?;
    }
    if let From::Checkpoint(checkpoint, _) = &from
        && let Some(id) = checkpoint.run()
    {
        run.id = id.into();
    }
    let begin = begin(run, from)?;
    let schema = &run.workflow.model.schema;
    schema
        .check(&begin.state)
        .map_err(|why| Failure::own("SchemaError", why))?;
    Ok(Begin { main, ..begin })
}

/// Makes sure of workers, where branches are to run on some.
fn check_workers(run: &Run<'_>) -> Result<(), Failure> {
    let parallel = &run.workflow.model.settings.parallel;
    match run.of_workers() {
        Some((workers, of_run)) => {
            let pool = (run.pool, parallel.pool.as_deref());
            run.opened.check(workers, &of_run, pool)
        }
        None if parallel.place == Some(Where::Workers) => {
            let message = "`settings.parallel.where` is `workers`, and the run is given none: by `--workers`, \
                           or `RunSettings::workers`";
            Err(Failure::own("OptionError", message))
        }
        None => Ok(()),
    }
}

/// Refuses a workflow with a known mistake, before any of it runs. Where Lua had to be parsed for
/// that, that was done on the main instance of the run, which is returned: a run waits for one
/// once.
fn check(run: &Run<'_>) -> Result<Option<RunMain>, Trouble> {
    let options = run.instance_options(&run.terms());
    let mut parser = Parser::new(run.pool, options);
    let problems = run.workflow.check_with(run.pool, run.options, &mut parser);
    match check::refuses(&problems) {
        true => Err(Trouble::before(problems)),
        false => Ok(parser.into_instance()?),
    }
}

fn begin(run: &Run<'_>, from: From) -> Result<Begin, Trouble> {
    let (workflow, options) = (run.workflow, run.options);
    let named = || {
        workflow
            .model
            .config
            .checkpoint_dir
            .as_ref()
            .map(PathBuf::from)
    };
    let folder = options.checkpoint_dir.clone().or_else(named);
    let fail = |why: String| Trouble::from(Failure::own("CheckpointError", why));
    let mut of = Of {
        run: Arc::clone(&run.id),
        name: workflow.model.name.clone(),
        files: workflow.origin.clone(),
        hash: workflow.fingerprint().to_owned(),
        stops: Stops {
            before: options.interrupt_before.clone(),
            after: options.interrupt_after.clone(),
        },
    };
    match from {
        From::Start(input) => {
            let input = input.map_err(|why| Failure::own("ValueError", why))?;
            let state = State::new(&workflow.model.initial_state, input);
            refuse_large_integers(&state)?;
            let mut saver = saver(folder.as_deref(), of).map_err(fail)?;
            saver.save(Position::Start, &state, 0, None).map_err(fail)?;
            Ok(Begin {
                at: At::Start,
                state,
                ran: 0,
                saver,
                main: None,
            })
        }
        From::Checkpoint(checkpoint, input) => {
            let input = input.map_err(|why| Failure::own("ValueError", why))?;
            checkpoint.check(&of, options.changed).map_err(fail)?;
            let at = checkpoint.at(&workflow.plan).map_err(fail)?;
            of.stops.add(checkpoint.stops());
            // Beside the one that it goes on from, which stays as it is.
            let beside = checkpoint.path().and_then(Path::parent).map(|folder| {
                match folder.as_os_str().is_empty() {
                    true => PathBuf::from("."),
                    false => folder.to_owned(),
                }
            });
            let folder = options.checkpoint_dir.clone().or(beside).or(folder);
            let mut saver = saver(folder.as_deref(), of).map_err(fail)?;
            if input.is_empty() {
                // Branches that came to their end did so without input.
                saver = saver.going_on_from(&checkpoint);
            }
            let (ran, position) = (checkpoint.ran(), checkpoint.position().clone());
            let mut state = checkpoint.into_state();
            state.merge(input);
            refuse_large_integers(&state)?;
            saver.save(position, &state, ran, None).map_err(fail)?;
            Ok(Begin {
                at,
                state,
                ran,
                saver,
                main: None,
            })
        }
    }
}

fn saver(folder: Option<&Path>, of: Of) -> Result<Saver, String> {
    match folder {
        Some(folder) => Saver::in_folder(folder, of),
        None => Ok(Saver::in_memory(of)),
    }
}

/// The nodes that the run stops at: those that the workflow names, those that are asked for, and
/// those that were asked for when it began.
fn find_stops(
    run: &Run<'_>,
    resumed: Option<&Stops>,
) -> Result<HashSet<(NodeId, Moment)>, Trouble> {
    let workflow = run.workflow;
    let mut stops = HashSet::new();
    let said = workflow.model.interrupts();
    for (index, node) in workflow.model.nodes.iter().enumerate() {
        let (before, after) = said.of(node);
        stops.extend(before.then_some((NodeId(index), Moment::Before)));
        stops.extend(after.then_some((NodeId(index), Moment::After)));
    }
    let asked = [
        (&run.options.interrupt_before, Moment::Before),
        (&run.options.interrupt_after, Moment::After),
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
    if let Some(resumed) = resumed {
        // Where the workflow has changed, there may be none of that name.
        let before = resumed.before.iter().map(|name| (name, Moment::Before));
        let after = resumed.after.iter().map(|name| (name, Moment::After));
        let found = before.chain(after);
        stops.extend(found.filter_map(|(name, moment)| Some((workflow.plan.find(name)?, moment))));
    }
    Ok(stops)
}

fn main(run: &Run<'_>, begin: Begin) -> Result<RunResult, RunError> {
    let terms = run.terms();
    let file = begin.saver.file().map(Path::to_owned);
    let track = match Track::of_main(run, begin.main, &terms) {
        Ok(track) => track,
        Err(trouble) => return Err(fail(run, trouble, file, Vec::new())),
    };
    let mut state = begin.state;
    let mut path = path::Path {
        run,
        flow: Flow {
            model: &run.workflow.model,
            plan: &run.workflow.plan,
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
    // A fan-out may come before the next node.
    path.track.keys.enter(begin.ran);
    let ended = path.follow(begin.at, &mut state).and_then(|ended| {
        let (result, shortened) = std::mem::take(&mut state)
            .bounded()
            .map_err(|why| Failure::own("LimitError", why))?;
        state = result;
        if let Some(bytes) = shortened {
            run.events.emit(None, || EventKind::Shortened { bytes });
        }
        Ok(ended)
    });
    let checkpoint = path.saver.take().and_then(Saver::into_last);
    let instances = path.finish();
    match ended {
        Err(trouble) => Err(fail(run, trouble, file, instances)),
        Ok(Ended::Done) => {
            run.events.emit(None, || EventKind::Finish {
                state: state.to_json(),
            });
            Ok(RunResult {
                state: state.into_json(),
                report: report(run, RunOutcome::Done, instances),
                interrupt: None,
            })
        }
        Ok(Ended::Interrupted(id, when)) => {
            let node = run.workflow.plan.name(id).to_owned();
            run.events.emit(None, || EventKind::Interrupt {
                node: node.clone(),
                when,
                state: state.to_json(),
            });
            let Some(checkpoint) = checkpoint else {
                let failure = Failure::own("CheckpointError", "there is no checkpoint");
                return Err(fail(run, failure.into(), file, instances));
            };
            Ok(RunResult {
                state: state.into_json(),
                report: report(run, RunOutcome::Interrupted, instances),
                interrupt: Some(Interrupted {
                    node,
                    when,
                    checkpoint,
                }),
            })
        }
    }
}

/// Ends a run that failed; `checkpoint` is the file that it can go on from.
fn fail(
    run: &Run<'_>,
    trouble: Trouble,
    checkpoint: Option<PathBuf>,
    instances: Vec<InstanceReport>,
) -> RunError {
    let outcome = match trouble.failure.is_cancelled() {
        true => RunOutcome::Cancelled,
        false => RunOutcome::Failed,
    };
    run.events.emit(None, || EventKind::Error {
        error: (*trouble.failure).clone(),
        node: trouble.node.as_ref().map(|(node, _)| node.to_string()),
    });
    let report = report(run, outcome, instances);
    RunError::new(run.workflow, trouble, checkpoint, report)
}

fn report(run: &Run<'_>, outcome: RunOutcome, instances: Vec<InstanceReport>) -> RunReport {
    RunReport {
        schema_version: SCHEMA_VERSION,
        workflow: run.workflow.model.name.clone(),
        outcome,
        wall_ms: ms(run.started.elapsed()),
        instances,
    }
}

/// Where a run begins, and with what.
struct Begin {
    at: At,
    state: State,
    ran: u64,
    saver: Saver,
    /// The main instance, if there is one already.
    main: Option<RunMain>,
}
