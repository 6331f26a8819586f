//! Arguments, exit codes, and what goes to which stream.
//!
//! Standard output carries only the result, and nothing at all if there is none; everything
//! else goes to standard error.

mod actions;
mod cache;
mod compile;
#[cfg(feature = "nats")]
mod crew;
mod end;
mod eval;
mod execute;
mod flags;
mod grants;
mod hint;
mod input;
mod inspect;
mod journals;
mod json;
mod limits;
mod log;
mod narrate;
#[cfg(feature = "nats")]
mod nats;
mod plugin;
mod precompile;
mod prelude;
mod prompt;
mod repl;
mod replay;
mod resume;
mod resumption;
mod run;
mod secrets;
mod signal;
mod stream;
mod target;
mod terms;
mod validate;
mod worker;
mod workers;
mod workflow;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use moonfork::diagnostics::LoadError;
use moonfork::plugin::CallError;
use moonfork::workflow::RunError;

/// Runs Lua in WebAssembly sandboxes, and workflows whose branches run in parallel, each in a
/// sandbox of its own.
#[derive(Debug, Parser)]
#[command(name = "moonfork", version, after_help = EXIT_CODES)]
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
    /// Runs again what an instance did, from its journal, alone and offline.
    Replay(replay::ReplayArgs),
    /// Looks for mistakes in a workflow, without running any of it.
    Validate(validate::ValidateArgs),
    /// Shows the nodes of a workflow and the ways between them.
    Inspect(inspect::InspectArgs),
    /// Lists, checks and calls plugins.
    Plugin(plugin::PluginArgs),
    /// Runs branches for runs in other processes, on this machine or others.
    Worker(worker::WorkerArgs),
    /// Shows the workers of a server of NATS: who is there, busy with what, and what was given up.
    #[cfg(feature = "nats")]
    Workers(crew::CrewArgs),
    /// Compiles the sandbox's Lua to a file that an application can be shipped with.
    Precompile(precompile::PrecompileArgs),
}

/// Does what the arguments of this process say, the first of which is its name. The exit code is
/// that of the process.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    // Mistakes on the command line end the process here, with 2.
    let matches = Cli::command().get_matches_from(arguments);
    let Cli { command } = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let of_command = matches
        .subcommand()
        .map_or(&matches, |(_, matches)| matches);
    match run(command, of_command) {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            code(&error)
        }
    }
}

fn run(command: Command, matches: &ArgMatches) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => run::run(args, matches),
        Command::Eval(args) => eval::eval(args),
        Command::Resume(args) => resume::resume(args, matches),
        Command::Repl(args) => repl::repl(args),
        Command::Replay(args) => replay::replay(&args),
        Command::Validate(args) => validate::validate(args),
        Command::Inspect(args) => inspect::inspect(args),
        Command::Plugin(args) => plugin::plugin(args),
        Command::Worker(args) => worker::worker(&args),
        #[cfg(feature = "nats")]
        Command::Workers(args) => crew::crew(&args),
        Command::Precompile(args) => precompile::precompile(&args),
    }
}

/// The exit code of a command that failed with this error.
fn code(error: &anyhow::Error) -> u8 {
    let is_cancelled = |error: &moonfork::Error| error.is_cancelled();
    if error.is::<end::Interrupted>() || of_lua(error).is_some_and(is_cancelled) {
        signal::INTERRUPTED
    } else if error.is::<end::Mistake>() {
        2
    } else {
        1
    }
}

/// What Lua, or the sandbox around it, failed with, where the error is about that.
fn of_lua(error: &anyhow::Error) -> Option<&moonfork::Error> {
    let of_run = error.downcast_ref().and_then(RunError::runtime);
    let of_plugin = error.downcast_ref().and_then(CallError::run_error);
    error.downcast_ref().or(of_run).or(of_plugin)
}

/// Writes an error to standard error, with all that is known of it.
fn complain(error: &anyhow::Error) {
    // Problems have a line each, with the place first, for editors to jump to.
    let speaks_for_itself =
        error.is::<LoadError>() || error.is::<plugin::Advised>() || error.is::<end::Interrupted>();
    if speaks_for_itself {
        stream::note(format_args!("{error}"));
        return;
    }
    if error.is::<end::Refused>() {
        return;
    }
    if let Some(error) = error.downcast_ref::<RunError>()
        && !error.problems().is_empty()
    {
        stream::note(format_args!("{error}"));
        return;
    }
    if let Some(wrong) = error.downcast_ref::<json::BadJson>() {
        for line in wrong.to_string().lines() {
            stream::note(format_args!("error: {line}"));
        }
        return;
    }
    stream::note(format_args!("error: {error:#}"));
    let of_lua = of_lua(error);
    if let Some(value) = of_lua.and_then(moonfork::Error::value) {
        stream::note(format_args!("  error value: {value}"));
    }
    if let Some(hint) = of_lua.and_then(hint::of_error) {
        stream::note(format_args!("  hint: {hint}"));
    }
    let of_run = error.downcast_ref::<RunError>();
    let traceback = of_run
        .and_then(|error| error.failure().traceback.as_deref())
        .or(of_lua.and_then(moonfork::Error::traceback));
    if let Some(traceback) = traceback {
        for frame in traceback.lines() {
            stream::note(format_args!("  {}", frame.trim_start()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Cli::command().debug_assert();
    }

    /// The page on the command line.
    const PAGE: &str = include_str!("../../docs/command-line.md");

    /// What a command's table in the page lists: all that is in code in its first column.
    fn documented(command: &str) -> BTreeSet<String> {
        let heading = format!("\n## {command}\n");
        let (_, section) = PAGE
            .split_once(&heading)
            .unwrap_or_else(|| panic!("no section on `{command}`"));
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.filter_map(|row| row.split(" | ").next());
        cells
            .flat_map(|cell| cell.split('`').step_by(2))
            .filter_map(|code| code.split(' ').next())
            .map(str::to_owned)
            .collect()
    }

    /// What the command takes, as the page writes it.
    fn defined(command: &clap::Command) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let arguments = command.get_arguments();
        for arg in arguments.filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())) {
            all.extend(arg.get_short().map(|short| format!("-{short}")));
            all.extend(arg.get_long().map(|long| format!("--{long}")));
            if arg.is_positional() {
                all.insert(
                    arg.get_id()
                        .as_str()
                        .to_uppercase()
                        .replace("PATHS", "PATH")
                        .replace("FILES", "FILE"),
                );
            }
        }
        all
    }

    #[test]
    fn the_page_lists_every_argument_and_no_other() {
        let mut commands = vec![("moonfork".to_owned(), Cli::command())];
        while let Some((name, command)) = commands.pop() {
            for sub in command.get_subcommands() {
                commands.push((format!("{name} {}", sub.get_name()), sub.clone()));
            }
            if command.get_subcommands().next().is_none() {
                assert_eq!(documented(&name), defined(&command), "{name}");
            }
        }
        let listed = documented("moonfork precompile");
        assert!(listed.contains("--metered"), "the page is read: {listed:?}");
    }

    #[test]
    fn the_page_names_every_command() {
        for sub in Cli::command().get_subcommands() {
            let row = format!("| `{}` | ", sub.get_name());
            assert!(PAGE.contains(&row), "{row}");
        }
    }
}
