//! `moonfork eval`.

use std::path::Path;

use moonfork::{Chunk, RunOptions};
use serde_json::Value;

use super::signal::Signal;
use super::target::{ReportArgs, ResultArgs, Targets};
use super::{compile, grants, input, limits, log, prelude, stream};

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

    #[command(flatten)]
    prelude: prelude::PreludeArgs,

    #[command(flatten)]
    compile: compile::CompileArgs,

    #[command(flatten)]
    result: ResultArgs,

    #[command(flatten)]
    report: ReportArgs,

    #[command(flatten)]
    log: log::LogArgs,
}

/// Evaluates Lua and prints the value.
pub(super) fn eval(args: EvalArgs) -> anyhow::Result<()> {
    let chunk = match args.code.strip_prefix('@') {
        Some(path) => Chunk::new(input::file(Path::new(path))?).named(path.to_owned()),
        None => Chunk::new(args.code),
    };
    let state = args.input.load()?;
    let mut targets = Targets::open(&args.result, &args.report)?;
    let signal = Signal::handle()?;
    let (pool, mut grants) = args.grants.apply(args.limits.builder(0)?)?;
    if !args.log.quiet {
        grants = grants.output(stream::pass_on_bytes);
    }
    let pool = args.prelude.apply(pool)?.grants(grants);
    let pool = match args.compile.compile {
        true => pool.compile_with_state(chunk.clone()).compile_prelude(),
        false => pool,
    };
    let pool = pool.build()?;
    args.log.pool(&pool)?;
    let mut main = pool.main()?;
    let options = RunOptions::new().cancel_handle(&signal.watch());
    let result = main.with(&options).eval_with::<_, Value>(chunk, &state);
    signal.unwatch();
    let report = main.take_report();
    if report.output_truncated && !args.log.quiet {
        stream::note_truncated();
    }
    let written = targets.write_report(&report);
    // What the script did comes first.
    let value = result?;
    targets.write_result(&value)?;
    written
}
