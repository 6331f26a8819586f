//! `moonfork repl`.

use std::io::{self, BufRead, IsTerminal, Write};

use moonfork::{Chunk, Pool};
use serde_json::Value;

use super::{grants, limits, stream};

/// The arguments of `repl`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplArgs {
    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    grants: grants::GrantArgs,
}

/// Evaluates what is typed, until there is no more.
///
/// A line that Lua finds unfinished goes on in the next one. Globals last from line to line; a
/// line that is stopped by a limit loses them, and says so.
pub(super) fn repl(args: ReplArgs) -> anyhow::Result<()> {
    let (pool, grants) = args.grants.apply(args.limits.builder(0)?)?;
    let pool = pool.grants(grants.output(stream::pass_on_bytes)).build()?;
    let prompt = Prompt {
        shown: io::stdin().is_terminal(),
    };
    let mut code = String::new();
    prompt.show("> ");
    for line in io::stdin().lock().lines() {
        code.push_str(&line?);
        if evaluate(&pool, &code)? {
            code.clear();
            prompt.show("> ");
        } else {
            code.push('\n');
            prompt.show(">> ");
        }
    }
    if !code.is_empty() {
        anyhow::bail!("the input ended in the middle of a statement");
    }
    Ok(())
}

/// Evaluates `code` and prints what comes of it; false if it is unfinished.
fn evaluate(pool: &Pool, code: &str) -> anyhow::Result<bool> {
    if code.trim().is_empty() {
        return Ok(true);
    }
    let mut main = pool.main()?;
    if main.replaces().is_some() {
        stream::note(format_args!("(a new instance: globals were lost)"));
    }
    match main.eval::<Value>(Chunk::new(code).named("repl")) {
        Ok(Value::Null) => {}
        Ok(value) => stream::print_json(&value)?,
        Err(error) if error.is_unfinished() => return Ok(false),
        Err(error) => stream::note(format_args!("error: {error}")),
    }
    if main.take_report().output_truncated {
        stream::note_truncated();
    }
    Ok(true)
}

/// Asks whoever types for more; nobody, where the input is a file.
struct Prompt {
    shown: bool,
}

impl Prompt {
    fn show(&self, text: &str) {
        if self.shown {
            let mut err = io::stderr().lock();
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        }
    }
}
