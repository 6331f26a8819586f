//! One wasmtime store with one instance in it, which is one Lua virtual machine.

pub(crate) mod bytecode;
pub(crate) mod chunk;
pub(crate) mod handle;
pub(crate) mod session;
pub(crate) mod shard;
pub(crate) mod shared;
pub(crate) mod stack;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ErrorKind;
use crate::identity::StoreId;
use crate::instance::bytecode::Compiler;
use crate::instance::session::{Live, encode};
use crate::instance::shard::Shard;
use crate::pool::slots::Slot;
use crate::report::output::Output;
use crate::report::{Report, Tally};
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::store::context::{Context, Stop, guarded};
use crate::sync::nesting;
use crate::wire::{self, Bytecode, Header, Name, Op};
use crate::{Chunk, Error, Result, Role};

/// An instance, or what is left of it.
///
/// Once something stopped it in the middle of what it did, nothing is known about its state:
/// it is dropped at once and only its id and the reason remain.
pub struct Instance {
    state: State,
}

/// What is to be seen of an instance from outside.
#[derive(Clone, Copy)]
pub struct View {
    /// The id in the store's own data; of a store that is gone, the one it had.
    pub(crate) id: StoreId,
    /// Whether it can still run anything.
    pub(crate) live: bool,
    /// Where its linear memory lies, while it is live.
    pub(crate) memory_base: Option<usize>,
}

enum State {
    Live(Box<Live>),
    Gone(Epitaph),
}

struct Epitaph {
    id: StoreId,
    reason: String,
    output: Output,
    tally: Tally,
    peak_memory: usize,
    shared: Arc<Shard>,
}

impl Instance {
    /// A fresh instance in `slot`, for calls on these terms.
    ///
    /// # Errors
    ///
    /// `Internal` when wasmtime can't make one though there is a slot for it; `HostPanic` when
    /// the clock that it is granted panics.
    pub(crate) fn new(shared: &Arc<Shard>, slot: Slot, terms: Terms) -> Result<Instance> {
        // The clock is the embedder's code, called on behalf of what is to be an instance.
        let _call = nesting::enter();
        let granted = terms.granted.unwrap_or_else(|| Arc::clone(&shared.granted));
        let born = match granted.clock() {
            Some(clock) => guarded("clock", || clock.now()),
            None => Ok(Duration::ZERO),
        };
        let born = born.map_err(|stop| match stop {
            Stop::HostPanic { function, message } => {
                Error::from(ErrorKind::HostPanic { function, message })
            }
            other => Error::internal(other),
        })?;
        let context = Context::new(
            terms.limits,
            terms.deadline,
            terms.cancel,
            granted,
            born,
            &shared.random,
        );
        let live = Live::new(shared, context, slot).map_err(|error| {
            Error::internal(format_args!("no instance could be made: {error:#}"))
        })?;
        Ok(Instance {
            state: State::Live(Box::new(live)),
        })
    }

    /// What is to be seen of it from outside.
    pub(crate) fn view(&self) -> View {
        match &self.state {
            State::Live(live) => View {
                id: live.store.data().id,
                live: true,
                memory_base: Some(live.memory.data_ptr(&live.store).addr()),
            },
            State::Gone(epitaph) => View {
                id: epitaph.id,
                live: false,
                memory_base: None,
            },
        }
    }

    /// What was printed since the last time.
    pub(crate) fn take_output(&mut self) -> Output {
        match &mut self.state {
            State::Live(live) => std::mem::take(&mut live.store.data_mut().output),
            State::Gone(epitaph) => std::mem::take(&mut epitaph.output),
        }
    }

    /// What the calls since the last report cost.
    pub(crate) fn take_report(&mut self, role: Role) -> Report {
        let output = self.take_output();
        let (id, tally, peak_memory, shared) = match &mut self.state {
            State::Live(live) => {
                let context = live.store.data_mut();
                let tally = std::mem::take(&mut context.tally);
                (context.id, tally, context.accountant.used(), &live.shared)
            }
            State::Gone(epitaph) => {
                let tally = std::mem::take(&mut epitaph.tally);
                (epitaph.id, tally, epitaph.peak_memory, &epitaph.shared)
            }
        };
        let host_calls = tally.by_name(shared.host_call_names());
        let metered = shared.image.is_metered();
        tally.report((id, role), metered, peak_memory, &output, host_calls)
    }

