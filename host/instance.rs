//! One wasmtime store with one instance in it, which is one Lua virtual machine.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::{Memory, Store, TypedFunc};

use crate::calls;
use crate::codec::{self, Unreadable};
use crate::context::{Context, Stop};
use crate::error::ErrorKind;
use crate::imports::slice;
use crate::output::Output;
use crate::shared::Shared;
use crate::slots::Slot;
use crate::stack;
use crate::store_id::StoreId;
use crate::ticker::Ticker;
use crate::wire::{self, Name, Op, Setup};
use crate::{Chunk, Error, Result};

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
}

/// Fields are dropped in this order: the store gives its memory back before its slot is free.
struct Live {
    store: Store<Context>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    call: TypedFunc<(u32, u32), u64>,
    /// Whether the guest has been told its [`Setup`], which waits for the first call: an
    /// instance that is never used never runs.
    ready: bool,
    request: Vec<u8>,
    shared: Arc<Shared>,
    _slot: Slot,
}

impl Instance {
    /// A fresh instance in `slot`.
    ///
    /// # Errors
    ///
    /// `Internal` when wasmtime can't make one though there is a slot for it.
    pub(crate) fn new(shared: &Arc<Shared>, slot: Slot) -> Result<Instance> {
        let context = Context::new(shared.limits, Arc::clone(&shared.functions), &shared.random);
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

    /// Runs `chunk` with `state`, if any.
    pub(crate) fn eval<S: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        chunk: &Chunk<'_>,
        state: Option<&S>,
    ) -> Result<R> {
        self.request(Op::Eval, &chunk.to_wire(), |request| match state {
            Some(state) => encode("state", state, request),
            None => Ok(()),
        })
    }

    /// Calls the function at `path` with the elements of `args`.
    pub(crate) fn call<A: Serialize + ?Sized, R: DeserializeOwned>(
        &mut self,
        path: &str,
        args: &A,
    ) -> Result<R> {
        let name = Name { name: path.into() };
        self.request(Op::Call, &name, |request| encode("args", args, request))
    }

    /// Reads a global.
    pub(crate) fn get<R: DeserializeOwned>(&mut self, name: &str) -> Result<R> {
        let name = Name { name: name.into() };
        self.request(Op::Get, &name, |_| Ok(()))
    }

    /// Sets a global.
    pub(crate) fn set<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<()> {
        let header = Name { name: name.into() };
        self.request(Op::Set, &header, |request| encode(name, value, request))
    }

    fn request<R: DeserializeOwned>(
        &mut self,
        op: Op,
        header: &impl Serialize,
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
        if let Err(error) = &result
            && error.ends_instance()
        {
            self.bury(error.to_string());
        }
        result
    }

    /// Drops the store, and its slot with it.
    fn bury(&mut self, reason: String) {
        let epitaph = Epitaph {
            id: self.view().id,
            reason,
            output: self.take_output(),
        };
        self.state = State::Gone(epitaph);
    }
}

impl Live {
    fn new(shared: &Arc<Shared>, context: Context, slot: Slot) -> wasmtime::Result<Live> {
        let (mut store, instance) = shared.image.instantiate(context)?;
        let exports = shared.image.exports();
        let missing = || wasmtime::format_err!("an export is missing");
        let memory = instance
            .get_module_export(&mut store, &exports.memory)
            .and_then(wasmtime::Extern::into_memory)
            .ok_or_else(missing)?;
        let mut function = |export| {
            instance
                .get_module_export(&mut store, export)
                .and_then(wasmtime::Extern::into_func)
                .ok_or_else(missing)
        };
        let (alloc, call) = (function(&exports.alloc)?, function(&exports.call)?);
        Ok(Live {
            alloc: alloc.typed(&store)?,
            call: call.typed(&store)?,
            memory,
            store,
            ready: false,
            request: Vec::new(),
            shared: Arc::clone(shared),
            _slot: slot,
        })
    }

