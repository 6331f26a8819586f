//! `moonfork repl`.

use std::io::{self, IsTerminal};

use anyhow::Context;
use moonfork::{Chunk, Limit, Pool, RunOptions, Runtime, StoreId};
use serde::Deserialize;
use serde_json::Value;

use super::end::Interrupted;
use super::prompt::{Line, Prompt};
use super::signal::Signal;
use super::{grants, hint, limits, log, prelude, stream};

/// The arguments of `repl`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplArgs {
    #[command(flatten)]
    limits: limits::LimitArgs,

    #[command(flatten)]
    grants: grants::GrantArgs,

    #[command(flatten)]
    prelude: prelude::PreludeArgs,

    #[command(flatten)]
    log: log::LogArgs,
}

/// Evaluates what is typed, until there is no more.
///
/// A line that Lua finds unfinished goes on in the next one. Globals last from line to line; a
/// line that is stopped, by a limit or by Ctrl-C, loses them, and says so.
pub(super) fn repl(args: ReplArgs) -> anyhow::Result<()> {
    let is_typed = io::stdin().is_terminal();
    let signal = match is_typed {
        true => Signal::handle_and_stay()?,
        false => Signal::handle()?,
    };
    let (pool, mut grants) = args.grants.apply(args.limits.builder(MAX_FORKS)?)?;
    if !args.log.quiet {
        grants = grants.output(stream::pass_on_bytes);
    }
    let pool = args.prelude.apply(pool)?.grants(grants).build()?;
    args.log.pool(&pool)?;
    let mut session = Session {
        args: &args,
        pool: &pool,
        signal: &signal,
        loaded: None,
        forks: Vec::new(),
        is_typed,
    };
    let mut prompt = Prompt::new(is_typed)?;
    if is_typed {
        stream::note(format_args!(
            "moonfork {}, Lua 5.4; :help says more, Ctrl-D ends",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let mut code = String::new();
    loop {
        let depth = match session.forks.len() {
            0 => String::new(),
            forks => format!("fork {forks}"),
        };
        let end = if code.is_empty() { "> " } else { ">> " };
        match prompt.read(&format!("{depth}{end}"))? {
            Line::Text(line) => code.push_str(&line),
            Line::Interrupted => {
                code.clear();
                continue;
            }
            Line::End if code.is_empty() || is_typed => return Ok(()),
            Line::End => anyhow::bail!("the input ended in the middle of a statement"),
        }
        match session.enter(&code)? {
            Entered::Done => {
                prompt.remember(&code);
                code.clear();
            }
            Entered::Unfinished => code.push('\n'),
            Entered::Quit => return Ok(()),
        }
    }
}

/// What came of what was typed.
enum Entered {
    Done,
    /// It goes on in the next line.
    Unfinished,
    Quit,
}

/// One value, as `repl.lua` shows it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    /// It is JSON.
    Json(String),
    /// It has no JSON counterpart.
    Text(String),
}

struct Session<'s> {
    args: &'s ReplArgs,
    pool: &'s Pool,
    signal: &'s Signal,
    /// The instance that `repl.lua` is loaded into.
    loaded: Option<StoreId>,
    /// The forks that `:fork` made and `:back` hasn't dropped, each of the one before it; the first, of
    /// main. Lines run in the last one.
    forks: Vec<Runtime>,
    /// Whether somebody types.
    is_typed: bool,
}

/// How many forks may be inside of each other.
const MAX_FORKS: usize = 16;

/// Calls what `repl.lua` defines.
const RUN: &str = "return getmetatable('').__repl(state)";

const HELP: &str = "\
A line is Lua: a statement, or an expression whose value is printed. A line that isn't finished goes
on in the next one. Globals last from line to line, local variables for one line.
  :fork     goes on in a copy of all there is, globals, functions and coroutines; up to 16 deep
  :back     drops the copy, and goes on where it was made, as if nothing had been done since
  :limits   what a line may use, and what it may do besides computing
  :quit     ends, as does Ctrl-D
  :help     says this
Ctrl-C stops the line that runs, and loses its globals; while typing, it discards the line.";

impl Session<'_> {
    /// Evaluates code, or does what a command says.
    fn enter(&mut self, code: &str) -> anyhow::Result<Entered> {
        let code = code.trim_end();
        if code.is_empty() {
            return Ok(Entered::Done);
        }
        match code.strip_prefix(':') {
            None => return self.evaluate(code),
            Some("help" | "h") => stream::note(format_args!("{HELP}")),
            Some("limits") => self.tell_limits(),
            Some("fork") => self.fork()?,
            Some("back") => self.back(),
            Some("quit" | "q") => return Ok(Entered::Quit),
            Some(other) => stream::note(format_args!(
                "error: there is no command `:{other}`; :help lists those there are"
            )),
        }
        Ok(Entered::Done)
    }

    /// The pool's main instance, with what `repl.lua` defines.
    fn main(&mut self) -> anyhow::Result<Runtime> {
        let mut main = self.pool.main()?;
        if let Some(gone) = main.replaces()
            && self.loaded == Some(gone)
        {
            stream::note(format_args!("(a new instance: globals were lost)"));
        }
        let id = main.store_id();
        if self.loaded.replace(id) != Some(id) {
            let kit = Chunk::body(include_str!("repl.lua")).named("repl.lua");
            main.eval::<()>(kit).context("the repl can't begin")?;
        }
        Ok(Runtime::Main(main))
    }

    /// `:fork`.
    fn fork(&mut self) -> anyhow::Result<()> {
        if self.forks.len() == MAX_FORKS {
            stream::note(format_args!(
                "error: there are {MAX_FORKS} forks inside of each other; :back drops one"
            ));
            return Ok(());
        }
        let main = self.main()?;
        let forked = match self.forks.last_mut() {
            Some(last) => last.fork(),
            None => { main }.fork(),
        };
        match forked {
            Ok(fork) => self.forks.push(Runtime::Branch(fork)),
            Err(error) => stream::note(format_args!("error: {error}")),
        }
        Ok(())
    }

    /// `:back`.
    fn back(&mut self) {
        if self.forks.pop().is_none() {
            stream::note(format_args!("error: this is no fork; :fork makes one"));
        }
    }

    /// Evaluates code in the last fork, or in main.
    fn evaluate(&mut self, code: &str) -> anyhow::Result<Entered> {
        let Some(mut fork) = self.forks.pop() else {
            let mut main = self.main()?;
            return self.evaluate_in(&mut main, code);
        };
        let entered = self.evaluate_in(&mut fork, code);
        match fork.is_live() {
            true => self.forks.push(fork),
            false => stream::note(format_args!(
                "(the fork is gone: this is where it was made)"
            )),
        }
        entered
    }

    fn evaluate_in(&mut self, main: &mut Runtime, code: &str) -> anyhow::Result<Entered> {
        if let Err(error) = main.check(Chunk::new(code).named("repl")) {
            if error.is_unfinished() {
                return Ok(Entered::Unfinished);
            }
            stream::note(format_args!("error: {error}"));
            return Ok(Entered::Done);
        }
        let options = RunOptions::new().cancel_handle(&self.signal.watch());
        let result = main.with(&options).eval_with::<_, Vec<Shown>>(RUN, code);
        self.signal.unwatch();
        if main.take_report().output_truncated && !self.args.log.quiet {
            stream::note_truncated();
        }
        match result {
            Ok(values) => print(&values)?,
            Err(error) if error.is_cancelled() && !self.is_typed => {
                return Err(Interrupted(error.to_string()).into());
            }
            Err(error) => {
                stream::note(format_args!("error: {error}"));
                if let Some(value) = error.value() {
                    stream::note(format_args!("  error value: {value}"));
                }
                if let Some(hint) = hint::of_error(&error) {
                    stream::note(format_args!("  hint: {hint}"));
                }
            }
        }
        Ok(Entered::Done)
    }
}

impl Session<'_> {
    /// Says what a line may use, and do.
    fn tell_limits(&self) {
        let limits = self.pool.limits();
        for &limit in Limit::ALL {
            let amount = match limit {
                Limit::Fuel if !limits.limits_fuel() => "no limit".to_owned(),
                _ => limits.get(limit).to_string(),
            };
            let flag = format!("--{}", limit.flag());
            stream::note(format_args!("{flag:<14}{amount:<12}{}", limit.about()));
        }
        let granted = self.args.grants.described();
        let granted = match &*granted {
            [] => "nothing (--clock, --folder, --module, --seed)".to_owned(),
            granted => granted.join(", "),
        };
        stream::note(format_args!("{:<14}{granted}", "granted"));
    }
}

/// Prints values, a line or more each. One that is null is nothing to speak of.
fn print(values: &[Shown]) -> anyhow::Result<()> {
    for shown in values {
        match shown {
            Shown::Json(json) if json == "null" && values.len() == 1 => {}
            Shown::Json(json) => stream::print_json(&serde_json::from_str::<Value>(json)?)?,
            Shown::Text(text) => stream::print(&format!("{text}\n"))?,
        }
    }
    Ok(())
}
