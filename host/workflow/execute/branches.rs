//! Branches in parallel, wherever they run: which comes next, when the others are stopped, and what they gave.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use serde_json::Value;

use crate::Cancel;
use crate::diagnostics::Place as FilePlace;
use crate::workflow::event::{EventKind, Events};
use crate::workflow::execute::entry::Entry;
use crate::workflow::execute::finished::{Finished, FinishedBranch};
use crate::workflow::execute::fold::{Partials, Reductions};
use crate::workflow::execute::here::full_name;
#[cfg(feature = "nats")]
use crate::workflow::execute::job::Folded;
use crate::workflow::execute::job::{BranchEnd, BranchJob, FanOutJob, Needs, Place, Work};
use crate::workflow::execute::terms::Terms;
use crate::workflow::model::{Collect, Merge, Together};
use crate::workflow::report::{Failure, InstanceReport};
use crate::workflow::state::State;

/// What branches have in common.
pub(crate) struct Branches<'a> {
    /// Their names, in the written order.
    pub(crate) names: Vec<Arc<str>>,
    /// How many may run at a time, of these alone.
    pub(crate) most: usize,
    pub(crate) fail_fast: bool,
    /// The terms around them.
    pub(crate) terms: &'a Terms,
    /// What is said of all of them.
    pub(crate) together: &'a Together,
    /// What becomes of the states that they end with.
    pub(crate) merge: Merge,
    /// Keys that are no result of theirs.
    pub(crate) leave: Vec<&'a str>,
    /// Where to look if what they gave can't be put together.
    pub(crate) place: Option<(Arc<str>, FilePlace)>,
    /// The values that they are for, if they are for some.
    pub(crate) items: &'a [Arc<Value>],
    pub(crate) job: FanOutJob,
}

impl Branches<'_> {
    /// The value that a branch is for, if it is for one, and which of them that is.
    pub(crate) fn item(&self, index: usize) -> Option<(Arc<Value>, usize)> {
        Some((Arc::clone(self.items.get(index)?), index))
    }

    /// What of their ends has to come from where they run, if those that succeed are noted or not.
    pub(crate) fn needs_of_ends(&self, are_noted: bool) -> Needs {
        let failed = self.needs(false);
        let is_race = self.together.until().is_some();
        Needs {
            // In a race, one that comes too late has failed.
            succeeded: self.needs(true) || are_noted || (is_race && failed),
            failed,
            each: is_race,
        }
    }

    /// Whether the entry of a branch is needed once it has ended.
    pub(crate) fn needs(&self, is_success: bool) -> bool {
        match self.together.collect() {
            Collect::All => true,
            Collect::Errors if !is_success => true,
            // What is merged are the states of those that succeeded.
            _ => is_success && !self.merge.is_nothing(),
        }
    }
}

/// Branches that run.
pub(crate) struct FanOutRun<'a> {
    pub(crate) events: &'a Events,
    /// The branch that these are inside of.
    pub(crate) around: Option<Arc<str>>,
    pub(crate) branches: &'a Branches<'a>,
    pub(crate) place: &'a dyn Place,
    pub(crate) reductions: &'a Reductions,
    pub(crate) finished: Option<&'a Finished>,
    /// What branches gave that came to their end before the run was resumed.
    pub(crate) known: Vec<Mutex<Option<FinishedBranch>>>,
    /// Stops those that run.
    pub(crate) cancel: Cancel,
    /// The branch that the others are stopped for.
    pub(crate) failed_first: OnceLock<Arc<str>>,
    /// The branches that succeeded, in a race.
    pub(crate) won: Mutex<Vec<Arc<str>>>,
    /// The next branch that nobody has taken. Relaxed will do, since no other memory hangs on
    /// it; the end of the scope makes visible what the workers wrote.
    pub(crate) next: AtomicUsize,
}

