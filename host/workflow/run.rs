//! Running a plan: the main instance's way through it, and what comes of that.

use serde_json::{Map, Value};

use super::Workflow;
use super::context::{Context, RunOptions};
use super::error::{RunError, Stopped};
use super::fan_out;
use super::plan::Next;
use super::report::{InstanceReport, Report, RunOutcome};
use super::state::State;
use super::track::Track;
use crate::{Pool, RunMain};

/// The key under which a fan-in finds what the branches gave.
const PARALLEL_RESULTS: &str = "parallel_results";

/// What a run that came to its end gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The state after the last node.
    pub state: Map<String, Value>,
    /// What the run did.
    pub report: Report,
}

/// Runs a workflow from its start to its end.
pub(super) fn run(
    workflow: &Workflow,
    pool: &Pool,
    input: Map<String, Value>,
    options: &RunOptions,
) -> Result<Outcome, RunError> {
    let context = Context::new(workflow, pool, options);
    let mut state = State::new(&workflow.model.initial_state, input);
    let main = match pool.run_main() {
        Ok(main) => main,
        Err(error) => {
            let report = context.report(RunOutcome::Failed, Vec::new());
            return Err(RunError::without_instance(error, report));
        }
    };
    let mut main = Track::new(main, None, context.started);
    let mut branches = Vec::new();
    let stopped = follow(&context, &mut main, &mut branches, &mut state).err();

    let mut instances = vec![main.finish()];
    instances.append(&mut branches);
    match stopped {
        None => Ok(Outcome {
            state: state.into_json(),
            report: context.report(RunOutcome::Done, instances),
        }),
        Some(stopped) => {
            let report = context.report(RunOutcome::Failed, instances);
            Err(RunError::stopped(workflow, stopped, report))
        }
    }
}

/// Follows the plan on the main instance, state in and state out.
fn follow(
    context: &Context<'_>,
    main: &mut Track<RunMain>,
    branches: &mut Vec<InstanceReport>,
    state: &mut State,
) -> Result<(), Stopped> {
    let mut next = context.plan().start();
    loop {
        next = match next {
            Next::End => return Ok(()),
            Next::Node(id) => {
                main.run(context.node(id), state)
                    .map_err(|error| Stopped::Node(id, error))?;
                context.plan().after(id)
            }
            Next::FanOut(id) => {
                let fan_out = context.plan().fan_out(id);
                let runs = fan_out::run(context, fan_out, state).map_err(Stopped::Threads)?;
                let (results, reports) = fan_out::collect(runs);
                branches.extend(reports);
                state.set(PARALLEL_RESULTS.to_owned(), results);
                Next::Node(fan_out.fan_in)
            }
        };
    }
}
