//! Branches in parallel: as many at a time as there are workers, each on an instance of its own.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::context::Context;
use super::plan::{FanOut, NodeId};
use super::report::{Failure, InstanceReport, ms};
use super::state::State;
use super::track::Track;

/// How one branch went.
pub(super) struct BranchRun {
    name: String,
    outcome: Result<State, Failure>,
    wall: Duration,
    /// `None` if there was no instance to run it.
    report: Option<InstanceReport>,
}

/// Runs all branches of a fan-out and waits for them. What each gave is in the written order,
/// whichever ended first; a branch that failed is among them like any other.
///
/// # Errors
/// If no thread can be started.
pub(super) fn run(
    context: &Context<'_>,
    fan_out: &FanOut,
    state: &State,
) -> io::Result<Vec<BranchRun>> {
    let branches = &fan_out.branches;
    let runs: Vec<OnceLock<BranchRun>> = branches.iter().map(|_| OnceLock::new()).collect();
    // The queue is a counter: the next branch that nobody has taken. Relaxed will do, since no
    // other memory hangs on it; the end of the scope makes visible what the workers wrote.
    let next = AtomicUsize::new(0);
    let take = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        branches.get(index).zip(runs.get(index))
    };
    let work = || {
        while let Some((first, run)) = take() {
            // Nobody else was given this branch, so nothing is lost if the cell were full.
            let _ = run.set(run_branch(context, fan_out, *first, state.clone()));
        }
    };
    thread::scope(|scope| {
        for worker in 0..context.max_workers.get().min(branches.len()) {
            // The calling thread only waits. If it ran branches as well, host functions that
            // they call would run on the thread that may ask the pool for its main instance.
            let name = format!("moonfork-branch-{worker}");
            match thread::Builder::new().name(name).spawn_scoped(scope, work) {
                Ok(_) => {}
                Err(error) if worker == 0 => return Err(error),
                // Those that are there do the work of those that are not.
                Err(_) => break,
            }
        }
        Ok(())
    })?;
    Ok(runs.into_iter().filter_map(OnceLock::into_inner).collect())
}

/// Runs one branch from its first node up to the fan-in, on a fresh instance that ends with it.
fn run_branch(
    context: &Context<'_>,
    fan_out: &FanOut,
    first: NodeId,
    mut state: State,
) -> BranchRun {
    let started = Instant::now();
    let name = &*context.node(first).name.value;
    let finish = |outcome, report| BranchRun {
        name: name.to_owned(),
        outcome,
        wall: started.elapsed(),
        report,
    };
    let branch = match context.pool.branch() {
        Ok(branch) => branch,
        Err(error) => return finish(Err(Failure::new(&error)), None),
    };
    let mut track = Track::new(branch, Some(name), context.started);
    let outcome = context
        .plan()
        .branch(first, fan_out)
        .map(|id| context.node(id))
        .try_for_each(|node| {
            let result = track.run(node, &mut state);
            result.map_err(|error| Failure::of_node(&node.name.value, &error))
        });
    let report = track.finish();
    finish(outcome.map(|()| state), Some(report))
}

/// `parallel_results`, as the fan-in gets them, and the reports of the instances there were.
pub(super) fn collect(runs: Vec<BranchRun>) -> (Value, Vec<InstanceReport>) {
    let entries = runs.iter().map(BranchRun::entry).collect();
    let reports = runs.into_iter().filter_map(|run| run.report).collect();
    (entries, reports)
}

impl BranchRun {
    fn entry(&self) -> Value {
        let (state, failure) = match &self.outcome {
            Ok(state) => (Some(state), None),
            Err(failure) => (None, Some(failure)),
        };
        json!({
            "branch": self.name,
            "success": failure.is_none(),
            "state": state,
            "error": failure.map(|failure| &failure.message),
            "error_type": failure.map(|failure| failure.error_type),
            "timeout": failure.is_some_and(Failure::is_timeout),
            "timing_ms": ms(self.wall),
            // Nodes are not retried yet.
            "retry_count": 0,
            "report": self.report,
        })
    }
}
