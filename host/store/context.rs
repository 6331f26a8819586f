//! What a store carries: everything that host code may know while its instance runs.

use std::collections::VecDeque;
use std::hash::RandomState;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{ExnRef, OwnedRooted, StoreContextMut, UpdateDeadline};

use crate::error::{Site, panic_message};
use crate::grants::granted::{Denial, Granted};
use crate::grants::host_call::{CallKeys, Cancels, HostCall};
use crate::grants::told::Numbers;
use crate::journal::entry::{Answer, Asked, Event};
use crate::journal::tape::Tape;
use crate::report::Usage;
use crate::report::output::Output;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::store::accountant::Accountant;
use crate::store::interrupt::Interrupter;
use crate::store::random::{self, Entropy};
use crate::sync::awake::{Awake, Hold};
use crate::wire::{Chunk, Seed};
use crate::{Cancel, Capability, Deadline, StoreId};

/// The data of one store. There is no way from here to another instance.
pub(crate) struct Context {
    /// Which store this is.
    pub(crate) id: StoreId,
    /// Which one it is a copy of, or of whose snapshot it began, if it did.
    pub(crate) parent: Option<StoreId>,
    /// Which of the streams is its own that come from a fixed seed. Copies have others than what they
    /// are copies of.
    pub(crate) stream: u64,
    /// How many copies were made of it.
    pub(crate) copies: u64,
    /// The numbers that the guest knows the pool's host functions by, where those are other ones.
    pub(crate) numbers: Option<Arc<Numbers>>,
    /// What each of its calls may use.
    pub(crate) limits: Limits,
    /// When all its calls together must have ended.
    pub(crate) deadline: Option<Deadline>,
    /// What stops all its calls.
    pub(crate) cancel: Option<Cancel>,
    /// What it may do.
    pub(crate) granted: Arc<Granted>,
    /// What its calls of host functions go by, if they go by anything.
    pub(crate) keys: Option<Arc<CallKeys>>,
    /// What the store has grown to.
    pub(crate) accountant: Accountant,
    /// Where its random numbers come from.
    pub(crate) entropy: Entropy,
    /// What was printed and not taken yet.
    pub(crate) output: Output,
    /// What its calls cost.
    pub(crate) usage: Usage,
    /// Whether the time is among that which the host takes for what scripts ask it.
    pub(crate) times_host: bool,
    /// The result of a host function, until the guest takes it.
    pub(crate) result: Vec<u8>,
    /// When the instance was made, by the clock it was granted.
    pub(crate) created_at: Duration,
    /// What the guest throws, once it has.
    pub(crate) exception: Option<OwnedRooted<ExnRef>>,
    /// How a script that runs is asked where it is.
    pub(crate) interrupter: Option<Interrupter>,
    /// Keeps the ticker awake that the instance is stopped by.
    pub(crate) awake: Arc<Awake>,
    /// What its calls of the host go through.
    pub(crate) tape: Tape,
    /// What modules are loaded from, where it isn't their text.
    pub(crate) modules: Vec<Arc<dyn ModuleBytecode>>,
    /// The call that runs at the moment.
    pub(crate) call: Call,
}