/// What branches gave that have ended.
pub(crate) struct Gathered {
    /// The entries that are needed of them, by their index.
    pub(crate) entries: Vec<(usize, Entry)>,
    /// What ran for them.
    pub(crate) reports: Vec<(usize, Vec<InstanceReport>)>,
    pub(crate) partials: Partials,
    /// How many succeeded.
    pub(crate) succeeded: usize,
    pub(crate) failed: Option<FirstFailure>,
}

/// The first branch that failed, of those that weren't stopped because of another, if there is one: those
/// say nothing of the reason.
pub(crate) struct FirstFailure {
    order: (bool, usize),
    pub(crate) branch: Arc<str>,
    pub(crate) message: String,
}

impl FirstFailure {
    fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).min_by_key(|it| it.order)
    }
}

impl Gathered {
    fn new(reductions: &Reductions) -> Gathered {
        Gathered {
            entries: Vec::new(),
            reports: Vec::new(),
            partials: reductions.empty(),
            succeeded: 0,
            failed: None,
        }
    }

    /// Adds what others gave.
    fn join(&mut self, other: Gathered, reductions: &Reductions) {
        self.entries.extend(other.entries);
        self.reports.extend(other.reports);
        reductions.join(&mut self.partials, other.partials);
        self.succeeded += other.succeeded;
        self.failed = FirstFailure::earlier(self.failed.take(), other.failed);
    }
}

/// What one thread takes of the branches, and what they gave.
struct Share<'s, 'a> {
    run: &'s FanOutRun<'a>,
    gathered: Gathered,
}

impl Work for Share<'_, '_> {
    fn next(&mut self) -> Option<BranchJob> {
        loop {
            let index = self.run.take()?;
            match self.run.known(index) {
                Some(known) => self.run.ended_before(index, known, &mut self.gathered),
                None => {
                    let item = self.run.branches.item(index).map(|(item, _)| item);
                    return Some(BranchJob { index, item });
                }
            }
        }
    }

    #[cfg(feature = "nats")]
    fn left(&self) -> usize {
        let taken = self.run.next.load(Ordering::Relaxed);
        self.run.branches.names.len().saturating_sub(taken)
    }

    fn end(&mut self, job: &BranchJob, end: BranchEnd) {
        self.run.came_to(job.index, end, &mut self.gathered);
    }

    #[cfg(feature = "nats")]
    fn end_folded(&mut self, folded: Folded) -> Result<(), String> {
        let partials = self.run.reductions.received(folded.partials)?;
        let into = &mut self.gathered;
        self.run.reductions.join(&mut into.partials, partials);
        into.succeeded += folded.branches.len();
        for (index, reports) in folded.branches {
            self.run.tell_end(index, None, &reports);
            into.reports.push((index, reports));
        }
        Ok(())
    }
}

