//! What is left of WASI in the guest.

use std::time::Duration;

use wasmtime::{Caller, ExternType, FuncType, ImportType, Linker, Val};

use crate::codec::Bytes;
use crate::journal::entry::{Answer, Asked, Event};
use crate::store::context::{Context, Stop, guarded};
use crate::store::memory::{guest_memory, slice_mut};
use crate::store::replayed::{misfit, note_place};

const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// `ENOSYS`: the function is not supported.
const ENOSYS: i32 = 52;

/// Answers what is left of WASI in the guest with "not supported", but for a clock, which
/// stands unless one was granted, and random numbers of the instance's own.
///
/// No WASI context exists, so there is nothing that could be granted by mistake, and none of
/// the async runtime that wasmtime's own implementation blocks on.
pub(super) fn define<'m>(
    linker: &mut Linker<Context>,
    imports: impl Iterator<Item = ImportType<'m>>,
) -> wasmtime::Result<()> {
    for import in imports {
        let ExternType::Func(ty) = import.ty() else {
            return Err(unexpected(import.module(), import.name()));
        };
        match (import.module(), import.name()) {
            (WASI_MODULE, "clock_time_get") => {
                linker.func_wrap(WASI_MODULE, "clock_time_get", clock)?;
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

/// WASI's `clock_time_get`: the time of the clock that was granted, else always zero. Nothing of
/// the host's, but no failure either, which libc takes for a reason to abort.
fn clock(
    mut caller: Caller<'_, Context>,
    id: i32,
    _precision: i64,
    time: u32,
) -> wasmtime::Result<i32> {
    /// The clock that counts from 1970; others count from when the instance was made.
    const REALTIME: i32 = 0;

    let asked = || Asked::Clock { id };
    let context = caller.data_mut();
    let nanoseconds = if context.tape.is_replaying() {
        let Answer::Time(nanoseconds) = context.replayed(asked)? else {
            return Err(misfit().into());
        };
        note_place(&mut caller);
        nanoseconds
    } else {
        let now = match context.granted().clock() {
            Some(clock) => guarded("clock", || clock.now())?,
            None => Duration::ZERO,
        };
        let time_told = if id == REALTIME {
            now
        } else {
            now.saturating_sub(context.created_at)
        };
        let nanoseconds = u64::try_from(time_told.as_nanos()).unwrap_or(u64::MAX);
        context.tape.note(|| Event {
            asked: asked(),
            answer: Answer::Time(nanoseconds),
        });
        nanoseconds
    };
    let (memory, _) = guest_memory(&mut caller)?;
    slice_mut(memory, time, 8)?.copy_from_slice(&nanoseconds.to_le_bytes());
    Ok(0)
}

/// WASI's `random_get`: the instance's own numbers, which come from its seed where it is given one.
fn own_random(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<i32> {
    let (memory, context) = guest_memory(&mut caller)?;
    let bytes = slice_mut(memory, ptr, len)?;
    let asked = || Asked::Random { len: bytes.len() };
    if context.tape.is_replaying() {
        match context.replayed(asked)? {
            Answer::Done(Bytes(same)) if same.len() == bytes.len() => bytes.copy_from_slice(&same),
            _ => return Err(misfit().into()),
        }
        return Ok(0);
    }
    context.fill_random(bytes);
    context.tape.note(|| Event {
        asked: Asked::Random { len: bytes.len() },
        answer: Answer::Done((&*bytes).into()),
    });
    Ok(0)
}
