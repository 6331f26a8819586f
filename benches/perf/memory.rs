//! What one more idle state takes of the machine's memory.

use std::io::Read;
use std::process::Command;

use clap::ValueEnum;
use mlua::Lua;
use moonfork::Pool;

use crate::Result;
use crate::measure::Pair;
use crate::table::{Goal, Table};

/// What a process holds many of.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Branches.
    Branch,
    /// Branches that have run a script.
    UsedBranch,
    /// Native states.
    Native,
    /// Native states that have run a script.
    UsedNative,
}

/// States whose memory is added up.
const STATES: u32 = 200;

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let idle = "resident memory of one more live idle branch";
    let used = "  the same after `return 1 + 1`";
    for (name, goal, ours, native) in [
        (idle, Goal::AtMost(4.0), Kind::Branch, Kind::Native),
        (used, Goal::None, Kind::UsedBranch, Kind::UsedNative),
    ] {
        if table.wants(name) {
            let (ours, native) = (in_own_process(ours)?, in_own_process(native)?);
            let pair = Pair {
                ours,
                native,
                ratio: ours / native,
            };
            table.add(name, goal, pair, "KiB");
        }
    }
    Ok(())
}

/// KiB that one more state takes, in a process of its own: what was freed earlier in this one
/// would be used again.
fn in_own_process(kind: Kind) -> Result<f64> {
    let value = kind.to_possible_value().ok_or("a kind without a name")?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--hold", value.get_name()])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Makes states of a kind, holds them, and prints what one takes.
pub(crate) fn hold(kind: Kind) -> Result<()> {
    const SUM: &str = "return 1 + 1";
    let growth = match kind {
        Kind::Branch | Kind::UsedBranch => {
            let pool = Pool::builder().max_branches(2 * STATES).build()?;
            growth(|| {
                let mut branch = pool.branch()?;
                if let Kind::UsedBranch = kind {
                    branch.eval::<i64>(SUM)?;
                }
                Ok(branch)
            })
        }
        Kind::Native | Kind::UsedNative => growth(|| {
            let lua = Lua::new();
            if let Kind::UsedNative = kind {
                lua.load(SUM).eval::<i64>()?;
            }
            Ok(lua)
        }),
    };
    println!("{}", growth? / f64::from(STATES));
    Ok(())
}

/// KiB by which this process grows when [`STATES`] are made, after a few that pay for what is
/// made once.
fn growth<T>(mut make: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut held = Vec::new();
    for _ in 0..STATES / 10 {
        held.push(make()?);
    }
    let before = resident()?;
    for _ in 0..STATES {
        held.push(make()?);
    }
    Ok(resident()? - before)
}

/// KiB of memory that this process occupies, without what it shares with a file.
fn resident() -> Result<f64> {
    let mut status = String::new();
    std::fs::File::open("/proc/self/status")?.read_to_string(&mut status)?;
    let anonymous = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
    Ok(anonymous
        .ok_or("no RssAnon in /proc/self/status")?
        .trim()
        .parse()?)
}
