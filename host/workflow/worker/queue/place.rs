//! The side of a run.

use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moonfork_nats::{Error, Session, Update};

use crate::workflow::execute::budget::Amounts;
use crate::workflow::execute::entry::Failed;
use crate::workflow::execute::job::{Body, BranchEnd, BranchJob, Folded, Lane, Place, Work};
use crate::workflow::report::Failure;
use crate::workflow::worker::away::Away;
use crate::workflow::worker::frame;
use crate::workflow::worker::message::Granted;
use crate::workflow::worker::pack::Packed;
use crate::workflow::worker::queue::access::Queue;
use crate::workflow::worker::queue::chunk::{
    About, Answer, BranchFolded, BranchOfChunk, ChunkSent, EventSent, FoldSent,
};

/// How long workers may take to stop branches that are cancelled, before they count as stopped.
const GRACE: Duration = Duration::from_secs(10);

/// A run that has workers.
pub(crate) struct QueueRun(Mutex<Opened>);

struct Opened {
    session: Session,
    /// The blob of the workflow, and the hash of what its prelude has left.
    workflow: Option<(Option<[u8; 32]>, String)>,
}

impl QueueRun {
    /// Finds workers, which have to grant what the run does. Nothing is sent to them.
    ///
    /// # Errors
    /// What they lack, or why there are none.
    pub(crate) fn open(
        queue: &Queue,
        granted: &Granted,
        pool: Option<&str>,
        version: String,
    ) -> Result<QueueRun, Failure> {
        let client = queue.client().map_err(fail)?;
        let session = client.open(queue.run(pool, version)).map_err(fail)?;
        for worker in session.workers() {
            match serde_json::from_value::<About>(worker.about) {
                Ok(about) => granted.check_in(&about.grants)?,
                Err(error) => {
                    let message = format!("a worker says of itself what makes no sense: {error}");
                    return Err(Failure::own("ExecutionError", message));
                }
            }
        }
        Ok(QueueRun(Mutex::new(Opened {
            session,
            workflow: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fail(error: Error) -> Failure {
    Failure::own("ExecutionError", error.to_string())
}

/// A queue, and the fan-out whose branches are sent to it.
pub(crate) struct QueuePlace<'a> {
    run: &'a QueueRun,
    away: Away<'a>,
}

impl<'a> QueuePlace<'a> {
    pub(crate) fn new(run: &'a QueueRun, away: Away<'a>) -> QueuePlace<'a> {
        QueuePlace { run, away }
    }
}

impl Place for QueuePlace<'_> {
    fn at_once(&self) -> usize {
        // It has many of them out at a time.
        1
    }

    fn lane(&self) -> Box<dyn Lane + '_> {
        Box::new(self)
    }
}

impl Lane for &QueuePlace<'_> {
    fn run(&mut self, work: &mut dyn Work) {
        let mut opened = self.run.lock();
        opened.session.begin();
        let names = match self.tell(&mut opened) {
            Ok(names) => names,
            Err(why) => return end_all(work, &Failure::own("ExecutionError", why)),
        };
        let mut sender = Sender {
            away: &self.away,
            session: &opened.session,
            names,
            out: HashMap::new(),
            held: None,
            is_over: false,
            cancelled: None,
        };
        sender.run(work);
    }
}

/// Of branches that nobody has taken.
fn end_all(work: &mut dyn Work, failure: &Failure) {
    while let Some(job) = work.next() {
        work.end(&job, BranchEnd::failed(failure.clone(), Duration::ZERO));
    }
}

impl QueuePlace<'_> {
    /// Stores the workflow and the fan-out for workers to find.
    fn tell(&self, opened: &mut Opened) -> Result<(String, String), String> {
        let Opened { session, workflow } = opened;
        let put = |bytes: io::Result<Vec<u8>>| {
            let bytes = bytes.map_err(|error| error.to_string())?;
            session.put_blob(bytes).map_err(|error| error.to_string())
        };
        let prelude = self.away.prelude.as_ref().map(|prelude| *prelude.hash());
        let workflow = match workflow {
            Some((hash, name)) if *hash == prelude => name.clone(),
            _ => {
                let name = put(self.away.workflow().and_then(|it| frame::to_bytes(&it)))?;
                *workflow = Some((prelude, name.clone()));
                name
            }
        };
        let fan_out = put(self.away.fan_out().and_then(|it| frame::to_bytes(&it)))?;
        Ok((workflow, fan_out))
    }
}

/// A branch that was sent.
struct Out {
    job: BranchJob,
    since: Instant,
    /// How many of its events were passed on.
    events: usize,
}

/// Sends branches, and takes in what comes back.
struct Sender<'s> {
    away: &'s Away<'s>,
    session: &'s Session,
    /// The blobs of the workflow and the fan-out.
    names: (String, String),
    out: HashMap<u64, Out>,
    /// One that was taken, and didn't fit into the chunk before.
    held: Option<(BranchJob, Bytes)>,
    /// Whether all branches were taken.
    is_over: bool,
    cancelled: Option<Instant>,
}

