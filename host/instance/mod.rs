//! One wasmtime store with one instance in it, which is one Lua virtual machine.

mod chunk_cache;
pub(crate) mod compile;
mod copy;
mod count;
pub(crate) mod freeze;
pub(crate) mod frozen;
pub(crate) mod handle;
#[cfg(feature = "compile")]
pub(crate) mod hot;
mod known_text;
pub(crate) mod replay;
mod session;
pub(crate) mod shared;
mod snapshot_file;
pub(crate) mod stack;
#[cfg(feature = "compile")]
pub(crate) mod translations;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::chunk::Chunk;
use crate::error::ErrorKind;
use crate::identity::{Role, StoreId};
use crate::instance::chunk_cache::KnownChunk;
use crate::instance::frozen::Frozen;
use crate::instance::session::{Session, encode};
use crate::instance::shared::Shared;
use crate::journal::Journal;
use crate::journal::tape::Tape;
use crate::report::output::Output;
use crate::report::{Origin, Report, Usage};
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::store::accountant::check_room;
use crate::store::context::{Context, Stop, guarded};
use crate::sync::nesting;
use crate::sync::slots::Slot;
use crate::wire::{self, Bytecode, Header, HeldChunk, Name, Op};
use crate::{Error, Result};

/// An instance, or what is left of it.
///
/// Once something stopped it in the middle of what it did, nothing is known about its state:
/// it is dropped at once and only its id and the reason remain.
pub(crate) struct Instance {
    state: State,
}

/// What is to be seen of an instance from outside.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// The id in the store's own data; of a store that is gone, the one it had.
    pub(crate) id: StoreId,
    /// Whether it can still run anything.
    pub(crate) live: bool,
    /// Where its linear memory lies, while it is live.
    #[cfg(feature = "testing")]
    pub(crate) memory_base: Option<usize>,
}

enum State {
    Live(Box<Session>),
    Ended(Box<Ended>),
}

/// What is left of an instance that was stopped.
struct Ended {
    id: StoreId,
    reason: String,
    output: Output,
    usage: Usage,
    peak_memory: usize,
    origin: Origin,
    tape: Tape,
    shared: Arc<Shared>,
}

impl Instance {
    /// A fresh instance in `slot`, for calls on these terms.
    ///
    /// # Errors
    ///
    /// `Internal` when wasmtime can't make one though there is a slot for it; `HostPanic` when
    /// the clock that it is granted panics.
    pub(crate) fn new(shared: &Arc<Shared>, slot: Slot, terms: Terms) -> Result<Instance> {
        Instance::beginning_with(shared.prelude.get(), shared, slot, terms)
    }

    /// As [`new`](Self::new), for an instance that begins with this memory, if there is one.
    ///
    /// # Errors
    ///
    /// As `new`, and `Options` when that is larger than the terms allow.
    pub(crate) fn beginning_with(
        frozen: Option<&Arc<Frozen>>,
        shared: &Arc<Shared>,
        slot: Slot,
        mut terms: Terms,
    ) -> Result<Instance> {
        if let Some(frozen) = frozen {
            check_room(frozen.memory.len(), &terms.limits)?;
        }
        // The clock is the embedder's code, called on behalf of what is to be an instance.
        let _call = nesting::enter();
        let granted = terms.granted.take();
        let granted = granted.unwrap_or_else(|| Arc::clone(&shared.granted));
        let created_at = match granted.clock() {
            Some(clock) => guarded("clock", || clock.now()),
            None => Ok(Duration::ZERO),
        };
        let created_at = created_at.map_err(|stop| match stop {
            Stop::HostPanic { function, message } => {
                Error::from(ErrorKind::HostPanic { function, message })
            }
            other => Error::internal(other),
        })?;
        let awake = Arc::clone(shared.image.awake());
        let journal = terms.journal;
        let context = Context::new(terms, granted, created_at, &shared.random, awake);
        let session = Session::new(shared, frozen, context, slot).map_err(|error| {
            Error::internal(format_args!("no instance could be made: {error:#}"))
                .caused_by(error.into_boxed_dyn_error())
        })?;
        let mut session = Box::new(session);
        if let Some(bytes) = journal {
            session.record(bytes)?;
        }
        // Behind that: who keeps a journal has none.
        #[cfg(feature = "compile")]
        session.install_begun().map_err(not_installed)?;
        Ok(Instance {
            state: State::Live(session),
        })
    }

    /// The journal that it has kept so far; nothing if it keeps none, or that was taken before.
    pub(crate) fn take_journal(&mut self) -> Option<Journal> {
        match &mut self.state {
            State::Live(session) => session.store.data_mut().tape.take(),
            State::Ended(ended) => ended.tape.take(),
        }
    }

    /// What its journal goes on, while it keeps one.
    #[cfg(feature = "workflow")]
    pub(crate) fn tape(&mut self) -> &mut Tape {
        match &mut self.state {
            State::Live(session) => &mut session.store.data_mut().tape,
            State::Ended(ended) => &mut ended.tape,
        }
    }

