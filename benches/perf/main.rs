//! What the sandbox costs, beside what it replaces: a native Lua state of mlua's without any
//! sandbox, the same Lua, measured in the same run and in turn. `cargo xtask perf` runs this
//! and prints the table; docs/performance.md says what the rows mean.
//!
//! As shipped: epochs on, all limits in force. The compiled guest, the engine and the pool are
//! made once and not part of what is timed, as the loaded Lua library isn't on the other side.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;

mod branches;
mod forks;
mod hot;
mod measure;
mod memory;
mod plugins;
mod profile;
mod programs;
mod scaling;
mod start_up;
mod table;
mod values;

use measure::Effort;
use table::Table;

/// mlua's errors can't move between threads, which rules out `anyhow`.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Times moonfork and native Lua states side by side.
#[derive(Parser)]
struct Args {
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,

    /// Only the rows whose names contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Write the rows to this file too, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What the memory row runs this program as: one process for each kind of state.
    #[arg(long, hide = true, value_enum)]
    hold: Option<memory::Kind>,

    /// What the rows about pools run this program as, each time in a new process.
    #[arg(long, hide = true)]
    pools: bool,

    /// What the rows about many forks run this program as.
    #[arg(long, hide = true)]
    many_forks: bool,

    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(kind) = args.hold {
        return memory::hold(kind);
    }
    if args.pools {
        return start_up::make_pools();
    }
    if args.many_forks {
        return forks::hold_many();
    }
    if std::env::var_os("RUST_BACKTRACE").is_some() {
        return Err("RUST_BACKTRACE is set, which makes every Lua error slower: unset it".into());
    }
    let effort = if args.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    println!("{}", profile::line()?);
    let mut table = Table::new(effort, args.only);
    branches::rows(&mut table)?;
    forks::rows(&mut table)?;
    plugins::rows(&mut table)?;
    hot::rows(&mut table)?;
    values::rows(&mut table)?;
    programs::rows(&mut table)?;
    scaling::rows(&mut table)?;
    start_up::rows(&mut table)?;
    memory::rows(&mut table)?;
    if let Some(path) = args.json {
        std::fs::write(path, table.to_json()?)?;
    }
    Ok(())
}