impl Sender<'_> {
    fn run(&mut self, work: &mut dyn Work) {
        let waker = self.session.waker();
        // A wait that is over when the fan-out is cancelled.
        let _watch = self.away.cancel.on_cancel(move || waker.wake());
        loop {
            if self.cancelled.is_none() && self.is_stopped() {
                self.cancel(work);
            }
            if self.cancelled.is_some() {
                self.end_untaken(work);
            } else {
                self.fill(work);
            }
            if self.out.is_empty() && self.is_over {
                return;
            }
            let update = self.session.wait(self.time());
            match update {
                Some(Update::End { keys, worker, end }) => self.ended(work, &keys, &worker, &end),
                Some(Update::Cancelled { keys }) => {
                    let failure = Failure::cancelled("it did not begin");
                    keys.into_iter()
                        .for_each(|key| self.fail(work, key, &failure));
                }
                Some(Update::Event { key, event }) => self.happened(key, &event),
                Some(Update::Lost { key, times }) => self.lost(work, key, times),
                Some(Update::Broken(why)) => {
                    let failure = Failure::own("ExecutionError", why);
                    self.give_up(work, &failure);
                }
                _ => {}
            }
            if self.cancelled.is_some_and(|at| at.elapsed() >= GRACE) {
                let failure = Failure::cancelled("its worker didn't say that it has stopped it");
                self.give_up(work, &failure);
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.away.cancel.is_cancelled() || self.away.terms.is_over()
    }

    /// How long to wait for something to happen.
    fn time(&self) -> Option<Duration> {
        let until = match self.cancelled {
            Some(at) => Some(at + GRACE),
            None => self.away.terms.deadline.map(|it| it.at()),
        };
        until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Sends as many chunks as there is room for.
    fn fill(&mut self, work: &mut dyn Work) {
        // What is out at a time has the same totals left.
        let slots = self
            .away
            .run
            .budget
            .is_limited()
            .then(|| self.session.slots().max(1));
        let most = self.away.most.into_iter().chain(slots).min();
        while !self.is_over && self.session.room(most) > 0 {
            self.send(work);
            if self.is_stopped() {
                return;
            }
        }
    }

    /// Sends a chunk of what comes next.
    fn send(&mut self, work: &mut dyn Work) {
        let totals = match self.away.run.budget.left().map(|left| Amounts::of(&left)) {
            Ok(totals) => totals,
            Err(failure) => return self.end_without(work, &failure),
        };
        let size = match self.away.job.body {
            Body::Edges(_) => 1,
            Body::Each(_) => self.session.next_size(work.left()),
        };
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < size {
            let Some((job, item)) = self.take(work) else {
                break;
            };
            if !items.is_empty() && bytes + item.len() > self.session.max_bytes() {
                self.held = Some((job, item));
                break;
            }
            bytes += item.len();
            let key = job.index as u64;
            let (since, events) = (Instant::now(), 0);
            self.out.insert(key, Out { job, since, events });
            items.push((key, item));
        }
        if items.is_empty() {
            return;
        }
        let common = frame::to_bytes(&ChunkSent {
            workflow: self.names.0.clone(),
            fan_out: self.names.1.clone(),
            elapsed: self.away.run.started.elapsed(),
            left: self.away.terms.left(),
            totals,
        });
        match common {
            Ok(common) => self.session.send(common, items),
            Err(error) => {
                let failure = Failure::own("ExecutionError", error.to_string());
                self.give_up(work, &failure);
            }
        }
    }

    /// The next branch that can be sent.
    fn take(&mut self, work: &mut dyn Work) -> Option<(BranchJob, Bytes)> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            let Some(job) = work.next() else {
                self.is_over = true;
                return None;
            };
            let item = frame::to_bytes(&BranchOfChunk {
                item: job.item.clone().map(Packed::Value),
            });
            match item {
                Ok(item) => return Some((job, item.into())),
                Err(error) => {
                    let failure = Failure::own("ExecutionError", error.to_string());
                    work.end(&job, BranchEnd::failed(failure, Duration::ZERO));
                }
            }
        }
    }

    /// Stops what runs, and ends what hasn't begun.
    fn cancel(&mut self, work: &mut dyn Work) {
        self.cancelled = Some(Instant::now());
        for key in self.session.cancel() {
            self.fail(work, key, &Failure::cancelled("it did not begin"));
        }
    }

    /// Ends all that nobody has taken, after the fan-out was stopped.
    fn end_untaken(&mut self, work: &mut dyn Work) {
        let failure = Failure::cancelled("it did not begin");
        if let Some((job, _)) = self.held.take() {
            work.end(&job, BranchEnd::failed(failure.clone(), Duration::ZERO));
        }
        end_all(work, &failure);
        self.is_over = true;
    }

    /// Ends the next one, for which nothing is left of the totals.
    fn end_without(&mut self, work: &mut dyn Work, failure: &Failure) {
        if let Some((job, _)) = self.take(work) {
            work.end(&job, self.without(failure.clone()));
        }
    }

    fn without(&self, failure: Failure) -> BranchEnd {
        let mut end = BranchEnd::failed(failure, Duration::ZERO);
        if let Err(Failed { state, .. }) = &mut end.result {
            *state = Some(self.away.job.state.clone());
        }
        end
    }

    /// Ends one that was sent.
    fn fail(&mut self, work: &mut dyn Work, key: u64, failure: &Failure) {
        if let Some(out) = self.out.remove(&key) {
            let end = BranchEnd::failed(failure.clone(), out.since.elapsed());
            work.end(&out.job, end);
        }
    }

    /// Ends all that were sent and haven't come back.
    fn give_up(&mut self, work: &mut dyn Work, failure: &Failure) {
        self.session.abandon();
        let keys: Vec<u64> = self.out.keys().copied().collect();
        for key in keys {
            self.fail(work, key, failure);
        }
    }

    fn lost(&mut self, work: &mut dyn Work, key: u64, times: u32) {
        let message = format!(
            "its worker ended, or fell silent, while it ran, {times} times in a row; the last ones ran nothing else"
        );
        self.fail(work, key, &Failure::own("WorkerLost", message));
    }

    /// Takes in how one went, or what several gave together. Each comes here once, or has been given up.
    fn ended(&mut self, work: &mut dyn Work, keys: &[u64], worker: &str, end: &[u8]) {
        let outs: Vec<Out> = keys.iter().filter_map(|key| self.out.remove(key)).collect();
        let refuse = |work: &mut dyn Work, why: &str| {
            for out in &outs {
                let failure = Failure::own("ExecutionError", why);
                work.end(&out.job, BranchEnd::failed(failure, out.since.elapsed()));
            }
        };
        let unread = |why: &dyn Display| format!("what its worker sent can't be read: {why}");
        let run = &self.away.run;
        match (frame::from_bytes(end), &outs[..]) {
            (_, []) => {}
            (Ok(Answer::Folded(fold)), _) if outs.len() == keys.len() => {
                if let Err(why) = self.folded(work, &outs, worker, *fold) {
                    refuse(work, &unread(&why));
                }
            }
            (Ok(Answer::End(end, events)), [out]) => {
                events
                    .iter()
                    .skip(out.events)
                    .for_each(|event| run.events.pass_on(event));
                run.budget.spend_amounts(&end.spent);
                match end.end(&self.away.job.state, worker) {
                    Ok(end) => work.end(&out.job, end),
                    Err(why) => refuse(work, &unread(&why)),
                }
            }
            (Ok(Answer::UsedUp), _) => match run.budget.left() {
                Err(failure) => {
                    let end = || self.without(failure.clone());
                    outs.iter().for_each(|out| work.end(&out.job, end()));
                }
                Ok(_) => refuse(work, "its worker says that the run has used up its totals"),
            },
            (Ok(Answer::Refused(why)), _) => refuse(work, &why),
            (Ok(_), _) => refuse(work, "its worker sent an end that can't be that of so many"),
            (Err(error), _) => refuse(work, &unread(&error)),
        }
    }

    /// Takes in what several gave together.
    fn folded(
        &self,
        work: &mut dyn Work,
        outs: &[Out],
        worker: &str,
        fold: FoldSent,
    ) -> Result<(), String> {
        if fold.branches.len() != outs.len() {
            let (said, of) = (fold.branches.len(), outs.len());
            return Err(format!(
                "it says something of {said} branches, and is of {of}"
            ));
        }
        let mut branches: HashMap<usize, BranchFolded> =
            fold.branches.into_iter().map(|it| (it.index, it)).collect();
        let mut folded = Folded {
            branches: Vec::with_capacity(outs.len()),
            partials: fold.partials,
        };
        for out in outs {
            let index = out.job.index;
            let branch = branches.remove(&index);
            let mut branch = branch.ok_or_else(|| format!("nothing is said of branch {index}"))?;
            for report in &mut branch.reports {
                report.worker = Some(worker.to_owned());
            }
            let events = branch.events.iter().skip(out.events);
            events.for_each(|event| self.away.run.events.pass_on(event));
            folded.branches.push((index, branch.reports));
        }
        work.end_folded(folded)?;
        self.away.run.budget.spend_amounts(&fold.spent);
        Ok(())
    }

    /// Passes on what happens in one, in order; what gets lost comes with the end.
    fn happened(&mut self, key: u64, event: &[u8]) {
        let Some(out) = self.out.get_mut(&key) else {
            return;
        };
        if let Ok(EventSent { number, event }) = frame::from_bytes(event)
            && number == out.events
        {
            out.events += 1;
            self.away.run.events.pass_on(&event);
        }
    }
}
