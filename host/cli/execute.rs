//! Running a workflow: what `run` and `resume` have in common.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use moonfork::workflow::{
    Event, EventKind, Outcome, Report, RunError, RunOptions, RunOutcome, Workflow,
};
use moonfork::{Cancel, Pool};

use super::end::{Interrupted, Mistake};
use super::{actions, grants, limits, stream};

/// The arguments of a run, wherever it begins.
#[derive(Debug, clap::Args)]
pub(super) struct ExecuteArgs {
    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    grants: grants::GrantArgs,

    /// How many branches may run at a time, whatever the workflow says.
    #[arg(long, value_name = "N")]
    max_workers: Option<NonZeroUsize>,

    /// How many nodes may run on one path, whatever the workflow says.
    #[arg(long, value_name = "N")]
    max_iterations: Option<NonZeroUsize>,

    /// Print what happens while it happens, one JSON object a line, in place of the result.
    #[arg(short, long)]
    stream: bool,

    /// Where to write what ran on which instance, as JSON, also when the run fails.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// The folder for checkpoints, whatever the workflow says: one after every node.
    #[arg(short, long, value_name = "DIR")]
    checkpoint_dir: Option<PathBuf>,

    /// Nodes to stop before.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    interrupt_before: Vec<String>,

    /// Nodes to stop after.
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    interrupt_after: Vec<String>,

    /// Leave out warnings and what scripts print.
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,

    /// Say on standard error what happens.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
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
type Begin<'b> = dyn FnOnce(&Workflow, &Pool, &RunOptions) -> Result<Outcome, RunError> + 'b;

impl ExecuteArgs {
    /// Runs a workflow, and tells what came of it in all the ways that are asked for.
    pub(super) fn execute(
        self,
        file: &Path,
        workflow: &Workflow,
        from: From,
        begin: Box<Begin<'_>>,
    ) -> anyhow::Result<()> {
        let mut options = self.options(workflow, from)?;
        // One more than the branches: an action may run Lua as well.
        let branches = workflow.branches_at_once(&options).saturating_add(1);
        let (pool, grants) = self.grants.apply(self.limits.builder(branches)?)?;
        let own = actions::OwnPool::default();
        let (pool, mut grants) = actions::install(pool, grants, &self.grants, &own)?;
        if !self.quiet {
            grants = grants.output(stream::pass_on_bytes);
        }
        options.grants = Some(grants);
        let pool = pool.build()?;
        let _ = own.set(pool.clone());
        let result = begin(workflow, &pool, &options);
        let report = match &result {
            Ok(outcome) => &outcome.report,
            Err(error) => error.report(),
        };
        if !self.quiet {
            note_truncated(report);
        }
        let written = self.report.as_ref().map(|path| write(report, path));
        let written = written.unwrap_or(Ok(()));
        match (result, written) {
            (Ok(outcome), Ok(())) => self.tell(file, outcome),
            (Ok(_), Err(error)) => Err(error),
            (Err(error), written) => {
                if let Err(error) = written {
                    stream::note(format_args!("error: {error:#}"));
                }
                Err(failed(file, error))
            }
        }
    }

    fn options(&self, workflow: &Workflow, from: From) -> anyhow::Result<RunOptions> {
        let mut options = RunOptions::new();
        options.changed = matches!(from, From::Checkpoint { changed: true });
        options.max_workers = self.max_workers;
        options.max_iterations = self.max_iterations;
        options.cancel = Some(cancel_on_signal()?);
        options.interrupt_before.clone_from(&self.interrupt_before);
        options.interrupt_after.clone_from(&self.interrupt_after);
        options.checkpoint_dir.clone_from(&self.checkpoint_dir);
        let is_kept = options.checkpoint_dir.is_some()
            || workflow.checkpoint_dir().is_some()
            || matches!(from, From::Checkpoint { .. });
        if !is_kept && workflow.may_interrupt(&options) {
            // A run that stops has to be kept somewhere, or nobody could resume it.
            options.checkpoint_dir = Some(private_folder()?);
        }
        let (is_streamed, is_verbose) = (self.stream, self.verbose > 0);
        let quiet = self.quiet;
        Ok(options.on_event(move |event| {
            if is_streamed {
                stream::print_event(event);
            }
            if is_verbose {
                narrate(event);
            } else if !quiet {
                warn(event);
            }
        }))
    }

