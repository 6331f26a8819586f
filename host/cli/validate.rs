//! `moonfork validate`.

use std::path::{Path, PathBuf};

use moonfork::diagnostics::{Code, Problem, Severity};
use moonfork::workflow::{RunSettings, Workflow};

use super::end::Refused;
use super::{stream, terms, workflow};

/// The arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// The workflows, YAML files.
    #[arg(required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    overlays: workflow::OverlayArgs,

    /// How to print what is found: as text for people, on standard error, or as a JSON list of
    /// problems, on standard output, for editors and CI.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    #[command(flatten)]
    terms: terms::TermArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Looks for mistakes in workflows. Their Lua is parsed, and none of it is run.
pub(super) fn validate(args: ValidateArgs) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for file in &args.files {
        let (problems, workflow) = args.check(file)?;
        if args.format == Format::Text {
            for problem in &problems {
                stream::note(format_args!("{problem}"));
            }
            if let Some(workflow) = workflow.filter(|_| !refuses(&problems)) {
                let (nodes, edges) = (workflow.node_count(), workflow.edge_count());
                stream::print(&format!(
                    "{}: ok ({nodes} nodes, {edges} edges; no Lua was run)\n",
                    file.display()
                ))?;
            }
        }
        all.extend(problems);
    }
    if args.format == Format::Json {
        stream::print_json(&all)?;
    }
    match refuses(&all) {
        true => Err(Refused.into()),
        false => Ok(()),
    }
}

impl ValidateArgs {
    /// What is wrong with one file, and the workflow in it, if it can be read at all.
    fn check(&self, file: &Path) -> anyhow::Result<(Vec<Problem>, Option<Workflow>)> {
        let workflow = match self.overlays.source(file).load() {
            Ok(workflow) => workflow,
            Err(error) => return Ok((error.problems().to_vec(), None)),
        };
        let ready = self.terms.prepare(
            workflow
                .branches_at_once(&RunSettings::new())
                .saturating_add(1),
            RunSettings::new(),
            true,
        )?;
        let mut problems = workflow.warnings().to_vec();
        let found = workflow.check(&ready.pool, &ready.options);
        problems.extend(found.into_iter().map(|problem| match problem.code() {
            // That may be granted when it is run.
            Code::NotGranted => problem.as_warning(),
            _ => problem,
        }));
        Ok((problems, Some(workflow)))
    }
}

fn refuses(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity() == Severity::Error)
}
