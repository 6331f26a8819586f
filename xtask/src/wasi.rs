//! What the guest has of WASI while it is pre-initialised: a world without files, environment or
//! arguments, where time stands still and randomness isn't.
//!
//! wasmtime's own implementation would switch on features of wasmtime's that nothing else here
//! needs, its component model and its async functions, for all of the workspace: cargo builds a
//! package once, with everything that anybody asks of it.

use std::iter::{Cycle, zip};
use std::time::Duration;
use std::vec;

use wasmtime::{Caller, Extern, FuncType, Linker, Memory, Result, Val, bail, format_err};

use crate::recipe::Snapshot;

/// WASI's functions, by the name of their module.
const MODULE: &str = "wasi_snapshot_preview1";

/// WASI's errors.
const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EINVAL: i32 = 28;

/// WASI's clocks.
const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;

/// Where a panic's message goes.
const STDERR: i32 = 2;

/// What a store carries: what the guest sees of the world.
pub(crate) struct World {
    wall_clock: Duration,
    monotonic_clock: Duration,
    random: Cycle<vec::IntoIter<u8>>,
}

impl World {
    /// As a recipe says.
    pub(crate) fn new(recipe: &Snapshot) -> World {
        World {
            wall_clock: Duration::from_secs(recipe.wall_clock_seconds),
            monotonic_clock: Duration::from_nanos(recipe.monotonic_nanoseconds),
            random: recipe.random_bytes.clone().into_iter().cycle(),
        }
    }
}

/// The functions that starting up may call: see [`define`]. All others are [stood in](stand_in) for.
const DEFINED: [&str; 8] = [
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_prestat_get",
    "fd_write",
    "random_get",
];

/// Whether [`define`] has a function of this name in this module.
pub(crate) fn defines(module: &str, name: &str) -> bool {
    module == MODULE && DEFINED.contains(&name)
}

/// Defines [`DEFINED`].
pub(crate) fn define(linker: &mut Linker<World>) -> Result<()> {
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(MODULE, "random_get", random_get)?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    for counts in ["args_sizes_get", "environ_sizes_get"] {
        linker.func_wrap(MODULE, counts, sizes_of_none)?;
    }
    for texts in ["args_get", "environ_get"] {
        linker.func_wrap(MODULE, texts, |_: i32, _: i32| SUCCESS)?;
    }
    // There is no folder that had been opened.
    linker.func_wrap(MODULE, "fd_prestat_get", |_: i32, _: i32| EBADF)?;
    Ok(())
}

/// Defines a function that starting up must not call.
pub(crate) fn stand_in(
    linker: &mut Linker<World>,
    module: &str,
    name: &str,
    ty: FuncType,
) -> Result<()> {
    let message = format!("the guest calls {module}.{name} while it is pre-initialised");
    let refuse = move |_: Caller<'_, World>, _: &[Val], _: &mut [Val]| bail!("{message}");
    linker.func_new(module, name, ty, refuse)?;
    Ok(())
}

fn clock_time_get(
    mut caller: Caller<'_, World>,
    clock: i32,
    _precision: i64,
    result: i32,
) -> Result<i32> {
    let time = match clock {
        REALTIME => caller.data().wall_clock,
        MONOTONIC => caller.data().monotonic_clock,
        _ => return Ok(EINVAL),
    };
    let nanoseconds = u64::try_from(time.as_nanos())?;
    write(&mut caller, result, &nanoseconds.to_le_bytes())?;
    Ok(SUCCESS)
}

fn random_get(mut caller: Caller<'_, World>, to: i32, len: i32) -> Result<i32> {
    let memory = memory(&mut caller)?;
    let (bytes, world) = memory.data_and_store_mut(&mut caller);
    let bytes = bytes.get_mut(range(to, len)).ok_or_else(outside)?;
    for (byte, random) in zip(bytes, &mut world.random) {
        *byte = random;
    }
    Ok(SUCCESS)
}

/// How many arguments, or variables, there are, and how many bytes they take.
fn sizes_of_none(mut caller: Caller<'_, World>, count: i32, bytes: i32) -> Result<i32> {
    write(&mut caller, count, &[0; 4])?;
    write(&mut caller, bytes, &[0; 4])?;
    Ok(SUCCESS)
}

/// Shows what is written to the standard error output: a panic's message.
fn fd_write(
    mut caller: Caller<'_, World>,
    file: i32,
    parts: i32,
    count: i32,
    written: i32,
) -> Result<i32> {
    if file != STDERR {
        return Ok(EBADF);
    }
    let memory = memory(&mut caller)?;
    let read = |at: i32, len: i32| memory.data(&caller).get(range(at, len)).ok_or_else(outside);
    let mut text = Vec::new();
    for part in read(parts, count.saturating_mul(8))?.chunks_exact(8) {
        let (at, len) = part.split_at(4);
        let number = |bytes: &[u8]| bytes.try_into().map(i32::from_le_bytes);
        text.extend_from_slice(read(number(at)?, number(len)?)?);
    }
    eprint!("{}", String::from_utf8_lossy(&text));
    let len = u32::try_from(text.len())?;
    write(&mut caller, written, &len.to_le_bytes())?;
    Ok(SUCCESS)
}

fn write(caller: &mut Caller<'_, World>, at: i32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    memory.write(caller, at.cast_unsigned() as usize, bytes)?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, World>) -> Result<Memory> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| format_err!("the guest has no memory"))
}

fn range(at: i32, len: i32) -> std::ops::Range<usize> {
    let at = at.cast_unsigned() as usize;
    at..at + len.cast_unsigned() as usize
}

fn outside() -> wasmtime::Error {
    format_err!("the guest names memory that it doesn't have")
}