    /// Prints the result, or says how to go on.
    fn tell(&self, file: &Path, outcome: Outcome) -> anyhow::Result<()> {
        let Some(interrupt) = outcome.interrupt else {
            return match self.stream {
                true => Ok(()),
                false => stream::print_json(&outcome.state),
            };
        };
        let (node, when) = (&interrupt.node, interrupt.when);
        let checkpoint = interrupt
            .checkpoint
            .path()
            .unwrap_or(Path::new("CHECKPOINT"));
        let go_on = go_on(checkpoint, file);
        Err(Interrupted(format!("interrupted {when} `{node}`; {go_on}")).into())
    }
}

/// How to go on with a run.
fn go_on(checkpoint: &Path, file: &Path) -> String {
    format!(
        "to go on: moonfork resume {} --workflow {}",
        checkpoint.display(),
        file.display()
    )
}

fn failed(file: &Path, error: RunError) -> anyhow::Error {
    match error.failure().error_type {
        "OptionError" => Mistake(error.to_string()).into(),
        _ if error.is_cancelled() => {
            let go_on = error.checkpoint().map(|checkpoint| go_on(checkpoint, file));
            let go_on = go_on.map(|how| format!("; {how}")).unwrap_or_default();
            Interrupted(format!("{error}{go_on}")).into()
        }
        _ => error.into(),
    }
}

/// A handle that is fired when the user wants the run to stop; asked a second time, the process
/// ends as it is.
fn cancel_on_signal() -> anyhow::Result<Cancel> {
    let cancel = Cancel::new();
    let fired = AtomicBool::new(false);
    let on_signal = cancel.clone();
    ctrlc::set_handler(move || {
        if fired.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        on_signal.cancel();
    })
    .context("the handler of Ctrl-C can't be set")?;
    Ok(cancel)
}

/// A new folder for the checkpoints of one run that nobody else can look into.
fn private_folder() -> anyhow::Result<PathBuf> {
    let made = tempfile::Builder::new().prefix("moonfork-").tempdir();
    Ok(made.context("the folder for checkpoints")?.keep())
}

/// Passes on what nobody should miss.
fn warn(event: &Event) {
    match &event.kind {
        EventKind::ConditionFailed {
            node,
            condition,
            message,
        } => stream::note(format_args!(
            "warning: the condition `{condition}` after `{node}` failed, and counts as false: \
             {message}"
        )),
        EventKind::InstanceReplaced { gone, store_id } => stream::note(format_args!(
            "warning: instance {gone} was stopped; {store_id} takes its place, without its globals"
        )),
        EventKind::Resume { .. } => stream::note(format_args!(
            "resumed on a new instance: Lua's globals from before are gone"
        )),
        _ => {}
    }
}

/// Says what happens, in one line.
fn narrate(event: &Event) {
    warn(event);
    let place = event.branch.as_ref().map(|branch| format!("{branch}: "));
    let place = place.unwrap_or_default();
    match &event.kind {
        EventKind::Start { checkpoint, .. } | EventKind::Resume { checkpoint, .. } => {
            if let Some(checkpoint) = checkpoint {
                stream::note(format_args!("[checkpoints in {}]", checkpoint.display()));
            }
        }
        EventKind::NodeEnd {
            node,
            outcome,
            wall_ms,
            ..
        } => {
            let how = match outcome {
                RunOutcome::Done => "done",
                _ => "FAILED",
            };
            stream::note(format_args!("[{place}{node} {how} in {wall_ms} ms]"));
        }
        EventKind::BranchEnd { success, .. } => {
            let how = match success {
                true => "done",
                false => "FAILED",
            };
            stream::note(format_args!("[{place}branch {how}]"));
        }
        EventKind::Retry {
            node,
            attempt,
            delay_ms,
            error,
        } => stream::note(format_args!(
            "[{place}{node}: attempt {attempt} in {delay_ms} ms, after {}]",
            error.message
        )),
        _ => {}
    }
}

/// Says that output was cut off, on a line of its own.
fn note_truncated(report: &Report) {
    let nodes = report.instances.iter().flat_map(|it| &it.nodes);
    let mut cut = nodes.filter(|node| node.output_truncated).peekable();
    if cut.peek().is_some() {
        if cut.any(|node| !node.output.ends_with('\n')) {
            stream::note(format_args!(""));
        }
        stream::note_truncated();
    }
}

fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("the report: {}", path.display()))
}
