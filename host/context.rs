//! What a store carries: everything that host code may know while its instance runs.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{
    AsContextMut, Extern, Func, Global, ModuleExport, Store, StoreContextMut, UpdateDeadline, Val,
};

use crate::entropy::Entropy;
use crate::error::Site;
use crate::grants::{Denial, Granted};
use crate::host_call::{Cancels, HostCall};
use crate::image::InterrupterExports;
use crate::imports::guarded;
use crate::limits::{Accountant, Limits};
use crate::output::Output;
use crate::report::Tally;
use crate::{Cancel, StoreId};

/// The data of one store. There is no way from here to another instance.
pub(crate) struct Context {
    /// Which store this is.
    pub(crate) id: StoreId,
    /// What each of its calls may use.
    pub(crate) limits: Limits,
    /// When all its calls together must have ended.
    pub(crate) deadline: Option<Instant>,
    /// What stops all its calls.
    pub(crate) cancel: Option<Cancel>,
    /// What it may do.
    pub(crate) granted: Arc<Granted>,
    /// What the store has grown to.
    pub(crate) accountant: Accountant,
    /// Where its random numbers come from.
    pub(crate) entropy: Entropy,
    /// What was printed and not taken yet.
    pub(crate) output: Output,
    /// What its calls cost.
    pub(crate) tally: Tally,
    /// The result of a host function, until the guest takes it.
    pub(crate) result: Vec<u8>,
    /// When the instance was made, by the clock it was granted.
    pub(crate) born: Duration,
    /// How a script that runs is asked where it is.
    pub(crate) interrupter: Option<Interrupter>,
    /// The call that runs at the moment.
    pub(crate) call: Call,
}

/// One call, while it runs.
pub(crate) struct Call {
    /// What it may use.
    pub(crate) limits: Limits,
    /// When it began.
    pub(crate) start: Instant,
    /// When it must have ended.
    pub(crate) deadline: Option<Instant>,
    /// What stops it.
    pub(crate) cancels: Cancels,
    /// What it may do, if that is less than the instance.
    pub(crate) narrowed: Option<Arc<Granted>>,
    /// How many host calls it has left.
    pub(crate) host_calls_left: u64,
    /// What it was refused last.
    pub(crate) denial: Option<Denial>,
    /// Why the script was asked to stop itself at the line it is at, once it was.
    pub(crate) stopping: Option<Stop>,
    /// Where it stopped.
    pub(crate) site: Option<Site>,
    /// Whether it has ended, and is only asked where it was.
    pub(crate) post_mortem: bool,
}

/// Why host code stopped the guest.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// It was cancelled.
    #[error("the run was cancelled")]
    Cancelled,
    /// It made too many host calls.
    #[error("too many host calls")]
    HostCalls,
    /// A host function panicked, which no script may carry on from.
    #[error("host function '{function}' panicked: {message}")]
    HostPanic {
        /// The function.
        function: String,
        /// The panic's message.
        message: String,
    },
    /// The guest did what the guest we built never does.
    #[error("the guest module misbehaved: {0}")]
    Guest(String),
}

/// The guest's means to find out where a script is. What it exports is looked up when it is
/// needed: few scripts are ever stopped.
#[derive(Clone)]
pub(crate) struct Interrupter {
    pub(crate) instance: wasmtime::Instance,
    pub(crate) exports: Arc<InterrupterExports>,
}

impl Interrupter {
    /// Makes the script stop at the next Lua instruction; false when it is in a C function.
    fn interrupt(&self, store: &mut StoreContextMut<'_, Context>) -> wasmtime::Result<bool> {
        let function = self.function(&mut *store, &self.exports.interrupt)?;
        let function = function.typed::<(), u32>(&*store)?;
        Ok(function.call(&mut *store, ())? != 0)
    }

    /// Where the script was when it was stopped: address and length of a text in the guest's
    /// memory.
    pub(crate) fn site(&self, store: &mut Store<Context>) -> wasmtime::Result<u64> {
        let function = self.function(&mut *store, &self.exports.site)?;
        function.typed::<(), u64>(&*store)?.call(&mut *store, ())
    }

    /// Where the guest's stack ends.
    fn stack_pointer(&self, store: &mut StoreContextMut<'_, Context>) -> Option<Global> {
        self.instance
            .get_module_export(store, &self.exports.stack_pointer)?
            .into_global()
    }

    fn function(&self, store: impl AsContextMut, export: &ModuleExport) -> wasmtime::Result<Func> {
        self.instance
            .get_module_export(store, export)
            .and_then(Extern::into_func)
            .ok_or_else(|| wasmtime::format_err!("the guest can't tell where a script is"))
    }
}