/// Modules that the instance has bytecode of.
pub(crate) trait ModuleBytecode: Send + Sync {
    /// That of a module, if it is one of them.
    fn find(&self, module: &Chunk<'_>) -> Option<&[u8]>;
}

/// One call, while it runs.
pub(crate) struct Call {
    /// What it may use.
    pub(crate) limits: Limits,
    /// When it began.
    pub(crate) start: Instant,
    /// When it must have ended.
    pub(crate) deadline: Option<Deadline>,
    /// What stops it.
    pub(crate) cancels: Cancels,
    /// What it may do, if that is less than the instance.
    pub(crate) narrowed: Option<Arc<Granted>>,
    /// What its calls of host functions go by, if that is something else.
    pub(crate) keys: Option<Arc<CallKeys>>,
    /// How many host calls it has left.
    pub(crate) host_calls_left: u64,
    /// What it was refused lately, the last first.
    pub(crate) denials: VecDeque<Denial>,
    /// How often it was refused something.
    pub(crate) refused: u32,
    /// Why the script was asked to stop itself at the line it is at, once it was.
    pub(crate) stopping: Option<Stop>,
    /// Where it stopped.
    pub(crate) site: Option<Site>,
    /// Whether it has ended, and is only asked where it was.
    pub(crate) post_mortem: bool,
    /// Keeps the ticker awake, once it has seen a tick.
    pub(crate) awake: Option<Hold>,
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
    /// It was replayed, and can't go on.
    #[error("the journal has no answer")]
    Replay,
    /// The guest did what the guest we built never does.
    #[error("the guest module misbehaved: {0}")]
    Guest(String),
}

impl Context {
    /// A new store's data, on the terms of all its calls; `random` is the key of the pool's random
    /// numbers.
    pub(crate) fn new(
        terms: Terms,
        granted: Arc<Granted>,
        created_at: Duration,
        random: &RandomState,
        awake: Arc<Awake>,
    ) -> Context {
        let id = StoreId::next();
        Context {
            id,
            parent: None,
            stream: 0,
            copies: 0,
            numbers: None,
            entropy: Entropy::new(random, id),
            accountant: Accountant::new(terms.limits.memory),
            output: Output::default(),
            usage: Usage::default(),
            times_host: false,
            result: Vec::new(),
            created_at,
            exception: None,
            interrupter: None,
            awake,
            tape: Tape::None,
            modules: Vec::new(),
            call: Call {
                limits: terms.limits,
                start: Instant::now(),
                // Before its first call a module's start function may run without end.
                deadline: Deadline::earlier(
                    terms.deadline,
                    Some(Deadline::after(terms.limits.wall)),
                ),
                cancels: [None, None],
                narrowed: None,
                keys: None,
                host_calls_left: 0,
                denials: VecDeque::new(),
                refused: 0,
                stopping: None,
                site: None,
                post_mortem: false,
                awake: None,
            },
            limits: terms.limits,
            deadline: terms.deadline,
            cancel: terms.cancel,
            keys: terms.keys,
            granted,
        }
    }

    /// Begins a call on the instance's own terms, or on `narrower` ones.
    pub(crate) fn begin_call(&mut self, narrower: Option<&Terms>) {
        let call = &mut self.call;
        call.limits = narrower.map_or(self.limits, |terms| terms.limits);
        call.start = Instant::now();
        let limit = Deadline::since(call.start, call.limits.wall);
        let deadline = narrower.and_then(|terms| terms.deadline);
        let deadline = Deadline::earlier(self.deadline, deadline);
        call.deadline = Deadline::earlier(deadline, Some(limit));
        call.cancels = [
            self.cancel.clone(),
            narrower.and_then(|terms| terms.cancel.clone()),
        ];
        call.narrowed = narrower.and_then(|terms| terms.granted.clone());
        call.keys = narrower.and_then(|terms| terms.keys.clone());
        call.host_calls_left = call.limits.host_calls;
        if !call.denials.is_empty() {
            call.denials.clear();
        }
        call.refused = 0;
        call.stopping = None;
        call.site = None;
        call.post_mortem = false;
        call.awake = None;
    }

    /// What `math.random` is to start from.
    pub(crate) fn seed(&mut self) -> Seed {
        let Context {
            tape,
            granted,
            stream,
            entropy,
            ..
        } = self;
        tape.seed(|| match granted.seed() {
            Some(seed) => (seed.cast_signed(), stream.cast_signed()),
            None => entropy.seed(),
        })
    }

    /// Random numbers besides those of `math.random`.
    pub(crate) fn fill_random(&mut self, bytes: &mut [u8]) {
        let fixed = self.granted.seed().map(|seed| (seed, self.stream));
        self.entropy.fill(bytes, fixed);
    }

    /// The stream of the next copy.
    pub(crate) fn next_stream(&mut self) -> u64 {
        self.copies += 1;
        random::stream(self.stream, self.copies)
    }

