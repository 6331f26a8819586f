//! Branches in parallel: as many at a time as there are workers, each on an instance of its own.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workflow::event::EventKind;
use crate::workflow::execute::context::Run;
use crate::workflow::execute::entry::{self, Entry, Failed};
use crate::workflow::execute::finished::{Finished, FinishedBranch};
use crate::workflow::execute::merge::{Ended, merge};
use crate::workflow::execute::path::{Flow, Path};
use crate::workflow::execute::position::At;
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::track::Track;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::model::{Merge, Start};
use crate::workflow::plan::{FanOut, NodeId};
use crate::workflow::report::{Failure, InstanceReport, ms};
use crate::workflow::state::{PARALLEL_RESULTS, State};
use crate::{Cancel, Snapshot};

/// What branches have in common.
pub(crate) struct Branches<'a> {
    /// Their names, in the written order.
    pub(crate) names: Vec<Arc<str>>,
    /// How many may run at a time, of these alone.
    pub(crate) most: usize,
    pub(crate) fail_fast: bool,
    /// What each may take in all.
    pub(crate) timeout: Option<Duration>,
    /// The terms around them.
    pub(crate) terms: &'a Terms,
    /// The node that gets their results, where it is not what is written next.
    pub(crate) fan_in: Option<NodeId>,
    /// How many have to succeed for the others to be stopped.
    pub(crate) until: Option<usize>,
    /// The values that they run for, if they are made for some.
    pub(crate) items: Option<&'a [Arc<Value>]>,
}

/// How one branch went, and what ran for it.
struct BranchRun {
    entry: Entry,
    reports: Vec<InstanceReport>,
}

/// What a branch does with its path and the state that it starts on, which becomes the one that goes
/// into its entry; where it fails, the one that it had reached.
pub(crate) type Body<'b> =
    dyn Fn(usize, &mut Path<'_>, &mut State) -> Result<(), Trouble> + Sync + 'b;

impl Path<'_> {
    /// Runs the branches of a fan-out that edges say, and puts what they gave into the state.
    ///
    /// # Errors
    /// If the path is stopped, if the branches can't be merged, or where a failed branch fails
    /// the run.
    pub(crate) fn fan_out(&mut self, fan_out: &FanOut, state: &mut State) -> Result<(), Trouble> {
        let plan = self.flow.plan;
        let settings = &self.flow.model.settings.parallel;
        let terms = self.terms.clone();
        let name = |id: &NodeId| Arc::from(plan.name(*id));
        let branches = Branches {
            names: fan_out.branches.iter().map(name).collect(),
            most: usize::MAX,
            fail_fast: settings.fail_fast,
            timeout: settings.timeout,
            terms: &terms,
            fan_in: Some(fan_out.fan_in),
            until: fan_out
                .together
                .until
                .as_ref()
                .map(|until| until.value.get()),
            items: None,
        };
        let body = |index: usize, path: &mut Path<'_>, state: &mut State| {
            let first = fan_out.branches[index];
            path.follow(At::Node(first), state).map(|_| ())
        };
        let finished = self.saver.as_ref().map(|saver| {
            let names: Vec<_> = fan_out.branches.iter().map(|id| plan.name(*id)).collect();
            saver.finished(&names, plan.name(fan_out.fan_in))
        });
        let entries = self.run_branches(&branches, state, finished.as_ref(), &body)?;
        let merge = settings.merge.with(&fan_out.together.reducers);
        merge_entries(&merge, state, &entries, &[]).map_err(|why| {
            let failure = Failure::own("ConflictError", why);
            let origin: Arc<str> = plan.name(fan_out.fan_in).into();
            Trouble::from(failure).at(&origin, fan_out.place)
        })?;
        state.set(PARALLEL_RESULTS, entry::list(entries));
        if let Some(saver) = &mut self.saver {
            saver.forget_finished();
        }
        Ok(())
    }

    /// Runs all branches and waits for them. What each gave is in the written order, whichever
    /// ended first; a branch that failed is among them like any other. Those that `finished`
    /// knows are not run again.
    ///
    /// # Errors
    /// If the path is stopped, if no thread can be started, or where a failed branch fails the
    /// run.
    pub(crate) fn run_branches(
        &mut self,
        branches: &Branches<'_>,
        state: &State,
        finished: Option<&Finished>,
        body: &Body<'_>,
    ) -> Result<Vec<Entry>, Trouble> {
        let count = branches.names.len();
        let mut known = Vec::new();
        if let Some(finished) = finished {
            for (index, name) in branches.names.iter().enumerate() {
                let branch = finished.get(index, name);
                let branch = branch.map_err(|why| Failure::own("CheckpointError", why))?;
                known.push(Mutex::new(branch));
            }
        }
        let fan_in = branches.fan_in.map(|id| self.flow.plan.name(id).to_owned());
        self.run
            .events
            .emit(self.track.branch.as_ref(), || EventKind::FanOut {
                branches: count,
                fan_in,
            });
        let start = match self.run.workflow.model.settings.parallel.start {
            Start::Fresh => None,
            Start::Fork => Some(self.track.snapshot()?),
        };
        let work = FanOutRun {
            run: self.run,
            flow: self.flow,
            level: self.level,
            around: self.track.branch.clone(),
            branches,
            start,
            state,
            finished,
            known,
            body,
            cancel: branches.terms.cancel.child(),
            failed_first: OnceLock::new(),
            won: Mutex::default(),
            runs: (0..count).map(|_| OnceLock::new()).collect(),
            next: AtomicUsize::new(0),
        };
        let threads = self.run.workers.most().min(branches.most).min(count);
        if let Some(running) = &mut self.running {
            running.pause();
        }
        work.count_known();
        let runs = work.run(threads);
        if let Some(running) = &mut self.running {
            running.resume(self.terms.deadline, &self.terms.cancel);
        }
        let runs = runs.map_err(|error| {
            let message = format!("no thread could be started for the branches: {error}");
            Failure::own("ExecutionError", message)
        })?;
        let mut entries = Vec::with_capacity(count);
        for run in runs {
            entries.push(run.entry);
            self.instances.extend(run.reports);
        }
        self.check()?;
        if branches.terms.is_over() {
            return Err(branches.terms.out_of_time("these branches").into());
        }
        // A race that is won hasn't failed, whoever lost it.
        let won = entries.iter().filter(|entry| entry.result.is_ok()).count();
        let is_won = branches.until.is_some_and(|until| won >= until);
        if self.flow.model.config.raise_exceptions && !is_won {
            raise(&entries)?;
        }
        Ok(entries)
    }
}

