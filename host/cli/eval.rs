//! `moonfork eval`.

use std::path::Path;

use moonfork::{Chunk, Handle};
use serde_json::Value;

use super::{input, limits, stream};

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
}

/// Evaluates Lua and prints the value.
pub(super) fn eval(args: EvalArgs) -> anyhow::Result<()> {
    let chunk = match args.code.strip_prefix('@') {
        Some(path) => Chunk::new(input::text_file(Path::new(path))?).named(path.to_owned()),
        None => Chunk::new(args.code),
    };
    let state = args.input.load()?;
    let mut main = args.limits.pool(0)?.main()?;
    let result = main.eval_with::<_, Value>(chunk, &state);
    stream::pass_on_output(&main.take_output());
    stream::print_json(&result?)
}