impl Context {
    /// A new store's data; `random` is the key of the pool's random numbers.
    ///
    /// # Errors
    ///
    /// `HostPanic` when the clock panics.
    pub(crate) fn new(
        limits: Limits,
        deadline: Option<Instant>,
        cancel: Option<Cancel>,
        granted: Arc<Granted>,
        random: &RandomState,
    ) -> Result<Context, Stop> {
        let id = StoreId::next();
        let start = Instant::now();
        let born = match granted.clock() {
            Some(clock) => guarded("clock", || clock.now())?,
            None => Duration::ZERO,
        };
        Ok(Context {
            id,
            entropy: Entropy::new(random, id),
            accountant: Accountant::new(limits.memory),
            output: Output::default(),
            tally: Tally::default(),
            result: Vec::new(),
            born,
            interrupter: None,
            call: Call {
                limits,
                start,
                // For what the module does when it is instantiated: ours does nothing.
                deadline: earlier(deadline, start.checked_add(limits.wall)),
                cancels: [None, None],
                narrowed: None,
                host_calls_left: 0,
                denial: None,
                stopping: None,
                site: None,
                post_mortem: false,
            },
            limits,
            deadline,
            cancel,
            granted,
        })
    }

    /// What the call under way may do.
    pub(crate) fn granted(&self) -> &Granted {
        self.call.narrowed.as_ref().unwrap_or(&self.granted)
    }

    /// What a host function may know of the call under way.
    pub(crate) fn host_call(&self) -> HostCall {
        HostCall {
            store_id: Some(self.id),
            deadline: self.call.deadline,
            cancels: self.call.cancels.clone(),
        }
    }

    /// Counts a call of the host, made by the script, under this place in the report.
    ///
    /// # Errors
    ///
    /// When that is one too many.
    pub(crate) fn count_host_call(&mut self, place: usize) -> Result<(), Stop> {
        let left = self.call.host_calls_left.checked_sub(1);
        self.call.host_calls_left = left.ok_or(Stop::HostCalls)?;
        self.tally.count(place);
        Ok(())
    }
}

impl Call {
    /// Why the call has to stop, if it has to.
    pub(crate) fn due(&self, now: Instant) -> Option<Stop> {
        if self.cancels.iter().flatten().any(Cancel::is_cancelled) {
            return Some(Stop::Cancelled);
        }
        let deadline = self.deadline?;
        (now >= deadline).then_some(Stop::Deadline)
    }
}

/// Ticks that finding out where a script was may take after it ended.
pub(crate) const POST_MORTEM: u64 = 4;

/// What happens at a tick of the clock: only this instance's own deadline and handles count.
///
/// A script in the middle of Lua code doesn't know its line exactly, since the interpreter
/// notes its place only where something might look at it. So it is asked, through a hook, to
/// stop itself at its next instruction, and gets until the next tick to do so.
pub(crate) fn at_tick(mut store: StoreContextMut<'_, Context>) -> wasmtime::Result<UpdateDeadline> {
    let call = &mut store.data_mut().call;
    if call.post_mortem {
        return Err(Stop::Guest("it took too long to say where it was".into()).into());
    }
    if let Some(stop) = call.stopping.take() {
        return Err(stop.into());
    }
    let Some(stop) = call.due(Instant::now()) else {
        return Ok(UpdateDeadline::Continue(1));
    };
    // Before it is asked: if even that takes longer than a tick, it isn't asked again.
    call.stopping = Some(stop.clone());
    if !interrupt(&mut store) {
        return Err(stop.into());
    }
    Ok(UpdateDeadline::Continue(1))
}

/// The earlier of two moments, if there are any.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Asks the script that is in the middle of something to stop at its next Lua instruction.
/// False where there is none to come, or it can't be asked.
fn interrupt(store: &mut StoreContextMut<'_, Context>) -> bool {
    /// Bytes below the stack pointer that a function may use without moving it: clang's red
    /// zone, doubled.
    const RED_ZONE: i32 = 256;

    let Some(interrupter) = store.data().interrupter.clone() else {
        return false;
    };
    let Some(stack_pointer) = interrupter.stack_pointer(store) else {
        return false;
    };
    let Val::I32(top) = stack_pointer.get(&mut *store) else {
        return false;
    };
    let below = Val::I32(top.wrapping_sub(RED_ZONE));
    if stack_pointer.set(&mut *store, below).is_err() {
        return false;
    }
    store.set_epoch_deadline(POST_MORTEM);
    let asked = interrupter.interrupt(store);
    let restored = stack_pointer.set(&mut *store, Val::I32(top));
    restored.is_ok() && asked.unwrap_or(false)
}