    /// One request and its answer, within the limits of one call.
    fn request<R: DeserializeOwned>(
        &mut self,
        op: Op,
        header: &impl Serialize,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<R> {
        let limits = self.store.data().limits;
        // Before the clock starts: a value that can't be encoded is the caller's mistake.
        frame(&mut self.request, header, value)?;
        if self.request.len() > limits.value.saturating_add(HEADROOM) {
            return Err(Error::from(ErrorKind::Value {
                message: format!(
                    "what is passed in has {} bytes, more than the {} that may pass in one piece",
                    self.request.len(),
                    limits.value
                ),
            }));
        }
        let _call = calls::enter();
        let _running = Ticker::run(self.shared.image.ticker());
        let context = self.store.data_mut();
        context.deadline = Instant::now().checked_add(limits.wall);
        context.accountant.refused = false;
        self.store.set_epoch_deadline(1);
        if !self.ready {
            let request = std::mem::take(&mut self.request);
            self.set_up()?;
            self.request = request;
            self.ready = true;
        }
        self.exchange(op)
    }

    fn set_up(&mut self) -> Result<()> {
        let context = self.store.data_mut();
        let setup = Setup {
            seed: context.entropy.seed(),
            lua_memory: context.limits.lua_memory(self.shared.image.fixed_memory()),
            max_value: context.limits.value as u64,
            functions: context.functions.names().map(Into::into).collect(),
        };
        frame(&mut self.request, &setup, |_| Ok(()))?;
        self.exchange::<()>(Op::Setup).map_err(|error| {
            if error.ends_instance() {
                error
            } else {
                Error::internal(format_args!("the guest refused its setup: {error}"))
            }
        })
    }

    /// Sends the request buffer and reads the answer.
    fn exchange<R: DeserializeOwned>(&mut self, op: Op) -> Result<R> {
        let limits = self.store.data().limits;
        let (ptr, len) = match self.transfer(op) {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                return Err(Error::from(ErrorKind::OutOfMemory {
                    limit: limits.memory,
                    fatal: false,
                }));
            }
            Err(error) => return Err(self.stopped(&error)),
        };
        let answer = slice(self.memory.data(&self.store), ptr, len).map_err(Error::internal)?;
        match answer.split_first() {
            Some((&wire::OK, value)) => {
                codec::decode("result", value, limits.value).map_err(|error| {
                    let message = error.to_string();
                    match error {
                        Unreadable::Mismatch(_) => ErrorKind::Value { message }.into(),
                        Unreadable::Malformed(_) => Error::internal(message),
                    }
                })
            }
            Some((&wire::FAILED, failure)) => {
                let failure = codec::decode("the guest's error", failure, HEADROOM)
                    .map_err(Error::internal)?;
                Err(Error::from_guest(failure, limits.memory))
            }
            _ => Err(Error::internal("the guest's answer has no status")),
        }
    }

    /// Copies the request in and lets the guest answer it: pointer and length of the answer,
    /// or nothing if the guest has no room for the request.
    fn transfer(&mut self, op: Op) -> wasmtime::Result<Option<(u32, u32)>> {
        let len = u32::try_from(self.request.len())?;
        let ptr = self.alloc.call(&mut self.store, len)?;
        if ptr == 0 {
            return Ok(None);
        }
        self.memory
            .write(&mut self.store, usize::try_from(ptr)?, &self.request)
            .map_err(|_| Stop::Guest("its buffer lies outside of the memory".into()))?;
        let answer = self.call.call(&mut self.store, (op as u32, len))?;
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        Ok(Some((answer as u32, (answer >> 32) as u32)))
    }

    /// What it means that a call into the guest ended in `error`.
    fn stopped(&self, error: &wasmtime::Error) -> Error {
        let context = self.store.data();
        match error.downcast_ref() {
            Some(Stop::Deadline(limit)) => ErrorKind::Timeout { limit: *limit }.into(),
            Some(Stop::Host(message)) => Error::internal(message),
            // The guest aborts when an allocation fails that can't be reported to Lua.
            _ if context.accountant.refused => ErrorKind::OutOfMemory {
                limit: context.limits.memory,
                fatal: true,
            }
            .into(),
            _ => Error::internal(format_args!("{error:#}")),
        }
    }
}

/// What a request or an answer may have beyond the value in it: names, code, a traceback.
const HEADROOM: usize = 1 << 20;

/// Fills `request` with the length of the header, the header, and the value.
fn frame(
    request: &mut Vec<u8>,
    header: &impl Serialize,
    value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    /// Bytes of capacity that are kept from one request to the next.
    const KEPT: usize = 64 << 10;

    request.clear();
    request.shrink_to(KEPT);
    request.extend([0; 4]);
    codec::encode(header, request).map_err(Error::internal)?;
    let len = u32::try_from(request.len() - 4).map_err(Error::internal)?;
    request[..4].copy_from_slice(&len.to_le_bytes());
    value(request)
}

fn encode<T: Serialize + ?Sized>(what: &str, value: &T, request: &mut Vec<u8>) -> Result<()> {
    codec::encode(value, request).map_err(|error| {
        Error::from(ErrorKind::Value {
            message: format!("{what}: {error}"),
        })
    })
}

#[cfg(feature = "testing")]
impl Instance {
    /// Tries to read this instance's memory through the store of `other`.
    pub(crate) fn read_through(&self, other: &Instance) {
        if let (State::Live(own), State::Live(other)) = (&self.state, &other.state) {
            let _ = own.memory.data(&other.store);
        }
    }

    /// Tries to call this instance's allocator through the store of `other`.
    pub(crate) fn call_through(&self, other: &mut Instance) {
        if let (State::Live(own), State::Live(other)) = (&self.state, &mut other.state) {
            let _ = own.alloc.call(&mut other.store, 1);
        }
    }
}
