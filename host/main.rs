//! The command line. It knows nothing of the library but its public API.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os()).into()
}
