//! Branches on threads of this process, each on an instance of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Cancel;
use crate::workflow::event::EventKind;
use crate::workflow::execute::call_keys::PathKeys;
use crate::workflow::execute::context::Run;
use crate::workflow::execute::entry::Failed;
use crate::workflow::execute::job::{Body, BranchEnd, BranchJob, FanOutJob, Lane, Place, Work};
use crate::workflow::execute::path::{Flow, Path};
use crate::workflow::execute::position::At;
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::track::{Beginning, Track};
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::report::{Failure, ms};
use crate::workflow::state::{PARALLEL_RESULTS, State};

/// Threads of this process.
pub(crate) struct Here<'a, 'r> {
    pub(crate) run: &'r Run<'r>,
    pub(crate) flow: Flow<'r>,
    /// How many branches the fan-out is inside of, and the innermost of them.
    pub(crate) level: usize,
    pub(crate) around: Option<Arc<str>>,
    pub(crate) job: &'a FanOutJob,
    /// The terms around its branches.
    pub(crate) terms: &'a Terms,
    /// What their instances begin with, if it isn't what all of the run do.
    pub(crate) start: Option<Beginning>,
    /// Stops those that run.
    pub(crate) cancel: Cancel,
}

impl Place for Here<'_, '_> {
    fn at_once(&self) -> usize {
        self.run.workers.most()
    }

    fn lane(&self) -> Box<dyn Lane + '_> {
        Box::new(self)
    }
}

impl Lane for &Here<'_, '_> {
    fn run(&mut self, work: &mut dyn Work) {
        while let Some(job) = work.next() {
            let end = self.branch(&job);
            work.end(&job, end);
        }
    }
}

impl Here<'_, '_> {
    /// Runs a branch to its end, or until the fan-out is cancelled.
    pub(crate) fn branch(&self, job: &BranchJob) -> BranchEnd {
        let workers = &self.run.workers;
        let Some(running) = workers.begin(self.level, self.terms.deadline, &self.cancel) else {
            return BranchEnd::failed(Failure::cancelled("it did not begin"), Duration::ZERO);
        };
        let started = Instant::now();
        let terms = self.terms.of_branch(self.job.timeout, self.cancel.clone());
        let name = full_name(
            self.around.as_ref(),
            &self.job.name(job.index, self.flow.plan),
        );
        self.run
            .events
            .emit(Some(&name), || EventKind::BranchStart { index: job.index });
        let keys = PathKeys::of_branch(Arc::clone(&self.job.keys), job.index);
        let start = self.start.clone();
        let track = match Track::of_branch(self.run, (name, keys), start, &terms) {
            Ok(track) => track,
            Err(error) => return BranchEnd::failed(Failure::new(&error), started.elapsed()),
        };
        let mut path = Path {
            run: self.run,
            flow: self.flow,
            track,
            terms,
            level: self.level + 1,
            fan_in: self.job.fan_in,
            running: Some(running),
            saver: None,
            ran: 0,
            retries: 0,
            instances: Vec::new(),
        };
        let mut state = self.job.state.clone();
        let result = self.body(job, &mut path, &mut state);
        let state = self.without_results(state);
        let (result, after) = match result {
            Ok(after) => (Ok(state), after),
            Err(trouble) => {
                let failed = Failed {
                    failure: *trouble.failure,
                    state: Some(state),
                };
                (Err(failed), None)
            }
        };
        let retries = path.retries;
        // The instance is gone before the place for another branch is free.
        let running = path.running.take();
        let reports = path.finish();
        drop(running);
        BranchEnd {
            result,
            after,
            timing: ms(started.elapsed()),
            retries,
            reports,
        }
    }

    /// Does what a branch is for, on its path and the state that it starts on, which becomes the one
    /// that goes into its entry; where it fails, the one that it had reached. The answer is the state that it
    /// ended with, where that is another one.
    fn body(
        &self,
        job: &BranchJob,
        path: &mut Path<'_>,
        state: &mut State,
    ) -> Result<Option<State>, Trouble> {
        match (self.job.body, &job.item) {
            (Body::Edges(id), _) => {
                let branches = &self.flow.plan.fan_out(id).branches;
                let first = branches.get(job.index).copied().ok_or_else(no_such)?;
                path.follow(At::Node(first), state)?;
                Ok(None)
            }
            (Body::Each(id), Some(item)) => path.each_item(id, job.index, item, state),
            (Body::Each(_), None) => Err(no_such().into()),
        }
    }

    /// The state of a branch without the results of a fan-out before this one, which it was given and
    /// left as they were: with them, those of a fan-out in a loop would double each time.
    fn without_results(&self, mut state: State) -> State {
        if state.shares(PARALLEL_RESULTS, &self.job.state) {
            state.remove(PARALLEL_RESULTS);
        }
        state
    }
}

/// Of a job that its fan-out doesn't have.
fn no_such() -> Failure {
    Failure::own("ExecutionError", "the fan-out has no such branch")
}

/// The name of a branch after those of the branches around it.
pub(crate) fn full_name(around: Option<&Arc<str>>, name: &Arc<str>) -> Arc<str> {
    match around {
        Some(around) => format!("{around}/{name}").into(),
        None => name.clone(),
    }
}
