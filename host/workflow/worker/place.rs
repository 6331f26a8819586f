//! Branches in other processes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::workflow::execute::budget::Amounts;
use crate::workflow::execute::entry::Failed;
use crate::workflow::execute::job::{BranchEnd, BranchJob, Lane, Place, Work};
use crate::workflow::report::Failure;
use crate::workflow::worker::away::Away;
use crate::workflow::worker::frame;
use crate::workflow::worker::message::{BranchSent, EndSent, FromWorker, Granted, ToWorker};
use crate::workflow::worker::pack::Packed;
use crate::workflow::worker::process::{Process, Processes, Said};

/// How often a branch may end its worker before it counts as failed.
const MAX_LOST: usize = 3;

/// How long a worker may take to stop a branch when it was told to, or its time is over, before it is ended.
const GRACE: Duration = Duration::from_secs(10);

/// Processes, and the fan-out that they are to run branches of.
pub(crate) struct ProcessPlace<'a> {
    processes: &'a Processes,
    away: Away<'a>,
    /// Which fan-out of this process it is.
    number: u64,
    /// What workers are told, as it is written: made once, when the first one has to know.
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    workflow: Option<Arc<[u8]>>,
    fan_out: Option<Arc<[u8]>>,
}

impl<'a> ProcessPlace<'a> {
    pub(crate) fn new(processes: &'a Processes, away: Away<'a>) -> ProcessPlace<'a> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ProcessPlace {
            processes,
            away,
            // Only that it is another one each time matters.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            told: Mutex::default(),
        }
    }

    /// The messages that a worker has to have before it can run a branch, as far as it hasn't.
    fn tell(&self, process: &mut Process) -> io::Result<()> {
        if process.fan_out == Some(self.number) {
            return Ok(());
        }
        let hash = self.away.prelude.as_ref().map(|prelude| *prelude.hash());
        let workflow = Some((self.away.run.hash.to_owned(), hash));
        if process.workflow != workflow {
            process.tell(&self.workflow()?)?;
            process.workflow = workflow;
        }
        process.tell(&self.fan_out()?)?;
        process.fan_out = Some(self.number);
        Ok(())
    }

    fn workflow(&self) -> io::Result<Arc<[u8]>> {
        once(&mut self.told().workflow, || {
            Ok(ToWorker::Workflow(Box::new(self.away.workflow()?)))
        })
    }

    fn fan_out(&self) -> io::Result<Arc<[u8]>> {
        once(&mut self.told().fan_out, || {
            Ok(ToWorker::FanOut(Box::new(self.away.fan_out()?)))
        })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message as it is written, which is done the first time.
fn once(
    written: &mut Option<Arc<[u8]>>,
    message: impl FnOnce() -> io::Result<ToWorker>,
) -> io::Result<Arc<[u8]>> {
    if let Some(written) = written {
        return Ok(Arc::clone(written));
    }
    let message = frame::encode(&message()?)?;
    Ok(Arc::clone(written.insert(message.into())))
}

/// Takes a worker that can serve a run, which is given back at once: so that a run that can't have one doesn't
/// begin.
///
/// # Errors
/// What it lacks, or why there is none.
pub(crate) fn check(processes: &Processes, granted: &Granted) -> Result<(), Failure> {
    let process = take(processes, granted)?;
    processes.give_back(process);
    Ok(())
}

fn take(processes: &Processes, granted: &Granted) -> Result<Process, Failure> {
    let process = processes
        .take()
        .map_err(|why| Failure::own("ExecutionError", why))?;
    granted.check_in(&process.hello.grants)?;
    Ok(process)
}

impl Place for ProcessPlace<'_> {
    fn at_once(&self) -> usize {
        self.processes.count.get()
    }

    fn lane(&self) -> Box<dyn Lane + '_> {
        Box::new(ProcessLane {
            place: self,
            process: None,
        })
    }
}

/// A worker, from its first branch to its last.
struct ProcessLane<'a> {
    place: &'a ProcessPlace<'a>,
    process: Option<Process>,
}

impl Drop for ProcessLane<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.place.processes.give_back(process);
        }
    }
}

impl Lane for ProcessLane<'_> {
    fn run(&mut self, work: &mut dyn Work) {
        while let Some(job) = work.next() {
            let end = self.branch(&job);
            work.end(&job, end);
        }
    }
}