/// Fails with the first branch that failed.
fn raise(entries: &[Entry]) -> Result<(), Trouble> {
    let failed = || {
        let failures = entries
            .iter()
            .map(|entry| (&entry.branch, entry.result.as_ref().err()));
        failures.filter_map(|(branch, failed)| Some((branch, &failed?.failure)))
    };
    // One that was stopped because of another says nothing of the reason.
    let own = failed().find(|(_, failure)| !failure.is_cancelled());
    let Some((branch, failure)) = own.or_else(|| failed().next()) else {
        return Ok(());
    };
    let message = format!("branch '{branch}': {}", failure.message);
    Err(Failure::own("ExecutionError", message).into())
}

/// Merges the states of branches that succeeded.
pub(crate) fn merge_entries(
    how: &Merge,
    state: &mut State,
    entries: &[Entry],
    leave: &[&str],
) -> Result<(), String> {
    let ended = |entry| {
        let Entry { branch, result, .. }: &Entry = entry;
        Some((&**branch, result.as_ref().ok()?))
    };
    let branches: Vec<Ended<'_>> = entries.iter().filter_map(ended).collect();
    merge(how, state, &branches, leave)
}

/// Branches that run.
struct FanOutRun<'a, 'r> {
    run: &'r Run<'r>,
    flow: Flow<'r>,
    /// How many branches these are inside of, and the innermost of them.
    level: usize,
    around: Option<Arc<str>>,
    branches: &'a Branches<'a>,
    /// What their instances begin with, if it isn't what all of the run do.
    start: Option<Snapshot>,
    state: &'a State,
    finished: Option<&'a Finished>,
    /// What branches gave that came to their end before the run was resumed.
    known: Vec<Mutex<Option<FinishedBranch>>>,
    body: &'a Body<'a>,
    /// Stops those that run.
    cancel: Cancel,
    /// The branch that the others are stopped for.
    failed_first: OnceLock<Arc<str>>,
    /// The branches that succeeded, in a race.
    won: Mutex<Vec<Arc<str>>>,
    runs: Vec<OnceLock<BranchRun>>,
    /// The next branch that nobody has taken. Relaxed will do, since no other memory hangs on
    /// it; the end of the scope makes visible what the workers wrote.
    next: AtomicUsize,
}

