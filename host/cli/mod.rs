//! Arguments, exit codes, and what goes to which stream.
//!
//! Standard output carries only the result, and nothing at all if there is none; everything
//! else goes to standard error.

mod actions;
mod cache;
mod end;
mod eval;
mod execute;
mod grants;
mod input;
mod inspect;
mod limits;
mod plugin;
mod precompile;
mod repl;
mod resume;
mod run;
mod stream;
mod validate;
mod workflow;

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use moonfork::diagnostics::LoadError;
use moonfork::plugin::CallError;
use moonfork::workflow::RunError;

/// Runs Lua in WebAssembly sandboxes, and workflows whose branches run in parallel, each in a
/// sandbox of its own.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 a mistake on the command line, 130 interrupted.
Environment: MOONFORK_CACHE_DIR is the folder that keeps compiled code between runs; whoever \
can write to it decides what runs.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a workflow and prints its final state as JSON.
    Run(run::RunArgs),
    /// Evaluates Lua and prints the value as JSON.
    Eval(eval::EvalArgs),
    /// Goes on with a run that was interrupted, or ended by force.
    Resume(resume::ResumeArgs),
    /// Evaluates Lua line by line on one instance, and prints each value.
    Repl(repl::ReplArgs),
    /// Looks for mistakes in a workflow, without running any of it.
    Validate(validate::ValidateArgs),
    /// Shows the nodes of a workflow and the ways between them.
    Inspect(inspect::InspectArgs),
    /// Lists, checks and calls plugins.
    Plugin(plugin::PluginArgs),
    /// Compiles the sandbox's Lua to a file that an application can be shipped with.
    Precompile(precompile::PrecompileArgs),
}

/// Does what the arguments of this process say, the first of which is its name. The exit code is
/// that of the process.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    // Mistakes on the command line end the process here, with 2.
    let result = match Cli::parse_from(arguments).command {
        Command::Run(args) => run::run(args),
        Command::Eval(args) => eval::eval(args),
        Command::Resume(args) => resume::resume(args),
        Command::Repl(args) => repl::repl(args),
        Command::Validate(args) => validate::validate(args),
        Command::Inspect(args) => inspect::inspect(args),
        Command::Plugin(args) => plugin::plugin(args),
        Command::Precompile(args) => precompile::precompile(&args),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            if error.is::<end::Interrupted>() {
                130
            } else if error.is::<end::Mistake>() {
                2
            } else {
                1
            }
        }
    }
}

/// Writes an error to standard error, with all that is known of it.
fn complain(error: &anyhow::Error) {
    if let Some(problems) = error.downcast_ref::<LoadError>() {
        // One line each, with the place first, for editors to jump to.
        stream::note(format_args!("{problems}"));
        return;
    }
    if let Some(interrupted) = error.downcast_ref::<end::Interrupted>() {
        stream::note(format_args!("{interrupted}"));
        return;
    }
    stream::note(format_args!("error: {error:#}"));
    let of_run = error.downcast_ref::<RunError>();
    let of_plugin = error.downcast_ref::<CallError>();
    let of_eval = error
        .downcast_ref::<moonfork::Error>()
        .or(of_plugin.and_then(CallError::run_error));
    let traceback = of_run
        .and_then(|error| error.failure().traceback.as_deref())
        .or(of_eval.and_then(moonfork::Error::traceback));
    if let Some(traceback) = traceback {
        for frame in traceback.lines() {
            stream::note(format_args!("  {}", frame.trim_start()));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_contradict_nothing() {
        super::Cli::command().debug_assert();
    }
}
