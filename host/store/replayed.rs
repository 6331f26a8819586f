//! What a script is answered, when its journal is replayed, and where it is at that time.

use wasmtime::{AsContextMut, Caller};

use crate::journal::entry::{Answer, Asked, Halt};
use crate::store::context::{Context, Stop};
use crate::store::interrupt;
use crate::store::memory::{guest_memory, read_site, slice};

/// Notes where a replayed script is, which costs it nothing.
pub(super) fn note_place(caller: &mut Caller<'_, Context>) {
    let Some(interrupter) = caller.data().interrupter else {
        return;
    };
    let fuel = caller.get_fuel();
    let mut ask = || {
        if fuel.is_ok() {
            caller.set_fuel(interrupt::FUEL).ok()?;
        }
        let (ptr, len) = interrupter.site(caller.as_context_mut()).ok()?;
        let (memory, _) = guest_memory(caller).ok()?;
        read_site(slice(memory, ptr, len).ok()?)
    };
    let site = ask();
    if let Ok(fuel) = fuel {
        // It could be set a moment ago.
        let _ = caller.set_fuel(fuel);
    }
    if let (Some(site), Some(player)) = (site, caller.data_mut().tape.player()) {
        player.note_place(site.position);
    }
}

impl Context {
    /// What a replayed script is answered.
    pub(super) fn replayed(&mut self, asked: impl FnOnce() -> Asked) -> Result<Answer, Stop> {
        match self.tape.answer(asked) {
            Some(Ok(answer)) => Ok(answer),
            _ => Err(Stop::Replay),
        }
    }
}

/// Why a script was stopped, when that is replayed.
pub(super) fn stop(halt: Halt) -> Stop {
    match halt {
        Halt::Deadline => Stop::Deadline,
        Halt::Cancelled => Stop::Cancelled,
        Halt::Panic { function, message } => Stop::HostPanic { function, message },
        Halt::Failed(message) => Stop::Guest(message),
    }
}

/// A journal was made up that has an answer of one kind for a question of another.
pub(super) fn misfit() -> Stop {
    Stop::Guest("the journal's answer doesn't fit what was asked for".into())
}
