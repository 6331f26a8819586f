//! Running a workflow: what `run` and `resume` have in common.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use clap::ArgMatches;
use moonfork::workflow::{RunError, RunResult, RunSettings, Selection, SelectionError, Workflow};
use moonfork::{Cancel, Pool};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::end::{Interrupted, Mistake};
use super::resumption::Resumption;
use super::signal::Signal;
use super::target::{ReportArgs, ResultArgs, Targets};
use super::workers::WhereArgs;
use super::{compile, journals, log, narrate, stream, terms};

/// The arguments of a run, wherever it begins.
#[derive(Debug, clap::Args)]
pub(super) struct ExecuteArgs {
    #[command(flatten)]
    terms: terms::TermArgs,

    /// How many branches may run at a time, whatever the workflow says.
    #[arg(long, value_name = "N")]
    max_workers: Option<NonZeroUsize>,

    #[command(flatten)]
    compile: compile::CompileArgs,

    #[command(flatten)]
    place: WhereArgs,

    /// How many nodes may run on one path, whatever the workflow says.
    #[arg(long, value_name = "N")]
    max_iterations: Option<NonZeroUsize>,

    /// Print what happens while it happens, one JSON object a line, in place of the result.
    #[arg(short, long)]
    stream: bool,

    /// Print a part of the final state: an expression as in conditions, such as
    /// state.summary.counts, or `orders | length`.
    #[arg(long, value_name = "EXPR", value_parser = selection)]
    select: Option<Arc<Selection>>,

    #[command(flatten)]
    result: ResultArgs,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    journals: journals::JournalArgs,

    /// The folder for checkpoints, whatever the workflow says: one after every node.
    #[arg(short, long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,

    /// Nodes to stop before.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    interrupt_before: Vec<String>,

    /// Nodes to stop after.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    interrupt_after: Vec<String>,

    #[command(flatten)]
    pub(super) log: log::LogArgs,
}

fn selection(text: &str) -> Result<Arc<Selection>, SelectionError> {
    Selection::parse(text).map(Arc::new)
}

/// What a run goes on from, if it doesn't begin anew.
#[derive(Clone, Copy)]
pub(super) enum From {
    Start,
    /// A checkpoint, beside which the next ones are written.
    Checkpoint {
        /// Whether the workflow may do something else than when the run began.
        changed: bool,
    },
}

/// Begins a run: gets the workflow, the pool and the options, and runs it.
type Begin<'b> = dyn FnOnce(&Workflow, &Pool, &RunSettings) -> Result<RunResult, RunError> + 'b;

impl ExecuteArgs {
    /// Runs a workflow, and tells what came of it in all the ways that are asked for. `resumption`
    /// says how to go on with a run that stops.
    pub(super) fn execute(
        self,
        workflow: &Workflow,
        from: From,
        resumption: &Resumption,
        matches: &ArgMatches,
        begin: Box<Begin<'_>>,
    ) -> anyhow::Result<()> {
        if self.select.is_some() && self.stream && !self.result.is_file() {
            return Err(Mistake::error(
                "--select has no effect on --stream; -o FILE takes the result besides",
            ));
        }
        // Before anything runs that may take long.
        let mut targets = Targets::open(&self.result, &self.report)?;
        let signal = Signal::handle()?;
        let unwritten = Unwritten::default();
        let mut options = self.options(from, &signal.watch(), &unwritten);
        let checkpoints = self.private_folder(workflow, from, &options)?;
        if let Some(folder) = &checkpoints {
            options = options.checkpoint_dir(folder.path());
        }
        // One more than the branches: an action may run Lua as well.
        let slots = workflow.branches_at_once(&options).saturating_add(1);
        if let Some(workers) = self.place.workers(slots, matches)? {
            options = options.workers(&workers);
        }
        let terms::Ready { pool, options } = self.terms.prepare(slots, options, self.log.quiet)?;
        self.log.pool(&pool)?;
        let result = begin(workflow, &pool, &options);
        let is_to_go_on = match &result {
            Ok(outcome) => outcome.interrupt.is_some(),
            Err(error) => {
                let is_told = error.is_cancelled() || self.stream || self.log.verbose;
                is_told && error.checkpoint().is_some()
            }
        };
        if is_to_go_on && let Some(folder) = checkpoints {
            // It is said where that is. Otherwise nobody knows of it, or nothing is left to do, and it goes.
            let _ = folder.keep();
        }
        let report = match &result {
            Ok(outcome) => &outcome.report,
            Err(error) => error.report(),
        };
        if !self.log.quiet {
            narrate::note_truncated(report);
            narrate::note_journals(report);
        }
        let written = targets.write_report(report);
        let written = written.and(unwritten.take().map_or(Ok(()), Err));
        let ended = match result {
            Ok(outcome) => self.tell(workflow, outcome, &mut targets, resumption),
            Err(error) => Err(failed(error, resumption)),
        };
        if let (Err(_), Err(error)) = (&ended, &written) {
            // What became of the run comes last.
            stream::note(format_args!("error: {error:#}"));
        }
        ended.and(written)
    }

