//! `moonfork run`.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context;
use moonfork::workflow::{NodeReport, Report, RunOptions, Workflow};

use super::{input, limits, stream};

/// The arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The workflow, a YAML file.
    file: PathBuf,

    #[command(flatten)]
    input: input::InputArgs,

    #[command(flatten)]
    limits: limits::LimitArgs,

    /// How many branches may run at a time, whatever the workflow says.
    #[arg(long, value_name = "N")]
    max_workers: Option<NonZeroUsize>,

    /// Where to write what ran on which instance, as JSON, also when the run fails.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Leave out warnings and what scripts print.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs a workflow and prints its final state.
pub(super) fn run(args: RunArgs) -> anyhow::Result<()> {
    let workflow = Workflow::load(&args.file)?;
    if !args.quiet {
        for warning in workflow.warnings() {
            stream::note(format_args!("{warning}"));
        }
    }
    let input = args.input.load()?;
    let mut options = RunOptions::default();
    options.max_workers = args.max_workers;
    let pool = args.limits.pool(workflow.branches_at_once(&options))?;

    let result = workflow.run(&pool, input, &options);
    let report = match &result {
        Ok(outcome) => &outcome.report,
        Err(error) => error.report(),
    };
    if !args.quiet {
        pass_on_output(report);
    }
    let written = args.report.map_or(Ok(()), |path| write(report, &path));
    match (result, written) {
        (Ok(outcome), Ok(())) => stream::print_json(&outcome.state),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), written) => {
            if let Err(error) = written {
                stream::note(format_args!("error: {error:#}"));
            }
            Err(error.into())
        }
    }
}

/// Passes on what nodes printed, in the order in which they began.
fn pass_on_output(report: &Report) {
    let nodes = report.instances.iter().flat_map(|instance| &instance.nodes);
    let mut nodes: Vec<&NodeReport> = nodes.collect();
    nodes.sort_by(|a, b| a.started_ms.total_cmp(&b.started_ms));
    for node in nodes {
        stream::pass_on(&node.output, node.output_truncated);
    }
}

fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("the report: {}", path.display()))
}
