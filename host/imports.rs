//! What the guest can ask of the host: its imports, and what is left of WASI in it.
//!
//! Each of them reads and writes the guest's memory where the guest says, after checking that
//! it lies inside.

use std::ops::Range;

use wasmtime::{Caller, Extern, ExternType, FuncType, Linker, Module, Val};

use crate::context::{Context, Stop};
use crate::function::Failed;

/// Where the guest's imports come from.
const HOST_MODULE: &str = "moonfork";
const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// Defines all that `module` imports.
///
/// # Errors
///
/// When it imports what is not there.
pub(crate) fn define(linker: &mut Linker<Context>, module: &Module) -> wasmtime::Result<()> {
    linker.func_wrap(HOST_MODULE, "print", print)?;
    linker.func_wrap(HOST_MODULE, "host_call", host_call)?;
    linker.func_wrap(HOST_MODULE, "host_take", host_take)?;
    linker.func_wrap(HOST_MODULE, "panicked", panicked)?;
    deny_wasi(linker, module)
}

/// Import `print`: text that a script printed.
fn print(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let text = slice(memory, ptr, len)?;
    context.output.push(text, context.limits.output);
    Ok(())
}

/// Import `host_call`: calls a host function and keeps its result for `host_take`.
fn host_call(
    mut caller: Caller<'_, Context>,
    function: u32,
    ptr: u32,
    len: u32,
) -> wasmtime::Result<u64> {
    let (memory, context) = guest_memory(&mut caller)?;
    let args = slice(memory, ptr, len)?;
    let (failed, result) = match context.functions.call(function, args, context.limits.value) {
        Ok(result) if result.len() <= context.limits.value => (false, result),
        Ok(result) => {
            let message = format!(
                "the result has {} bytes, more than the {} that may pass in one piece",
                result.len(),
                context.limits.value
            );
            (true, message.into_bytes())
        }
        Err(Failed::Raised(mut message)) => {
            message.truncate(message.floor_char_boundary(context.limits.value));
            (true, message.into_bytes())
        }
        Err(Failed::Panicked(message)) => return Err(Stop::Host(message).into()),
    };
    let len = u32::try_from(result.len())?;
    context.result = result;
    Ok(u64::from(failed) << 32 | u64::from(len))
}

/// Import `host_take`: copies the kept result to the guest.
fn host_take(mut caller: Caller<'_, Context>, ptr: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let result = std::mem::take(&mut context.result);
    let len = u32::try_from(result.len())?;
    slice_mut(memory, ptr, len)?.copy_from_slice(&result);
    Ok(())
}

/// Import `panicked`: the guest's own code failed; nothing more of it runs.
fn panicked(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    /// Bytes of the message that are kept.
    const KEPT: u32 = 4 << 10;

    let (memory, _) = guest_memory(&mut caller)?;
    let message = String::from_utf8_lossy(slice(memory, ptr, len.min(KEPT))?).into_owned();
    Err(Stop::Guest(message).into())
}

fn guest_memory<'a>(
    caller: &'a mut Caller<'_, Context>,
) -> wasmtime::Result<(&'a mut [u8], &'a mut Context)> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory.data_and_store_mut(caller)),
        _ => Err(Stop::Guest("it has no memory".into()).into()),
    }
}

/// The `len` bytes at `ptr`, which the guest says it means.
///
/// # Errors
///
/// `Stop::Guest` when they don't lie in its memory.
pub(crate) fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Stop> {
    memory.get(range(ptr, len)).ok_or_else(outside)
}

fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Stop> {
    memory.get_mut(range(ptr, len)).ok_or_else(outside)
}

/// Where a 32-bit guest means; past the end of any memory where a host can't count so far.
fn range(ptr: u32, len: u32) -> Range<usize> {
    let start = usize::try_from(ptr).unwrap_or(usize::MAX);
    start..start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
}

fn outside() -> Stop {
    Stop::Guest("a buffer lies outside of its memory".into())
}

/// `ENOSYS`: the function is not supported.
const ENOSYS: i32 = 52;

/// Answers what is left of WASI in the guest with "not supported", but for a clock that stands
/// and random numbers of the instance's own.
///
/// No WASI context exists, so there is nothing that could be granted by mistake, and none of
/// the async runtime that wasmtime's own implementation blocks on.
fn deny_wasi(linker: &mut Linker<Context>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports() {
        if import.module() == HOST_MODULE {
            continue;
        }
        let ExternType::Func(ty) = import.ty() else {
            return Err(unexpected(import.module(), import.name()));
        };
        match (import.module(), import.name()) {
            (WASI_MODULE, "clock_time_get") => {
                linker.func_wrap(WASI_MODULE, "clock_time_get", stopped_clock)?;
            }
            (WASI_MODULE, "random_get") => {
                linker.func_wrap(WASI_MODULE, "random_get", own_random)?;
            }
            (WASI_MODULE, name) => deny(linker, name, ty)?,
            (module, name) => return Err(unexpected(module, name)),
        }
    }
    Ok(())
}

fn unexpected(module: &str, name: &str) -> wasmtime::Error {
    wasmtime::format_err!("the guest module imports '{name}' from '{module}', which is not there")
}

fn deny(linker: &mut Linker<Context>, name: &str, ty: FuncType) -> wasmtime::Result<()> {
    let called = name.to_owned();
    linker.func_new(WASI_MODULE, name, ty, move |_, _, results| {
        match results {
            [result] => *result = Val::I32(ENOSYS),
            // Only `proc_exit` has no result.
            _ => return Err(Stop::Guest(format!("it called '{called}'")).into()),
        }
        Ok(())
    })?;
    Ok(())
}

/// WASI's `clock_time_get`: time zero, always. Nothing of the host's, but no failure either,
/// which libc takes for a reason to abort.
fn stopped_clock(
    mut caller: Caller<'_, Context>,
    _clock: i32,
    _precision: i64,
    time: u32,
) -> wasmtime::Result<i32> {
    let (memory, _) = guest_memory(&mut caller)?;
    slice_mut(memory, time, 8)?.fill(0);
    Ok(0)
}

/// WASI's `random_get`: likewise. `table.sort` chooses its pivots in long tables by it.
fn own_random(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<i32> {
    let (memory, context) = guest_memory(&mut caller)?;
    context.entropy.fill(slice_mut(memory, ptr, len)?);
    Ok(0)
}