    /// What is to be seen of it from outside.
    pub(crate) fn view(&self) -> View {
        match &self.state {
            State::Live(session) => View {
                id: session.store.data().id,
                live: true,
                #[cfg(feature = "testing")]
                memory_base: Some(session.memory.data_ptr(&session.store).addr()),
            },
            State::Ended(ended) => View {
                id: ended.id,
                live: false,
                #[cfg(feature = "testing")]
                memory_base: None,
            },
        }
    }

    /// What it has in common with the others of its pool.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        match &self.state {
            State::Live(session) => &session.shared,
            State::Ended(ended) => &ended.shared,
        }
    }

    /// What was printed since the last time.
    pub(crate) fn take_output(&mut self) -> Output {
        match &mut self.state {
            State::Live(session) => std::mem::take(&mut session.store.data_mut().output),
            State::Ended(ended) => std::mem::take(&mut ended.output),
        }
    }

    /// What the calls since the last report cost.
    pub(crate) fn take_report(&mut self, role: Role) -> Report {
        let output = self.take_output();
        let (id, usage, peak_memory, origin, shared) = match &mut self.state {
            State::Live(session) => {
                let origin = session.origin();
                let context = session.store.data_mut();
                let usage = std::mem::take(&mut context.usage);
                (
                    context.id,
                    usage,
                    context.accountant.used(),
                    origin,
                    &session.shared,
                )
            }
            State::Ended(ended) => {
                let usage = std::mem::take(&mut ended.usage);
                let origin = ended.origin.clone();
                (ended.id, usage, ended.peak_memory, origin, &ended.shared)
            }
        };
        let host_calls = usage.by_name(shared.host_call_names());
        let metered = shared.image.is_metered();
        usage.report(
            (id, role, origin),
            metered,
            peak_memory,
            &output,
            host_calls,
        )
    }

    /// The terms that `options` ask for, within those of the instance and within `outer`; none where
    /// it has ended, which the next call will say.
    ///
    /// # Errors
    ///
    /// `Options` when they aren't narrower.
    pub(crate) fn narrower(
        &self,
        options: &RunOptions,
        outer: Option<&Terms>,
    ) -> Result<Option<Terms>> {
        match &self.state {
            State::Live(session) => session.narrower(options, outer).map(Some),
            State::Ended(_) => Ok(None),
        }
    }

    /// Runs `chunk` with `state`, if any.
    pub(crate) fn eval<S: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        terms: Option<&Terms>,
        chunk: &Chunk<'_>,
        state: Option<&S>,
    ) -> Result<R> {
        let chunk = chunk.to_wire();
        let value = |request: &mut Vec<u8>| match state {
            Some(state) => encode("state", state, request),
            None => Ok(()),
        };
        #[cfg(feature = "compile")]
        if let Some(translated) = self.translated(&chunk, state.is_some())? {
            let bytecode = Bytecode(&translated.chunk().bytecode);
            return self.request(terms, Op::Run, &bytecode, value);
        }
        if let Some((number, counted)) = self.held(&chunk, state.is_some()) {
            return self.counting(counted.as_ref(), |instance| {
                instance.request(terms, Op::RunHeld, &number, value)
            });
        }
        match self.bytecode(&chunk, state.is_some()) {
            Some(known) => self.counting(Some(&known), |instance| {
                instance.request(terms, Op::Run, &Bytecode(&known.bytecode), value)
            }),
            None => self.request(terms, Op::Eval, &chunk, value),
        }
    }

    /// Whether `chunk` parses.
    pub(crate) fn check(&mut self, terms: Option<&Terms>, chunk: &Chunk<'_>) -> Result<()> {
        self.request(terms, Op::Check, &chunk.to_wire(), |_| Ok(()))
    }

    /// Runs `chunk`, whatever it returns.
    pub(crate) fn exec(&mut self, terms: Option<&Terms>, chunk: &Chunk<'_>) -> Result<()> {
        self.eval(terms, chunk, None::<&()>).map(|IgnoredAny| ())
    }

    /// What `chunk` is translated to, if it is one of those that are. The instance has its functions
    /// then.
    ///
    /// # Errors
    ///
    /// `Internal` when wasmtime can't make an instance of their module.
    #[cfg(feature = "compile")]
    fn translated(
        &mut self,
        chunk: &wire::Chunk<'_>,
        with_state: bool,
    ) -> Result<Option<crate::engine::translated::OneTranslated>> {
        let State::Live(session) = &mut self.state else {
            return Ok(None);
        };
        if !session.shared.translations.is_any() || !session.translates() {
            return Ok(None);
        }
        let shared = Arc::clone(&session.shared);
        let compile = |chunk: &wire::Chunk<'_>, with_state: bool| {
            compile::bytecode_patiently(&shared, chunk, with_state)
        };
        let found = shared
            .translations
            .get(&shared.image, chunk, with_state, compile);
        let Some(translated) = found else {
            return Ok(None);
        };
        let installed = session.install(&translated.all).map_err(not_installed)?;
        Ok(installed.then_some(translated))
    }

    /// The number under which its guest holds `chunk`, if it does, and what its time is counted for, where it is.
    fn held(
        &self,
        chunk: &wire::Chunk<'_>,
        with_state: bool,
    ) -> Option<(HeldChunk, Option<Arc<KnownChunk>>)> {
        match &self.state {
            // As below; none is held where fuel is metered.
            State::Live(session) if !session.store.data().tape.is_recording() => {
                let mut held = session.frozen()?.chunks.iter();
                let found = held.find(|held| held.known.text.is(chunk, with_state))?;
                let counts = session.shared.counts_time();
                Some((found.number, counts.then(|| Arc::clone(&found.known))))
            }
            _ => None,
        }
    }

    /// What `chunk` compiles to, if it came before.
    ///
    /// Not where fuel is metered: a run would burn less than the first time.
    fn bytecode(&self, chunk: &wire::Chunk<'_>, with_state: bool) -> Option<Arc<KnownChunk>> {
        match &self.state {
            // A replay has to do the same, and bytecode says nothing to whoever reads a journal.
            State::Live(session) if session.store.data().tape.is_recording() => None,
            State::Live(session) if !session.shared.image.is_metered() => {
                let shared = &session.shared;
                let compile = || compile::bytecode(shared, chunk, with_state);
                shared.chunks.get(chunk, with_state, compile)
            }
            _ => None,
        }
    }

    /// Calls the function at `path` with the elements of `args`.
    pub(crate) fn call<A: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        terms: Option<&Terms>,
        path: &str,
        args: &A,
    ) -> Result<R> {
        self.request(terms, Op::Call, &Name(path), |request| {
            encode("args", args, request)
        })
    }

    /// Reads a global.
    pub(crate) fn get<R: DeserializeOwned>(
        &mut self,
        terms: Option<&Terms>,
        name: &str,
    ) -> Result<R> {
        self.request(terms, Op::Get, &Name(name), |_| Ok(()))
    }

    /// Sets a global.
    pub(crate) fn set<V: Serialize + ?Sized>(
        &mut self,
        terms: Option<&Terms>,
        name: &str,
        value: &V,
    ) -> Result<()> {
        self.request(terms, Op::Set, &Name(name), |request| {
            encode(name, value, request)
        })
    }

    fn request<R: DeserializeOwned>(
        &mut self,
        terms: Option<&Terms>,
        op: Op,
        header: &impl Header,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<R> {
        let session = self.live()?;
        let result = stack::with_room(|| session.request(terms, op, header, value));
        session.store.data_mut().usage.outcome.note(&result);
        if let Err(error) = &result
            && error.ends_instance()
        {
            self.end(error.to_string());
        }
        result
    }

    /// The session of an instance that was not stopped.
    ///
    /// # Errors
    ///
    /// `Poisoned`.
    fn live(&mut self) -> Result<&mut Session> {
        match &mut self.state {
            State::Live(session) => Ok(session),
            State::Ended(ended) => Err(Error::from(ErrorKind::Poisoned {
                id: ended.id,
                reason: ended.reason.clone(),
            })),
        }
    }

    /// Drops the store, and its slot with it.
    fn end(&mut self, reason: String) {
        let State::Live(session) = &mut self.state else {
            return;
        };
        let origin = session.origin();
        let context = session.store.data_mut();
        let ended = Ended {
            id: context.id,
            reason,
            origin,
            output: std::mem::take(&mut context.output),
            usage: std::mem::take(&mut context.usage),
            tape: std::mem::take(&mut context.tape),
            peak_memory: context.accountant.used(),
            shared: Arc::clone(&session.shared),
        };
        self.state = State::Ended(Box::new(ended));
    }
}