impl FanOutRun<'_> {
    /// Counts branches that succeeded before the run was resumed: with them, a race may be over.
    pub(crate) fn count_known(&self) {
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
        let Some(until) = self.branches.together.until() else {
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
        let until = self.branches.together.until()?;
        let won = self.won.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<_> = won.iter().map(|name| format!("'{name}'")).collect();
        (won.len() >= until).then(|| names.join(", "))
    }

    /// Runs them all on so many threads.
    ///
    /// # Errors
    /// If there can't be any thread.
    pub(crate) fn run(&self, threads: usize) -> io::Result<Gathered> {
        let all = Mutex::new(Gathered::new(self.reductions));
        thread::scope(|scope| {
            for worker in 0..threads {
                // The calling thread only waits. If it ran branches as well, host functions
                // that they call would run on the thread that may ask the pool for its main
                // instance.
                let name = format!("moonfork-branch-{worker}");
                let work = || {
                    let gathered = self.work();
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.join(gathered, self.reductions);
                };
                match thread::Builder::new().name(name).spawn_scoped(scope, work) {
                    Ok(_) => {}
                    Err(error) if worker == 0 => return Err(error),
                    // Those that are there do the work of those that are not.
                    Err(_) => break,
                }
            }
            Ok(())
        })?;
        let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.entries.sort_unstable_by_key(|(index, _)| *index);
        all.reports.sort_unstable_by_key(|(index, _)| *index);
        Ok(all)
    }

    /// What one thread does: branches, until there are none left.
    fn work(&self) -> Gathered {
        let mut share = Share {
            run: self,
            gathered: Gathered::new(self.reductions),
        };
        self.place.lane().run(&mut share);
        share.gathered
    }

    /// The next branch that nobody has taken.
    fn take(&self) -> Option<usize> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.branches.names.len()).then_some(index)
    }

    fn known(&self, index: usize) -> Option<FinishedBranch> {
        let known = self.known.get(index)?;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.take()
    }

    fn came_to(&self, index: usize, mut end: BranchEnd, into: &mut Gathered) {
        let name = &self.branches.names[index];
        if end.result.is_ok() && !self.wins(name) {
            let failure = Failure::cancelled("it came too late");
            end = end.failed_with(failure);
        }
        if let Err(failed) = &mut end.result {
            failed.failure = self.explain(failed.failure.clone());
        }
        self.ended(index, end, into);
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

    /// Takes in how a branch ended, and stops the others if that is what to do.
    fn ended(&self, index: usize, ended: BranchEnd, into: &mut Gathered) {
        let name = &self.branches.names[index];
        let failure = ended.result.as_ref().err().map(|failed| &failed.failure);
        let stops = self.branches.fail_fast && self.branches.together.until.is_none();
        if stops && failure.is_some_and(|failure| !failure.is_cancelled()) {
            let _ = self.failed_first.set(name.clone());
            self.cancel.cancel();
        }
        if let (Some(finished), Ok(state)) = (self.finished, &ended.result) {
            finished.note(index, name, state, ended.timing, ended.retries);
        }
        self.tell_end(index, failure, &ended.reports);
        self.gather(index, ended, into);
    }

    fn tell_end(&self, index: usize, failure: Option<&Failure>, reports: &[InstanceReport]) {
        let full_name = full_name(self.around.as_ref(), &self.branches.names[index]);
        self.events.emit(Some(&full_name), || EventKind::BranchEnd {
            index,
            success: failure.is_none(),
            error: failure.cloned(),
            report: reports.first().cloned(),
        });
    }

    /// Takes in a branch that came to its end before the run was resumed. Its instances were those of
    /// another process, where others had their numbers.
    fn ended_before(&self, index: usize, known: FinishedBranch, into: &mut Gathered) {
        let name = &self.branches.names[index];
        let state = State::from_json(known.state);
        if let Some(finished) = self.finished {
            // The run may be ended by force again.
            finished.note(index, name, &state, known.timing_ms, known.retry_count);
        }
        let ended = BranchEnd {
            result: Ok(state),
            after: None,
            timing: known.timing_ms,
            retries: known.retry_count,
            reports: Vec::new(),
        };
        self.gather(index, ended, into);
    }

    /// Keeps of a branch what is needed of it.
    fn gather(&self, index: usize, ended: BranchEnd, into: &mut Gathered) {
        let branch = &self.branches.names[index];
        match &ended.result {
            Ok(state) => {
                into.succeeded += 1;
                let after = ended.after.as_ref().unwrap_or(state);
                self.reductions
                    .take(&mut into.partials, index, branch, after);
            }
            Err(failed) => {
                let failed = FirstFailure {
                    order: (failed.failure.is_cancelled(), index),
                    branch: branch.clone(),
                    message: failed.failure.message.clone(),
                };
                into.failed = FirstFailure::earlier(into.failed.take(), Some(failed));
            }
        }
        if self.branches.needs(ended.result.is_ok()) {
            let entry = Entry {
                branch: branch.clone(),
                item: self.branches.item(index),
                result: ended.result,
                timing_ms: ended.timing,
                retry_count: ended.retries,
                report: ended.reports.first().cloned(),
            };
            into.entries.push((index, entry));
        }
        into.reports.push((index, ended.reports));
    }
}
