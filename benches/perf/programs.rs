//! Lua at work: whole programs, and the switches of control that are dear in WebAssembly.

use mlua::Lua;
use moonfork::{Branch, Handle, Pool};

use crate::Result;
use crate::measure::{Effort, Pair, in_turn};
use crate::table::{Goal, Table};

macro_rules! scripts {
    ($folder:literal: $($name:literal)*) => {
        [$(($name, include_str!(concat!("../", $folder, "/", $name, ".lua")))),*]
    };
}

/// Programs, each of which returns what it has worked out.
const PROGRAMS: [(&str, &str); 15] = scripts!("programs":
    "recursion" "nbody" "mandelbrot" "spectral_norm" "sorting" "trees" "strings" "closures"
    "coroutines" "objects" "json_text" "markdown" "csv" "matrix" "interpreter"
);

/// Loops around one thing, each of which returns how often it did it.
const SWITCHES: [(&str, &str); 3] = scripts!("switches": "pcall" "pcall_error" "coroutine");

pub fn rows(table: &mut Table) -> Result<()> {
    let pool = Pool::builder().build()?;
    let mut branch = pool.branch()?;
    let mean = "Lua-heavy work, geometric mean of 15 programs";
    let ratios = programs(table, mean, &mut branch)?;
    if let Some(pair) = geometric_mean(&ratios) {
        table.add_times(mean, Goal::AtMost(1.5), pair);
    }
    switches(table, &mut branch)
}

/// One row for each program, without a goal of its own.
fn programs(table: &mut Table, mean: &str, branch: &mut Branch) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (name, code) in PROGRAMS {
        let row = format!("  {name}");
        if !table.wants(mean) && !table.wants(&row) {
            continue;
        }
        let lua = Lua::new();
        let (ours, native): (serde_json::Value, mlua::Value) =
            (branch.eval(code)?, lua.load(code).eval()?);
        let native = serde_json::to_value(native)?;
        if ours != native {
            return Err(format!("{name}: {ours} in the sandbox, {native} natively").into());
        }
        // Compiled anew on both sides each time, which is little beside the run.
        let effort = Effort {
            rounds: table.effort().rounds.min(15),
            ..table.effort()
        };
        let pair = in_turn(
            effort,
            &mut || {
                branch.eval::<serde_json::Value>(code)?;
                Ok(1)
            },
            &mut || {
                lua.load(code).eval::<mlua::Value>()?;
                Ok(1)
            },
        )?;
        table.add_times(&row, Goal::None, pair);
        pairs.push(pair);
    }
    Ok(pairs)
}

fn geometric_mean(pairs: &[Pair]) -> Option<Pair> {
    if pairs.len() < PROGRAMS.len() {
        return None;
    }
    let mean = |value: fn(&Pair) -> f64| {
        let logarithms: f64 = pairs.iter().map(|pair| value(pair).ln()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        (logarithms / pairs.len() as f64).exp()
    };
    Some(Pair {
        ours: mean(|pair| pair.ours),
        native: mean(|pair| pair.native),
        ratio: mean(|pair| pair.ratio),
    })
}

fn switches(table: &mut Table, branch: &mut Branch) -> Result<()> {
    const ROWS: [(&str, f64); 3] = [
        ("`pcall` that succeeds", 2.0),
        ("`pcall(error)`", 4.0),
        ("coroutine resume and yield", 4.0),
    ];
    for ((name, goal), (_, code)) in ROWS.into_iter().zip(SWITCHES) {
        let lua = Lua::new();
        table.time(
            name,
            Goal::AtMost(goal),
            &mut || Ok(branch.eval::<u32>(code)?),
            &mut || Ok(lua.load(code).eval::<u32>()?),
        )?;
    }
    Ok(())
}