impl FanOutRun<'_, '_> {
    /// Counts branches that succeeded before the run was resumed: with them, a race may be over.
    fn count_known(&self) {
        for (known, name) in self.known.iter().zip(&self.branches.names) {
            let is_known = known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some();
            if is_known {
                self.wins(name);
            }
        }
    }

    /// Counts a branch that succeeded, and stops the others if that is what they wait for; false if
    /// it comes too late.
    fn wins(&self, name: &Arc<str>) -> bool {
        let Some(until) = self.branches.until else {
            return true;
        };
        let mut won = self.won.lock().unwrap_or_else(PoisonError::into_inner);
        if won.len() >= until {
            return won.contains(name);
        }
        won.push(Arc::clone(name));
        if won.len() == until {
            self.cancel.cancel();
        }
        true
    }

    /// Whether a race is over, and who won it.
    fn winners(&self) -> Option<String> {
        let until = self.branches.until?;
        let won = self.won.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<_> = won.iter().map(|name| format!("'{name}'")).collect();
        (won.len() >= until).then(|| names.join(", "))
    }

    fn run(self, threads: usize) -> io::Result<Vec<BranchRun>> {
        thread::scope(|scope| {
            for worker in 0..threads {
                // The calling thread only waits. If it ran branches as well, host functions
                // that they call would run on the thread that may ask the pool for its main
                // instance.
                let name = format!("moonfork-branch-{worker}");
                let work = || self.work();
                match thread::Builder::new().name(name).spawn_scoped(scope, work) {
                    Ok(_) => {}
                    Err(error) if worker == 0 => return Err(error),
                    // Those that are there do the work of those that are not.
                    Err(_) => break,
                }
            }
            Ok(())
        })?;
        Ok(self
            .runs
            .into_iter()
            .filter_map(OnceLock::into_inner)
            .collect())
    }

