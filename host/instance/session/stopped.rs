//! What it means that the guest was stopped, and where the script was by then.

use wasmtime::{AsContextMut, Memory, Store, Trap};

use crate::Error;
use crate::error::{ErrorKind, Site};
use crate::store::context::{Context, Stop};
use crate::store::interrupt;
use crate::store::memory::{read_site, slice};

/// What it means that a call into the guest ended in `error`.
pub(super) fn stopped(
    store: &mut Store<Context>,
    memory: &Memory,
    error: wasmtime::Error,
) -> Error {
    let site = store.data_mut().call.site.take();
    let at = site.or_else(|| ask_site(store, memory));
    let context = store.data();
    let limits = &context.call.limits;
    match error.downcast_ref() {
        Some(Stop::Deadline) => ErrorKind::Timeout {
            limit: context.call.deadline.and_then(|deadline| deadline.time()),
            at,
            begun: true,
        },
        Some(Stop::Cancelled) => ErrorKind::Cancelled { at, begun: true },
        Some(Stop::HostCalls) => ErrorKind::TooManyHostCalls {
            limit: limits.host_calls,
            at,
        },
        // What it is asked for, and why it can't be had, its player knows.
        Some(Stop::Replay) => ErrorKind::Diverged {
            call: 0,
            recorded: None,
            asked: None,
            at,
        },
        Some(Stop::HostPanic { function, message }) => ErrorKind::HostPanic {
            function: function.clone(),
            message: message.clone(),
        },
        _ if matches!(error.downcast_ref(), Some(Trap::OutOfFuel)) => ErrorKind::OutOfFuel {
            limit: limits.fuel,
            at,
        },
        // The guest aborts when an allocation fails that can't be reported to Lua.
        _ if context.accountant.refused => ErrorKind::OutOfMemory {
            limit: limits.memory,
            fatal: true,
            at,
        },
        _ => {
            return Error::internal(format_args!("{error:#}"))
                .caused_by(error.into_boxed_dyn_error());
        }
    }
    .into()
}

/// Asks the guest where the script was that was stopped. Its frames are gone; what Lua
/// knows of them lies in its memory still.
fn ask_site(store: &mut Store<Context>, memory: &Memory) -> Option<Site> {
    let context = store.data_mut();
    let interrupter = context.interrupter?;
    context.call.post_mortem = true;
    // The answer may take some ticks and no more, so there have to be ticks.
    context
        .call
        .awake
        .get_or_insert_with(|| context.awake.hold());
    let fuel = store.get_fuel();
    if fuel.is_ok() {
        store.set_fuel(interrupt::FUEL).ok()?;
    }
    let site = interrupter.site(store.as_context_mut());
    if let Ok(fuel) = fuel {
        store.set_fuel(fuel).ok()?;
    }
    let (ptr, len) = site.ok()?;
    read_site(slice(memory.data(&*store), ptr, len).ok()?)
}
