//! The instance of one path, and the books of what runs on it.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::instance::freeze::Extras;
use crate::workflow::event::EventKind;
use crate::workflow::execute::answer::Answer;
use crate::workflow::execute::call_keys::PathKeys;
use crate::workflow::execute::context::Run;
use crate::workflow::execute::sharing::{Kept, Passed, Returned};
use crate::workflow::execute::terms::Terms;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::model::LuaText;
use crate::workflow::report::{Failure, InstanceReport, NodeReport, RunOutcome, chunk_name, ms};
use crate::workflow::state::State;
use crate::{Branch, Chunk, Limit, PartialLimits, RunMain, Snapshot, StoreId};

/// The instance that the nodes of a path run on, one after the other. If it is stopped, what
/// comes next runs on a new one.
pub(crate) struct Track<'r> {
    run: &'r Run<'r>,
    /// What an instance is made under: what a node says is no matter of it.
    terms: Terms,
    /// The branch, or the main path.
    pub(crate) branch: Option<Arc<str>>,
    /// What calls of host functions go by that are made on it.
    pub(crate) keys: PathKeys,
    /// What an instance of the branch begins with, if it isn't what all of the run do.
    start: Option<Beginning>,
    instance: Instance,
    since: Instant,
    /// What instances did that are gone, and the current one last.
    reports: Vec<InstanceReport>,
    printed: Printed,
}

/// What the instances of branches begin with.
#[derive(Clone)]
pub(crate) struct Beginning {
    pub(crate) snapshot: Snapshot,
    /// What of the state is in there: its numbers are not for other values.
    kept: Option<Arc<Kept>>,
}

impl From<Snapshot> for Beginning {
    /// That of an instance which holds no state.
    fn from(snapshot: Snapshot) -> Beginning {
        Beginning {
            snapshot,
            kept: None,
        }
    }
}

enum Instance {
    Main(RunMain),
    Branch(Branch),
}

/// What a node printed so far.
#[derive(Default)]
struct Printed {
    text: String,
    truncated: bool,
}

/// Calls a method of the handle, whichever it is.
macro_rules! on {
    ($instance:expr, $handle:ident => $call:expr) => {
        match $instance {
            Instance::Main($handle) => $call,
            Instance::Branch($handle) => $call,
        }
    };
}