    /// What the call under way may do.
    pub(crate) fn granted(&self) -> &Granted {
        self.call.narrowed.as_ref().unwrap_or(&self.granted)
    }

    /// The capability that the script of the call under way lacks, which used a global that isn't there.
    pub(crate) fn missing_global(&mut self, name: &str) -> Option<Capability> {
        if let Some(player) = self.tape.player() {
            return match player.missing(name) {
                Some(Answer::Missing(capability)) => capability,
                _ => None,
            };
        }
        let capability = self.granted().missing_global(name);
        self.tape.note(|| Event {
            asked: Asked::Missing {
                name: name.to_owned(),
            },
            answer: Answer::Missing(capability.clone()),
        });
        capability
    }

    /// What a host function may know of the call under way that is called now: it counts it.
    pub(crate) fn host_call(&self) -> HostCall {
        HostCall {
            store_id: Some(self.id),
            deadline: self.call.deadline,
            cancels: self.call.cancels.clone(),
            key: self
                .call
                .keys
                .as_ref()
                .or(self.keys.as_ref())
                .map(CallKeys::next),
        }
    }

    /// Begins what the host does for a script; [`host_ended`](Self::host_ended) wants what it gives.
    pub(crate) fn host_begins(&self) -> Option<Instant> {
        self.times_host.then(Instant::now)
    }

    /// Counts the time that the host took.
    pub(crate) fn host_ended(&mut self, began: Option<Instant>) {
        if let Some(began) = began {
            self.usage.host += began.elapsed();
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
        self.usage.count(place);
        Ok(())
    }
}

impl Call {
    /// Whether anything has cancelled it.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancels.iter().flatten().any(Cancel::is_cancelled)
    }

    /// Why the call has to stop, if it has to.
    pub(crate) fn due(&self, now: Instant) -> Option<Stop> {
        if self.is_cancelled() {
            return Some(Stop::Cancelled);
        }
        let deadline = self.deadline?;
        (now >= deadline.at()).then_some(Stop::Deadline)
    }
}

/// What happens at a tick of the clock: only this instance's own deadline and handles count.
///
/// A script in the middle of Lua code doesn't know its line exactly, since the interpreter
/// notes its place only where something might look at it. So it is asked, through a hook, to
/// stop itself at its next instruction, and gets until the next tick to do so.
pub(crate) fn at_tick(mut store: StoreContextMut<'_, Context>) -> wasmtime::Result<UpdateDeadline> {
    let metered = store.get_fuel().is_ok();
    let context = store.data_mut();
    let call = &mut context.call;
    if call.post_mortem && metered {
        // It has fuel for that, and no more, so that how much it can say hangs on no clock.
        return Ok(UpdateDeadline::Continue(1));
    }
    if call.post_mortem {
        return Err(Stop::Guest("it took too long to say where it was".into()).into());
    }
    if let Some(stop) = call.stopping.take() {
        return Err(stop.into());
    }
    for cancel in call.cancels.iter().flatten() {
        guarded("the condition of a cancel", || cancel.look())?;
    }
    // There have to be more ticks, for as long as the call takes.
    call.awake.get_or_insert_with(|| context.awake.hold());
    let Some(stop) = call.due(Instant::now()) else {
        return Ok(UpdateDeadline::Continue(1));
    };
    // Before it is asked: if even that takes longer than a tick, it isn't asked again.
    call.stopping = Some(stop.clone());
    let interrupter = store.data().interrupter;
    if !interrupter.is_some_and(|interrupter| interrupter.interrupt(&mut store)) {
        return Err(stop.into());
    }
    Ok(UpdateDeadline::Continue(1))
}

/// Runs code of the embedder's; its panic stops the guest, and doesn't unwind through it.
pub(crate) fn guarded<T>(name: &str, f: impl FnOnce() -> T) -> Result<T, Stop> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Stop::HostPanic {
        function: name.to_owned(),
        message: panic_message(&*payload),
    })
}