    fn options(&self, from: From, cancel: &Cancel, unwritten: &Unwritten) -> RunSettings {
        let mut options = RunSettings::new()
            .changed(matches!(from, From::Checkpoint { changed: true }))
            .cancel_handle(cancel)
            .interrupt_before(&self.interrupt_before)
            .interrupt_after(&self.interrupt_after);
        if let Some(most) = self.max_workers {
            options = options.max_workers(most);
        }
        if let Some(most) = self.max_iterations {
            options = options.max_iterations(most);
        }
        options = self.journals.apply(options).compile(self.compile.compile);
        if let Some(folder) = &self.checkpoint_dir {
            options = options.checkpoint_dir(folder);
        }
        let (is_streamed, log) = (self.stream, self.log);
        // What isn't heard needn't come from workers.
        if !is_streamed && !log.verbose {
            return match log.quiet {
                true => options,
                false => options.on_warning(narrate::warn),
            };
        }
        let unwritten = unwritten.clone();
        options.on_event(move |event| {
            if is_streamed && let Err(error) = stream::print_event(event) {
                unwritten.note(error);
            }
            if log.verbose {
                narrate::narrate(event);
            } else if !log.quiet {
                narrate::warn(event);
            }
        })
    }

    /// A new folder for checkpoints that nobody else can look into, for a run that may stop and has none: it has to be kept
    /// somewhere, or nobody could resume it. What is dropped is removed.
    fn private_folder(
        &self,
        workflow: &Workflow,
        from: From,
        options: &RunSettings,
    ) -> anyhow::Result<Option<TempDir>> {
        let is_kept = self.checkpoint_dir.is_some()
            || workflow.checkpoint_dir().is_some()
            || matches!(from, From::Checkpoint { .. });
        if is_kept || !workflow.may_interrupt(options) {
            return Ok(None);
        }
        let made = tempfile::Builder::new().prefix("moonfork-").tempdir();
        made.map(Some)
            .context("there is no folder for checkpoints; name one by --checkpoint-dir")
    }

    /// Writes the result, or says how to go on.
    fn tell(
        &self,
        workflow: &Workflow,
        outcome: RunResult,
        targets: &mut Targets,
        resumption: &Resumption,
    ) -> anyhow::Result<()> {
        let Some(interrupt) = outcome.interrupt else {
            // The last event holds it too.
            return match self.stream && !targets.has_result_file() {
                true => Ok(()),
                false => targets.write_result(&self.result_of(workflow, outcome.state)?),
            };
        };
        let stopped = format!("interrupted {} `{}`", interrupt.when, interrupt.node);
        let checkpoint = interrupt.checkpoint.path();
        Err(Interrupted(resumption.after(&stopped, checkpoint)).into())
    }
}

impl ExecuteArgs {
    /// What of the final state is the result.
    fn result_of(&self, workflow: &Workflow, state: Map<String, Value>) -> anyhow::Result<Value> {
        let Some(selection) = &self.select else {
            return self.outputs_of(workflow, state).map(Value::Object);
        };
        let source = selection.source();
        let selected = workflow.select(selection, &state);
        let selected = selected.with_context(|| format!("--select `{source}`"))?;
        if selected.is_none() && !self.log.quiet {
            stream::note(format_args!(
                "warning: --select `{source}`: there is no such thing in the final state"
            ));
        }
        Ok(selected.unwrap_or_default())
    }

    /// What the workflow names of its final state, or all of it.
    fn outputs_of(
        &self,
        workflow: &Workflow,
        state: Map<String, Value>,
    ) -> anyhow::Result<Map<String, Value>> {
        let Some(outputs) = workflow.outputs(&state)? else {
            return Ok(state);
        };
        for name in outputs.missing.iter().filter(|_| !self.log.quiet) {
            stream::note(format_args!(
                "warning: the output `{name}`: there is no such thing in the final state"
            ));
        }
        Ok(outputs.values)
    }
}

/// Why events couldn't be written, if they couldn't. The run goes on without.
#[derive(Clone, Default)]
struct Unwritten(Arc<Mutex<Option<anyhow::Error>>>);

impl Unwritten {
    /// Notes an error; the first one is kept.
    fn note(&self, error: anyhow::Error) {
        self.lock().get_or_insert(error);
    }

    fn take(&self) -> Option<anyhow::Error> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<anyhow::Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a run failed, and how to go on where that can be done.
fn failed(error: RunError, resumption: &Resumption) -> anyhow::Error {
    if error.failure().error_type == "OptionError" {
        return Mistake::error(error.to_string());
    }
    if !error.is_cancelled() {
        return error.into();
    }
    Interrupted(resumption.after(&error.to_string(), error.checkpoint())).into()
}