impl<'r> Track<'r> {
    /// The track of a branch, on an instance that begins with this, or else with what all of the run do.
    ///
    /// # Errors
    /// If none can be had.
    pub(crate) fn of_branch(
        run: &'r Run<'r>,
        (branch, keys): (Arc<str>, PathKeys),
        start: Option<Beginning>,
        terms: &Terms,
    ) -> crate::Result<Track<'r>> {
        let instance = branch_of(run, start.as_ref(), terms)?;
        Ok(Track::on(run, (Some(branch), keys), start, instance, terms))
    }

    /// The track of the main path, on this instance where there is one already; the prelude has run on it.
    ///
    /// # Errors
    /// If there is none, and none can be had; or what the prelude fails with.
    pub(crate) fn of_main(
        run: &'r Run<'r>,
        main: Option<RunMain>,
        terms: &Terms,
    ) -> Result<Track<'r>, Trouble> {
        let main = match main {
            Some(mut main) => {
                // What it cost to parse on it is no node's.
                main.take_report();
                main
            }
            None => main_of(run, terms)?,
        };
        let path = (None, PathKeys::of_main(Arc::clone(&run.id)));
        let mut track = Track::on(run, path, None, Instance::Main(main), terms);
        if let Err(trouble) = track.prelude() {
            track.close();
            return Err(trouble);
        }
        if run.workflow.model.prelude.is_some() {
            // Nobody else has set it: a run has one main path.
            let _ = run.prelude.set(track.snapshot()?);
        }
        Ok(track)
    }

    /// Runs the prelude on a main instance that is new, if the workflow has one.
    fn prelude(&mut self) -> Result<(), Trouble> {
        let Some(source) = &self.run.workflow.model.prelude else {
            return Ok(());
        };
        let left = self.run.budget.left()?;
        let limits = self.run.pool.limits();
        let options = self.terms.of_eval(limits, &left, self.run.granted());
        // Whenever it runs: no node has run on the main path before.
        let mut keys = PathKeys::of_main(Arc::clone(&self.run.id));
        let options = options.idempotency_key(keys.next("prelude"));
        let chunk = named(source, "prelude").without_value();
        let result = on!(&mut self.instance, handle => handle.with(&options).exec(chunk));
        self.settle();
        result.map_err(|error| {
            let settings = &self.run.workflow.model.settings.limits;
            Terms::as_said(error, &left, settings).into()
        })
    }

    /// What the instance has, and the state that branches begin with: they have it without having it passed, and
    /// `chunks`, which they run, without loading them.
    ///
    /// # Errors
    /// If the instance can't be frozen.
    pub(crate) fn beginning(
        &mut self,
        state: &State,
        chunks: &[Chunk<'_>],
    ) -> Result<Beginning, Trouble> {
        self.revive()?;
        let passed = Passed::to_be_kept(state);
        if passed.has_numbers() {
            let extras = Extras {
                state: Some(&passed),
                chunks,
            };
            let snapshot = on!(&mut self.instance, handle => handle.snapshot_with(extras));
            // Where the two don't fit into one instance, the state passes to each branch.
            if let Ok(snapshot) = snapshot {
                let kept = Some(passed.into_kept());
                return Ok(Beginning { snapshot, kept });
            }
        }
        let extras = Extras {
            state: None,
            chunks,
        };
        Ok(Beginning {
            snapshot: on!(&mut self.instance, handle => handle.snapshot_with(extras))?,
            // What this instance began with, it still holds.
            kept: self.start.as_ref().and_then(|start| start.kept.clone()),
        })
    }

    /// What the instance has, for others to begin with.
    ///
    /// # Errors
    /// If it can't be frozen.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot, Trouble> {
        self.revive()?;
        Ok(on!(&mut self.instance, handle => handle.snapshot())?)
    }

    fn on(
        run: &'r Run<'r>,
        (branch, keys): (Option<Arc<str>>, PathKeys),
        start: Option<Beginning>,
        instance: Instance,
        terms: &Terms,
    ) -> Track<'r> {
        let mut track = Track {
            run,
            terms: terms.clone(),
            branch,
            keys,
            start,
            instance,
            since: Instant::now(),
            // One as a rule: room for four would leave holes behind, of many branches.
            reports: Vec::with_capacity(1),
            printed: Printed::default(),
        };
        track.open(None);
        track
    }

    /// Begins the report of the current instance.
    fn open(&mut self, replaces: Option<StoreId>) {
        self.since = Instant::now();
        self.reports.push(InstanceReport {
            store_id: on!(&self.instance, handle => handle.store_id()),
            role: on!(&self.instance, handle => handle.role()),
            worker: None,
            branch: self.branch.as_deref().map(str::to_owned),
            replaces,
            parent: None,
            journal: None,
            wall_ms: 0.0,
            fuel: None,
            peak_memory: 0,
            host_calls: Default::default(),
            nodes: Vec::new(),
        });
    }

    fn report(&mut self) -> &mut InstanceReport {
        let last = self.reports.len() - 1;
        &mut self.reports[last]
    }

    /// Runs the body of a node.
    ///
    /// # Errors
    /// Whatever it fails with.
    pub(crate) fn eval(
        &mut self,
        node: &str,
        code: &LuaText,
        state: &State,
        terms: &Terms,
    ) -> Result<Returned, Trouble> {
        self.revive()?;
        let left = self.run.budget.left()?;
        let mut options = terms.of_eval(self.run.pool.limits(), &left, self.run.granted());
        if self.run.has_functions {
            options = options.idempotency_key(self.keys.next(node));
        }
        let chunk = named(code, &chunk_name(node));
        let kept = self.start.as_ref().and_then(|start| start.kept.as_ref());
        let passed = Passed::new(state, kept);
        let result = on!(&mut self.instance, handle => {
            let mut handle = handle.with(&options);
            match passed.has_numbers() {
                true => handle.eval_with(chunk, &passed),
                false => handle.eval_with::<_, Value>(chunk, &passed).map(Answer::from),
            }
        });
        self.settle();
        let answer = result.map_err(|error| self.trouble(node, error, &left))?;
        let returned = passed.resolve(answer);
        returned.map_err(|why| {
            let message = format!("{}: {why}", chunk_name(node));
            Failure::own("ExecutionError", message).into()
        })
    }

    /// Calls a host function with `args`, a list.
    ///
    /// # Errors
    /// Whatever it fails with.
    pub(crate) fn call(
        &mut self,
        node: &str,
        function: &str,
        args: &Value,
        terms: &Terms,
    ) -> Result<Value, Trouble> {
        if !terms.allow(function) {
            let message = format!(
                "{}: `{function}` is not among the `capabilities` here",
                chunk_name(node)
            );
            return Err(Failure::own("DeniedError", message).into());
        }
        let left = self.run.budget.left()?;
        if left.host_calls == Some(0) {
            let message = "the run has used up the host calls of `settings.limits`";
            return Err(Failure::own("HostCallError", message).into());
        }
        self.run.budget.spend(Limit::HostCalls, 1);
        let calls = &mut self.report().host_calls;
        *calls.entry(function.to_owned()).or_default() += 1;
        let mut options = terms.of_call(self.run.pool.limits(), &left);
        options = options.idempotency_key(self.keys.next(node));
        if let Some(grants) = &self.run.options.grants {
            options = options.grants(grants.clone());
        }
        let result = self.run.pool.call_function(function, args, &options);
        // What it was given may come back, and goes on from here into the state, into events and
        // into checkpoints.
        let outside = &self.run.options.outside;
        let result = match result {
            Ok(value) => Ok(outside.mask_value(value)),
            Err(error) => Err(self.trouble(node, error, &left).masked(outside)),
        };
        // What it was given, too, is masked when the journal is written.
        on!(&mut self.instance, handle => handle.note(|recorder| {
            let noted = result.as_ref().map_err(|trouble| trouble.failure.message.clone());
            recorder.note_function(function, args, noted);
        }));
        result
    }

    /// Notes in the instance's journal, if it keeps one, which attempt at a node begins.
    pub(crate) fn note_attempt(&mut self, node: &str, attempt: u32) {
        on!(&mut self.instance, handle => handle.note(|recorder| {
            recorder.note_text(format!("attempt {attempt} at {}", chunk_name(node)));
        }));
    }

    /// What a call that had what was `left` of the totals ended with.
    fn trouble(&self, node: &str, error: crate::Error, left: &PartialLimits) -> Trouble {
        let settings = &self.run.workflow.model.settings.limits;
        let error = Terms::as_said(error, left, settings);
        Trouble::of_node(node, error)
    }

    /// Puts a new instance in the place of one that was stopped.
    fn revive(&mut self) -> Result<(), Trouble> {
        if on!(&self.instance, handle => handle.is_live()) {
            return Ok(());
        }
        let gone = self.report().store_id;
        self.close();
        self.instance = match self.branch {
            Some(_) => branch_of(self.run, self.start.as_ref(), &self.terms)?,
            None => Instance::Main(main_of(self.run, &self.terms)?),
        };
        self.open(Some(gone));
        let store_id = self.report().store_id;
        self.run
            .events
            .emit(self.branch.as_ref(), || EventKind::InstanceReplaced {
                gone,
                store_id,
            });
        match self.branch {
            Some(_) => Ok(()),
            None => self.prelude(),
        }
    }

    /// Takes what the last call cost into the books.
    fn settle(&mut self) {
        let cost = on!(&mut self.instance, handle => handle.take_report());
        let calls = cost.host_calls.values().sum();
        let fuel = cost.fuel.unwrap_or(0);
        let budget = &self.run.budget;
        budget.spend(Limit::Fuel, fuel);
        budget.spend(Limit::Output, cost.output_bytes);
        budget.spend(Limit::HostCalls, calls);
        self.printed.text.push_str(&cost.output);
        self.printed.truncated |= cost.output_truncated;
        let report = self.report();
        report.parent = cost.origin.parent;
        let before = report.fuel.unwrap_or(0);
        report.fuel = cost.fuel.map(|fuel| fuel.saturating_add(before));
        report.peak_memory = report.peak_memory.max(cost.peak_memory);
        for (function, count) in cost.host_calls {
            let calls = report.host_calls.entry(function).or_default();
            *calls = calls.saturating_add(count);
        }
    }

    /// Enters an attempt at a node into the books.
    pub(crate) fn record(
        &mut self,
        node: &str,
        attempt: u32,
        error: Option<&Failure>,
        started: Instant,
    ) {
        let printed = std::mem::take(&mut self.printed);
        let started_ms = ms(started.saturating_duration_since(self.run.started));
        let nodes = &mut self.report().nodes;
        if nodes.is_empty() {
            nodes.reserve_exact(1);
        }
        nodes.push(NodeReport {
            node: node.to_owned(),
            attempt,
            outcome: match error {
                None => RunOutcome::Done,
                Some(_) => RunOutcome::Failed,
            },
            error: error.cloned(),
            started_ms,
            wall_ms: ms(started.elapsed()),
            output: printed.text,
            output_truncated: printed.truncated,
        });
    }

    fn close(&mut self) {
        self.report().wall_ms = ms(self.since.elapsed());
        let Some(journals) = &self.run.journals else {
            return;
        };
        let Some(journal) = on!(&mut self.instance, handle => handle.take_journal()) else {
            return;
        };
        match journals.write(self.branch.as_deref(), journal) {
            Ok(file) => self.report().journal = Some(file),
            Err(message) => self
                .run
                .events
                .emit(self.branch.as_ref(), || EventKind::JournalLost { message }),
        }
    }

    /// Drops the instance; what remains are the reports of it, and of those before it.
    pub(crate) fn finish(mut self) -> Vec<InstanceReport> {
        self.close();
        // There may be many branches, with a node each.
        for report in &mut self.reports {
            report.nodes.shrink_to_fit();
        }
        self.reports.shrink_to_fit();
        self.reports
    }
}

/// A new instance for a branch, which begins with `start`, or else with what the prelude has left.
fn branch_of(run: &Run<'_>, start: Option<&Beginning>, terms: &Terms) -> crate::Result<Instance> {
    let options = run.instance_options(terms);
    let start = start.map(|start| &start.snapshot);
    let branch = match start.or_else(|| run.prelude.get()) {
        Some(snapshot) => snapshot.branch_with(&options),
        None => run.pool.branch_with(&options),
    };
    branch.map(Instance::Branch)
}

/// A new instance for the main path.
fn main_of(run: &Run<'_>, terms: &Terms) -> crate::Result<RunMain> {
    run.pool.run_main_with(&run.instance_options(terms))
}

/// Lua as a chunk: its lines are those of the file that it stands in, and `name` is said in front of them
/// where that is the workflow's own.
pub(crate) fn named<'c>(source: &'c LuaText, name: &str) -> Chunk<'c> {
    let chunk = Chunk::body(&*source.text);
    match &source.file {
        Some(file) => chunk.named(&*file.value),
        None => {
            let line = u32::try_from(source.first_line).unwrap_or(1);
            chunk.named(name.to_owned()).first_line(line)
        }
    }
}