impl ProcessLane<'_> {
    fn branch(&mut self, job: &BranchJob) -> BranchEnd {
        let away = &self.place.away;
        let fail = |failure| BranchEnd::failed(failure, Duration::ZERO);
        let mut lost = String::new();
        for _ in 0..MAX_LOST {
            if away.cancel.is_cancelled() || away.terms.is_over() {
                return fail(Failure::cancelled("it did not begin"));
            }
            let totals = match away.run.budget.left().map(|left| Amounts::of(&left)) {
                Ok(totals) => totals,
                Err(failure) => {
                    let mut end = fail(failure);
                    if let Err(Failed { state, .. }) = &mut end.result {
                        *state = Some(away.job.state.clone());
                    }
                    return end;
                }
            };
            let mut kept = self.process.take();
            if kept.as_mut().is_some_and(Process::has_ended) {
                kept = None;
            }
            let mut process =
                match kept.map_or_else(|| take(self.place.processes, away.run.granted), Ok) {
                    Ok(process) => process,
                    Err(failure) => return fail(failure),
                };
            let sent = BranchSent {
                number: process.branches,
                index: job.index,
                item: job.item.clone().map(Packed::Value),
                elapsed: away.run.started.elapsed(),
                left: away.terms.left(),
                totals,
            };
            process.branches += 1;
            match self.place.branch(&mut process, &sent) {
                Outcome::Ended(end, is_alive) => {
                    if is_alive {
                        self.process = Some(process);
                    }
                    return *end;
                }
                Outcome::Lost => lost = process.end(),
            }
        }
        let message = format!(
            "its worker ended while it ran, {MAX_LOST} times in a row; the last one by: {lost}"
        );
        fail(Failure::own("WorkerLost", message))
    }
}

/// What came of giving a branch to a worker.
enum Outcome {
    /// It ended, and whether the worker can run another.
    Ended(Box<BranchEnd>, bool),
    /// The worker is gone.
    Lost,
}

impl ProcessPlace<'_> {
    fn branch(&self, process: &mut Process, sent: &BranchSent) -> Outcome {
        let began = Instant::now();
        let number = sent.number;
        let fail =
            |failure| Outcome::Ended(BranchEnd::failed(failure, began.elapsed()).into(), false);
        let branch = match frame::encode(&BranchToWorker::Branch(sent)) {
            Ok(branch) => branch,
            Err(error) => return fail(Failure::own("ExecutionError", error.to_string())),
        };
        match self.tell(process) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return fail(Failure::own("ExecutionError", error.to_string()));
            }
            Err(_) => return Outcome::Lost,
        }
        if process.tell(&branch).is_err() {
            return Outcome::Lost;
        }
        // A wait that is over when the fan-out is cancelled.
        let _watch = self.away.cancel.on_cancel(process.waker());
        let own = self.away.job.timeout.map(|time| began + time);
        let over = self.away.terms.deadline.map(|it| it.at());
        let over = own.into_iter().chain(over).min().map(|at| at + GRACE);
        let mut stopped: Option<Instant> = None;
        loop {
            let until = stopped.map(|at| at + GRACE).into_iter().chain(over).min();
            let time = until.map(|at| at.saturating_duration_since(Instant::now()));
            match process.wait(time) {
                Some(Said::Message(FromWorker::Event(event))) => {
                    self.away.run.events.pass_on(&event)
                }
                Some(Said::Message(FromWorker::End(end))) if end.number == number => {
                    return self.ended(*end, process);
                }
                Some(Said::Message(FromWorker::Refused(why))) => {
                    return fail(Failure::own("ExecutionError", why));
                }
                Some(Said::Message(_)) => {
                    let message = "its worker said what makes no sense here";
                    return fail(Failure::own("ExecutionError", message));
                }
                Some(Said::Gone) => return Outcome::Lost,
                Some(Said::Look) => {
                    if self.away.cancel.is_cancelled() && stopped.is_none() {
                        stopped = Some(Instant::now());
                        let cancel = frame::encode(&ToWorker::Cancel(number));
                        if !cancel.is_ok_and(|cancel| process.tell(&cancel).is_ok()) {
                            return Outcome::Lost;
                        }
                    }
                }
                None if stopped.is_some() => {
                    return fail(Failure::cancelled(
                        "its worker didn't stop it, and was ended",
                    ));
                }
                None => {
                    let message = "the time for it was over, and its worker didn't stop it";
                    return fail(Failure::timeout(message));
                }
            }
        }
    }

    fn ended(&self, end: EndSent, process: &Process) -> Outcome {
        self.away.run.budget.spend_amounts(&end.spent);
        match end.end(&self.away.job.state, &process.hello.worker) {
            Ok(end) => Outcome::Ended(end.into(), true),
            Err(why) => {
                let message = format!("what its worker sent can't be read: {why}");
                let failure = Failure::own("ExecutionError", message);
                Outcome::Ended(BranchEnd::failed(failure, Duration::ZERO).into(), false)
            }
        }
    }
}

/// [`ToWorker::Branch`], of one that is still needed.
#[derive(serde::Serialize)]
enum BranchToWorker<'b> {
    Branch(&'b BranchSent),
}
