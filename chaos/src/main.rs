//! Branches by way of a server of NATS: `kill` has workers, the server and the run killed meanwhile, and counts what
//! came of it; `time` says how long they take when nobody is; `stop` how fast they stop. Needs `nats-server`:
//! on the PATH, or where `MOONFORK_NATS_SERVER` says.
//!
//! ```sh
//! cargo run --release --bin moonfork-chaos -- kill --branches 10000
//! ```

mod coordinate;
mod crew;
mod kill;
#[path = "../../tests/common/nats_server.rs"]
mod server;
mod stop;
mod time;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Why nothing can be done.
const NO_SERVER: &str =
    "there is no nats-server: put it on the PATH, or say in MOONFORK_NATS_SERVER where it is";

#[derive(Debug, Parser)]
#[command(
    about = "Branches over NATS while workers and servers are killed, and how long they take when nobody is"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kills workers every 50 to 300 ms, the server every few seconds, and the run once.
    Kill {
        /// How many branches.
        #[arg(long, default_value_t = 10_000)]
        branches: usize,
    },
    /// Says how long small branches take on threads of one process, and by way of the server.
    Time {
        /// How many branches.
        #[arg(long, default_value_t = 10_000)]
        branches: usize,
        /// What the run listens for.
        #[arg(long, value_enum, default_value_t)]
        hear: time::Hear,
        /// Not on threads, so that the peak of memory is that of the other.
        #[arg(long)]
        only_away: bool,
    },
    /// Says how long it takes from a failure until all workers are idle.
    Stop {
        /// How often.
        #[arg(long, default_value_t = 50)]
        times: usize,
    },
    /// Is a worker.
    #[command(hide = true)]
    Worker { url: String, folder: PathBuf },
    /// Is a run: a new one, or one that goes on where there is a checkpoint.
    #[command(hide = true)]
    Coordinate {
        url: String,
        folder: PathBuf,
        branches: usize,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Kill { branches } => kill::run(branches),
        Command::Time {
            branches,
            hear,
            only_away,
        } => time::run(branches, hear, only_away),
        Command::Stop { times } => stop::run(times),
        Command::Worker { url, folder } => crew::serve(&url, &folder),
        Command::Coordinate {
            url,
            folder,
            branches,
        } => coordinate::run(&url, &folder, branches),
    }
}