    /// Uses the instance on narrower terms.
    ///
    /// # Errors
    ///
    /// `Options` when they aren't narrower.
    pub(crate) fn on_terms<T>(
        &mut self,
        options: &RunOptions,
        f: impl FnOnce(&mut Instance) -> Result<T>,
    ) -> Result<T> {
        let State::Live(live) = &mut self.state else {
            return f(self);
        };
        let outer = live.terms.take();
        let terms = live.narrower(options, outer.as_ref());
        if let (Ok(terms), State::Live(live)) = (&terms, &mut self.state) {
            live.terms = Some(terms.clone());
        }
        // What is being passed in or out may panic as it is converted.
        let result = panic::catch_unwind(AssertUnwindSafe(|| terms.and_then(|_| f(self))));
        if let State::Live(live) = &mut self.state {
            live.terms = outer;
        }
        result.unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// Runs `chunk` with `state`, if any.
    pub(crate) fn eval<S: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_>,
        state: Option<&S>,
    ) -> Result<R> {
        let chunk = chunk.to_wire();
        let value = |request: &mut Vec<u8>| match state {
            Some(state) => encode("state", state, request),
            None => Ok(()),
        };
        let compiled = match &self.state {
            State::Live(live) => Compiler::compiled(&live.shared, &chunk, state.is_some()),
            State::Gone(_) => None,
        };
        match compiled {
            Some(bytecode) => self.request(Op::Run, &Bytecode(&bytecode), value),
            None => self.request(Op::Eval, &chunk, value),
        }
    }

    /// What `chunk` compiles to, in an instance made for that.
    pub(crate) fn compile(self, chunk: &wire::Chunk<'_>, with_state: bool) -> Result<Vec<u8>> {
        match self.state {
            State::Live(live) => stack::with_room(|| live.compile(chunk, with_state)),
            State::Gone(_) => Err(Error::internal("a fresh instance is gone")),
        }
    }

    /// Calls the function at `path` with the elements of `args`.
    pub(crate) fn call<A: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        path: &str,
        args: &A,
    ) -> Result<R> {
        self.request(Op::Call, &Name(path), |request| {
            encode("args", args, request)
        })
    }

    /// Reads a global.
    pub(crate) fn get<R: DeserializeOwned>(&mut self, name: &str) -> Result<R> {
        self.request(Op::Get, &Name(name), |_| Ok(()))
    }

    /// Sets a global.
    pub(crate) fn set<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<()> {
        self.request(Op::Set, &Name(name), |request| encode(name, value, request))
    }

    fn request<R: DeserializeOwned>(
        &mut self,
        op: Op,
        header: &impl Header,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<R> {
        let live = match &mut self.state {
            State::Live(live) => live,
            State::Gone(Epitaph { id, reason, .. }) => {
                return Err(Error::from(ErrorKind::Poisoned {
                    id: *id,
                    reason: reason.clone(),
                }));
            }
        };
        let result = stack::with_room(|| live.request(op, header, value));
        live.store.data_mut().tally.outcome.note(&result);
        if let Err(error) = &result
            && error.ends_instance()
        {
            self.bury(error.to_string());
        }
        result
    }

    /// Drops the store, and its slot with it.
    fn bury(&mut self, reason: String) {
        let State::Live(live) = &mut self.state else {
            return;
        };
        let context = live.store.data_mut();
        let epitaph = Epitaph {
            id: context.id,
            reason,
            output: std::mem::take(&mut context.output),
            tally: std::mem::take(&mut context.tally),
            peak_memory: context.accountant.used(),
            shared: Arc::clone(&live.shared),
        };
        self.state = State::Gone(epitaph);
    }
}

#[cfg(feature = "testing")]
impl Instance {
    /// All of its linear memory.
    pub(crate) fn copy_memory(&self) -> Vec<u8> {
        match &self.state {
            State::Live(live) => live.memory.data(&live.store).to_vec(),
            State::Gone(_) => Vec::new(),
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