    /// What one thread does: branches, until there are none left.
    fn work(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = self.runs.get(index) else {
                return;
            };
            // Nobody else was given this branch, so nothing is lost if the cell were full.
            let _ = run.set(self.branch(index));
        }
    }

    fn branch(&self, index: usize) -> BranchRun {
        let name = &self.branches.names[index];
        let known = self.known.get(index).and_then(|known| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.take()
        });
        if let Some(known) = known {
            return self.ended_before(index, known);
        }
        let deadline = self.branches.terms.deadline;
        let workers = &self.run.workers;
        let Some(running) = workers.begin(self.level, deadline, &self.cancel) else {
            let failure = self.explain(Failure::cancelled("it did not begin"));
            let failed = Failed {
                failure,
                state: None,
            };
            return self.ended(index, Err(failed), Duration::ZERO, 0, Vec::new());
        };
        let started = Instant::now();
        let terms = self
            .branches
            .terms
            .of_branch(self.branches.timeout, self.cancel.clone());
        let full_name: Arc<str> = match &self.around {
            Some(around) => format!("{around}/{name}").into(),
            None => name.clone(),
        };
        self.run
            .events
            .emit(Some(&full_name), || EventKind::BranchStart { index });
        let track = match Track::of_branch(self.run, full_name.clone(), self.start.clone(), &terms)
        {
            Ok(track) => track,
            Err(error) => {
                let failure = self.explain(Failure::new(&error));
                let failed = Failed {
                    failure,
                    state: None,
                };
                return self.ended(index, Err(failed), started.elapsed(), 0, Vec::new());
            }
        };
        let mut path = Path {
            run: self.run,
            flow: self.flow,
            track,
            terms,
            level: self.level + 1,
            fan_in: self.branches.fan_in,
            running: Some(running),
            saver: None,
            ran: 0,
            retries: 0,
            instances: Vec::new(),
        };
        let mut state = self.state.clone();
        let result = match (self.body)(index, &mut path, &mut state) {
            Ok(()) if self.wins(name) => Ok(()),
            Ok(()) => Err(self.explain(Failure::cancelled("it came too late"))),
            Err(trouble) => Err(self.explain(*trouble.failure)),
        };
        let state = self.without_results(state);
        let result = match result {
            Ok(()) => Ok(state),
            Err(failure) => Err(Failed {
                failure,
                state: Some(state),
            }),
        };
        let retries = path.retries;
        // The instance is gone before the place for another branch is free.
        let running = path.running.take();
        let reports = path.finish();
        drop(running);
        self.ended(index, result, started.elapsed(), retries, reports)
    }

    /// Says of a branch that was stopped why it was.
    fn explain(&self, failure: Failure) -> Failure {
        if !failure.is_cancelled() && !self.cancel.is_cancelled() {
            return failure;
        }
        let around = &self.branches.terms.cancel;
        match self.failed_first.get() {
            Some(first) if failure.is_cancelled() && !around.is_cancelled() => {
                let message = format!("cancelled due to fail_fast: branch '{first}' failed first");
                Failure::cancelled(message)
            }
            _ if failure.is_cancelled() && !around.is_cancelled() => match self.winners() {
                Some(winners) => {
                    let message = format!("cancelled: the race was over, won by {winners}");
                    Failure::cancelled(message)
                }
                None => failure,
            },
            _ => failure,
        }
    }

    /// The state of a branch without the results of a fan-out before this one, which it was given and
    /// left as they were: with them, those of a fan-out in a loop would double each time.
    fn without_results(&self, mut state: State) -> State {
        if state.shares(PARALLEL_RESULTS, self.state) {
            state.remove(PARALLEL_RESULTS);
        }
        state
    }

    /// Makes the entry of a branch that ended, and stops the others if that is what to do.
    fn ended(
        &self,
        index: usize,
        result: Result<State, Failed>,
        wall: Duration,
        retries: u32,
        reports: Vec<InstanceReport>,
    ) -> BranchRun {
        let name = &self.branches.names[index];
        let failure = result.as_ref().err().map(|failed| &failed.failure);
        let stops = self.branches.fail_fast && self.branches.until.is_none();
        if stops && failure.is_some_and(|failure| !failure.is_cancelled()) {
            let _ = self.failed_first.set(name.clone());
            self.cancel.cancel();
        }
        let full_name: Arc<str> = match &self.around {
            Some(around) => format!("{around}/{name}").into(),
            None => name.clone(),
        };
        if let (Some(finished), Ok(state)) = (self.finished, &result) {
            finished.note(index, name, state, ms(wall), retries);
        }
        self.run
            .events
            .emit(Some(&full_name), || EventKind::BranchEnd {
                index,
                success: failure.is_none(),
                error: failure.cloned(),
                report: reports.first().cloned(),
            });
        let entry = Entry {
            branch: name.clone(),
            item: self.item(index),
            result,
            timing_ms: ms(wall),
            retry_count: retries,
            report: reports.first().cloned(),
        };
        BranchRun { entry, reports }
    }

    /// The value that a branch is for.
    fn item(&self, index: usize) -> Option<(Arc<Value>, usize)> {
        let item = self.branches.items?.get(index)?;
        Some((Arc::clone(item), index))
    }

    /// Makes the entry of a branch that came to its end before the run was resumed. Its instances
    /// were those of another process, where others had their numbers.
    fn ended_before(&self, index: usize, known: FinishedBranch) -> BranchRun {
        let name = &self.branches.names[index];
        let (timing_ms, retry_count) = (known.timing_ms, known.retry_count);
        let state = State::from_json(known.state);
        if let Some(finished) = self.finished {
            // The run may be ended by force again.
            finished.note(index, name, &state, timing_ms, retry_count);
        }
        let entry = Entry {
            branch: name.clone(),
            item: self.item(index),
            result: Ok(state),
            timing_ms,
            retry_count,
            report: None,
        };
        BranchRun {
            entry,
            reports: Vec::new(),
        }
    }
}
