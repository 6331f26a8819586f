//! `moonfork eval`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use moonfork::Chunk;
use serde_json::Value;

use super::{grants, input, limits, stream};

/// The arguments of `eval`.
#[derive(Debug, clap::Args)]
pub(super) struct EvalArgs {
    /// Lua source, a chunk or a bare expression; @FILE for the source in a file.
    #[arg(value_name = "CODE|@FILE")]
    code: String,

    #[command(flatten)]
    input: input::InputArgs,

    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    grants: grants::GrantArgs,

    /// Where to write what the run cost, as JSON, also when it fails.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Evaluates Lua and prints the value.
pub(super) fn eval(args: EvalArgs) -> anyhow::Result<()> {
    let chunk = match args.code.strip_prefix('@') {
        Some(path) => Chunk::new(input::file(Path::new(path))?).named(path.to_owned()),
        None => Chunk::new(args.code),
    };
    let state = args.input.load()?;
    let (pool, grants) = args.grants.apply(args.limits.builder(0)?)?;
    let pool = pool.grants(grants.output(stream::pass_on_bytes)).build()?;
    let mut main = pool.main()?;
    let result = main.eval_with::<_, Value>(chunk, &state);
    let report = main.take_report();
    if report.output_truncated {
        stream::note_truncated();
    }
    if let Some(path) = &args.report {
        let written = serde_json::to_string_pretty(&report)
            .map_err(anyhow::Error::from)
            .and_then(|text| Ok(fs::write(path, text + "\n")?))
            .with_context(|| format!("the report: {}", path.display()));
        if let Err(error) = written {
            // What the script did comes first.
            result?;
            return Err(error);
        }
    }
    stream::print_json(&result?)
}
