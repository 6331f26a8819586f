//! Lua at work: whole programs, and the switches of control that are dear in WebAssembly.

use mlua::Lua;
use moonfork::{Branch, Pool};

use crate::Result;
use crate::measure::{Effort, Pair, in_turn, once};
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
const SWITCHES: [(&str, &str); 5] = scripts!("switches":
    "pcall" "pcall_error" "pcall_error_in_coroutine" "pcall_run_time_error" "coroutine"
);

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let shipped = Pool::builder().build()?.branch()?;
    let free = Pool::builder().unstoppable().build()?.branch()?;
    let metered = Pool::builder().metered().build()?.branch()?;
    let compiled = PROGRAMS
        .iter()
        .fold(Pool::builder(), |builder, (_, code)| builder.compile(*code))
        .build()?
        .branch()?;
    let compiled_metered = PROGRAMS
        .iter()
        .fold(Pool::builder().metered(), |builder, (_, code)| {
            builder.compile(*code)
        })
        .build()?
        .branch()?;
    let mut sandboxes = [
        Sandbox::new(shipped, MEAN, Goal::AtMost(1.5)),
        Sandbox::new(compiled, COMPILED, Goal::AtMost(0.85)),
        Sandbox::new(
            compiled_metered,
            "  the same, compiled, with epochs and fuel",
            Goal::AtMost(1.0),
        ),
        Sandbox::new(free, "  the same without epochs", Goal::None),
        Sandbox::new(
            metered,
            "  the same with epochs and fuel",
            Goal::AtMost(1.7),
        ),
    ];
    if sandboxes.iter().any(|sandbox| table.wants(sandbox.name)) {
        for (name, code) in PROGRAMS {
            program(table, name, code, &mut sandboxes)?;
        }
        for sandbox in &sandboxes {
            table.add_times(sandbox.name, sandbox.goal, geometric_mean(&sandbox.pairs));
        }
    }
    let [shipped, ..] = &mut sandboxes;
    switches(table, &mut shipped.branch)
}

const MEAN: &str = "Lua-heavy work, geometric mean of 15 programs";

const COMPILED: &str = "Lua-heavy work, compiled";

/// A branch that runs all programs.
struct Sandbox {
    branch: Branch,
    name: &'static str,
    goal: Goal,
    pairs: Vec<Pair>,
}

impl Sandbox {
    fn new(branch: Branch, name: &'static str, goal: Goal) -> Sandbox {
        Sandbox {
            branch,
            name,
            goal,
            pairs: Vec::new(),
        }
    }
}

/// Times a program in every sandbox, and adds a row for the first.
fn program(table: &mut Table, name: &str, code: &str, sandboxes: &mut [Sandbox]) -> Result<()> {
    let lua = Lua::new();
    let native: mlua::Value = lua.load(code).eval()?;
    let native = serde_json::to_value(native)?;
    let effort = Effort {
        rounds: table.effort().rounds.min(15),
        ..table.effort()
    };
    for (place, sandbox) in sandboxes.iter_mut().enumerate() {
        let branch = &mut sandbox.branch;
        let ours: serde_json::Value = branch.eval(code)?;
        if ours != native {
            return Err(format!("{name}: {ours} in the sandbox, {native} natively").into());
        }
        // Compiled anew on both sides each time, which is little beside the run.
        let pair = in_turn(
            effort,
            &mut once(|| branch.eval::<serde_json::Value>(code)),
            &mut once(|| lua.load(code).eval::<mlua::Value>()),
        )?;
        match place {
            0 => table.add_times(&format!("  {name}"), Goal::None, pair),
            1 => table.add_times(&format!("  {name}, compiled"), Goal::None, pair),
            _ => {}
        }
        sandbox.pairs.push(pair);
    }
    Ok(())
}

fn geometric_mean(pairs: &[Pair]) -> Pair {
    let mean = |value: fn(&Pair) -> f64| {
        let logarithms: f64 = pairs.iter().map(|pair| value(pair).ln()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        (logarithms / pairs.len() as f64).exp()
    };
    Pair {
        ours: mean(|pair| pair.ours),
        native: mean(|pair| pair.native),
        ratio: mean(|pair| pair.ratio),
    }
}

fn switches(table: &mut Table, branch: &mut Branch) -> Result<()> {
    const ROWS: [(&str, Goal); 5] = [
        ("`pcall` that succeeds", Goal::AtMost(2.0)),
        ("`pcall(error)`", Goal::AtMost(4.0)),
        ("  `pcall(error)` in a coroutine", Goal::None),
        ("  `pcall` of an error that Lua raises", Goal::None),
        ("coroutine resume and yield", Goal::AtMost(4.0)),
    ];
    for ((name, goal), (_, code)) in ROWS.into_iter().zip(SWITCHES) {
        let lua = Lua::new();
        table.time(
            name,
            goal,
            &mut || Ok(branch.eval::<u32>(code)?),
            &mut || Ok(lua.load(code).eval::<u32>()?),
        )?;
    }
    Ok(())
}