#[cfg(feature = "compile")]
fn not_installed(error: wasmtime::Error) -> Error {
    Error::internal(format_args!("translated functions: {error:#}"))
        .caused_by(error.into_boxed_dyn_error())
}

#[cfg(all(test, feature = "workflow"))]
impl Instance {
    /// Whether its guest holds a chunk.
    pub(crate) fn holds(&self, chunk: &wire::Chunk<'_>, with_state: bool) -> bool {
        self.held(chunk, with_state).is_some()
    }
}

#[cfg(feature = "testing")]
impl Instance {
    /// All of its linear memory.
    pub(crate) fn copy_memory(&self) -> Vec<u8> {
        match &self.state {
            State::Live(session) => session.memory.data(&session.store).to_vec(),
            State::Ended(_) => Vec::new(),
        }
    }

    /// Tries to read this instance's memory through the store of `other`.
    pub(crate) fn read_through(&self, other: &Instance) {
        if let (State::Live(own), State::Live(other)) = (&self.state, &other.state) {
            let _ = own.memory.data(&other.store);
        }
    }

    /// Tries to call this instance through the store of `other`.
    pub(crate) fn call_through(&self, other: &mut Instance) {
        if let (State::Live(own), State::Live(other)) = (&self.state, &mut other.state) {
            own.call_through(&mut other.store);
        }
    }
}
