//! A live instance: its store, and the protocol of requests and answers with the guest in it.

mod answer;
mod copy;
mod replay;
mod request;
mod stopped;
#[cfg(feature = "compile")]
mod translated;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use wasmtime::{Memory, Store, TypedFunc};

use crate::codec::Unreadable;
use crate::engine::exports::Exports;
use crate::error::ErrorKind;
use crate::grants::told::Told;
use crate::instance::frozen::Frozen;
use crate::instance::shared::Shared;
use crate::run::limits::Limits;
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::store::accountant::allowance;
use crate::store::context::{Context, Stop};
use crate::store::interrupt::Interrupter;
use crate::store::memory::slice;
use crate::sync::nesting;
use crate::sync::slots::Slot;
use crate::wire::{self, Allowance, Chunk, Header, Op, Setup};
use crate::{Error, Result};

use answer::{failed, read_failure, read_value};
use request::{HEADROOM, frame};
use stopped::stopped;

pub(crate) use request::encode;

/// What `moonfork_call` takes: the operation, the length of the request, and an [`Allowance`], of
/// which both numbers of bytes are one parameter, the value's above Lua's.
type CallParams = (u32, u32, u64, u32);

/// Where the exports are of an instance that began with this memory, or with none.
fn exports<'s>(shared: &'s Shared, frozen: Option<&'s Frozen>) -> &'s Exports {
    match frozen {
        None => shared.image.exports(),
        Some(frozen) => frozen.memory.exports(),
    }
}

/// Fields are dropped in this order: the store gives its memory back before its slot is free.
pub(crate) struct Session {
    pub(crate) store: Store<Context>,
    pub(crate) memory: Memory,
    instance: wasmtime::Instance,
    call: TypedFunc<CallParams, u64>,
    /// Whether the guest has been told its [`Setup`], if there is one, which waits for the first
    /// call: an instance that is never used never runs.
    ready: bool,
    /// Whether the guest has its seed, which comes with the first request.
    seeded: bool,
    request: Vec<u8>,
    /// Where the guest has room for small requests, and how much.
    room: Option<(u32, u32)>,
    /// What it began with in place of the guest's own memory.
    frozen: Option<Arc<Frozen>>,
    /// What those were told that it is a copy of.
    inherited: Option<Arc<Told>>,
    /// The chunks whose translated functions it has.
    #[cfg(feature = "compile")]
    translated: Vec<Arc<crate::engine::translated::Translated>>,
    pub(crate) shared: Arc<Shared>,
    _slot: Slot,
}

impl Session {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        frozen: Option<&Arc<Frozen>>,
        context: Context,
        slot: Slot,
    ) -> wasmtime::Result<Session> {
        let memory = frozen.map(|frozen| &frozen.memory);
        let (mut store, instance) = shared.image.instantiate(context, memory)?;
        let exports = exports(shared, frozen.map(|frozen| &**frozen));
        let missing = || wasmtime::format_err!("an export is missing");
        let memory = instance
            .get_module_export(&mut store, &exports.memory)
            .and_then(wasmtime::Extern::into_memory)
            .ok_or_else(missing)?;
        let call = instance
            .get_module_export(&mut store, &exports.call)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(missing)?;
        let context = store.data_mut();
        context.interrupter = exports
            .interrupter
            .map(|exports| Interrupter::new(instance, exports));
        context.times_host = shared.counts_time();
        let mut session = Session {
            call: call.typed(&store)?,
            instance,
            memory,
            ready: !store.data().granted.needs_setup(),
            store,
            seeded: false,
            request: Vec::new(),
            room: shared.image.room(),
            frozen: None,
            inherited: None,
            #[cfg(feature = "compile")]
            translated: Vec::new(),
            shared: Arc::clone(shared),
            _slot: slot,
        };
        if let Some(frozen) = frozen {
            session.begin_frozen(frozen)?;
        }
        Ok(session)
    }

    /// The terms that `options` ask for, within those of the instance and within `outer`.
    ///
    /// # Errors
    ///
    /// `Options` when they are wider.
    pub(crate) fn narrower(&self, options: &RunOptions, outer: Option<&Terms>) -> Result<Terms> {
        let context = self.store.data();
        let metered = self.shared.image.is_metered();
        Terms::of_calls(options, &context.limits, &context.granted, outer, metered)
    }

    /// One request and its answer, within the limits of one call.
    pub(crate) fn request<R: DeserializeOwned>(
        &mut self,
        terms: Option<&Terms>,
        op: Op,
        header: &impl Header,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<R> {
        self.within_limits(terms, op, header, value, |session, limits| {
            session.set_up_and_exchange(op, limits)
        })
    }

    /// What a chunk compiles to, if that is within reason. Only a fresh instance is asked, and
    /// only once: what has run a script may answer anything.
    pub(crate) fn compile(mut self, chunk: &Chunk<'_>, with_state: bool) -> Result<Vec<u8>> {
        /// Bytes that leave room for the rest of a request.
        const MAX: usize = HEADROOM / 2;

        let value = |request: &mut Vec<u8>| {
            if with_state {
                encode("state", &(), request)?;
            }
            Ok(())
        };
        self.within_limits(None, Op::Compile, chunk, value, |session, limits| {
            session.exchange(Op::Compile, limits, |bytecode, _| {
                if bytecode.len() > MAX {
                    let message = format!("the bytecode has {} bytes", bytecode.len());
                    return Err(Unreadable::Malformed(message));
                }
                Ok(bytecode.to_vec())
            })
        })
    }

    /// Does `exchange` with a request, within the limits of one call.
    fn within_limits<R>(
        &mut self,
        terms: Option<&Terms>,
        op: Op,
        header: &impl Header,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
        exchange: impl FnOnce(&mut Session, &Limits) -> Result<R>,
    ) -> Result<R> {
        let context = self.store.data();
        let limits = terms.map_or(context.limits, |terms| terms.limits);
        // Before the clock starts: a value that can't be encoded is the caller's mistake.
        frame(&mut self.request, header, value)?;
        if self.request.len() > limits.value.saturating_add(HEADROOM) {
            return Err(Error::from(ErrorKind::Argument {
                message: format!(
                    "what is passed in has {} bytes, more than the {} that may pass in one piece",
                    self.request.len(),
                    limits.value
                ),
            }));
        }
        let _call = nesting::enter();
        let fuel = self.begin(terms, &limits)?;
        let context = self.store.data_mut();
        let room = context.output.room(limits.output);
        context.tape.begin(op as u32, &self.request, &limits, room);
        let result = exchange(self, &limits);
        let burnt = self.settle(fuel);
        self.store.data_mut().tape.end(result.as_ref().err(), burnt);
        result
    }

    /// Starts what the call is measured by; returns the fuel it has, where that is metered.
    ///
    /// # Errors
    ///
    /// `Cancelled` or `Timeout` when the call must not even begin.
    fn begin(&mut self, terms: Option<&Terms>, limits: &Limits) -> Result<Option<u64>> {
        let context = self.store.data_mut();
        context.usage.calls += 1;
        context.begin_call(terms);
        match context.call.due(context.call.start) {
            None => {}
            Some(Stop::Cancelled) => {
                return Err(Error::from(ErrorKind::Cancelled {
                    at: None,
                    begun: false,
                }));
            }
            Some(_) => {
                return Err(Error::from(ErrorKind::Timeout {
                    limit: context.call.deadline.and_then(|deadline| deadline.time()),
                    at: None,
                    begun: false,
                }));
            }
        }
        context.accountant.begin(limits.memory);
        // In this order: `host/engine/ticker.rs` says why.
        self.store.set_epoch_deadline(1);
        self.shared.image.awake().touch();
        if !self.shared.image.is_metered() {
            return Ok(None);
        }
        self.store.set_fuel(limits.fuel).map_err(Error::internal)?;
        Ok(Some(limits.fuel))
    }

    /// Books what the call cost; gives the fuel.
    fn settle(&mut self, fuel: Option<u64>) -> u64 {
        let burnt = match fuel {
            Some(fuel) => fuel.saturating_sub(self.store.get_fuel().unwrap_or(0)),
            None => 0,
        };
        let context = self.store.data_mut();
        context.usage.fuel += burnt;
        context.usage.wall += context.call.start.elapsed();
        context.call.awake = None;
        burnt
    }

    fn set_up_and_exchange<R: DeserializeOwned>(&mut self, op: Op, limits: &Limits) -> Result<R> {
        if !self.ready {
            let request = std::mem::take(&mut self.request);
            self.set_up()?;
            self.request = request;
            self.ready = true;
        }
        self.exchange(op, limits, read_value)
    }

    fn set_up(&mut self) -> Result<()> {
        let context = self.store.data();
        let granted = Arc::clone(&context.granted);
        let inherited = self.inherited.as_deref().unwrap_or(Told::NOTHING);
        let news = inherited.news(&granted, context.numbers.as_deref());
        let setup = Setup {
            functions: news
                .functions
                .iter()
                .map(|(number, name)| (*number, name.into()))
                .collect(),
            clock: news.clock,
            modules: news.modules,
            files: news.files,
        };
        frame(&mut self.request, &setup, |request| {
            match granted.variables() {
                Some(variables) if news.variables => encode("variables", &variables, request),
                _ => Ok(()),
            }
        })?;
        self.store.data_mut().tape.note_setup(&self.request);
        // What an instance is told of its grants is not part of the call that comes first.
        let limits = self.store.data().limits;
        let told = self.exchange(Op::Setup, &limits, read_value::<()>);
        told.map_err(|error| {
            if error.ends_instance() || error.is_out_of_memory() || error.is_argument() {
                error
            } else {
                Error::internal(format_args!("the guest refused its setup: {error}"))
            }
        })
    }

    /// Sends the request buffer and reads the answer with `read`.
    fn exchange<R>(
        &mut self,
        op: Op,
        limits: &Limits,
        read: impl FnOnce(&[u8], &Limits) -> Result<R, Unreadable>,
    ) -> Result<R> {
        let (ptr, len) = match self.transfer(op, limits) {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                return Err(Error::from(ErrorKind::OutOfMemory {
                    limit: limits.memory,
                    fatal: false,
                    at: None,
                }));
            }
            Err(error) => return Err(stopped(&mut self.store, &self.memory, error)),
        };
        let (memory, context) = self.memory.data_and_store_mut(&mut self.store);
        let answer = slice(memory, ptr, len).map_err(Error::internal)?;
        if op != Op::Setup {
            context.tape.note_answer(answer);
        }
        match answer.split_first() {
            Some((&wire::OK, value)) => read(value, limits).map_err(|error| {
                let message = error.to_string();
                match error {
                    Unreadable::Mismatch(_) => ErrorKind::Mismatch { message }.into(),
                    Unreadable::Malformed(_) => Error::internal(message),
                }
            }),
            Some((&wire::FAILED, failure)) => {
                let (failure, value) = read_failure(failure, limits).map_err(Error::internal)?;
                Err(failed(context, failure, value))
            }
            _ => Err(Error::internal("the guest's answer has no status")),
        }
    }

    /// Copies the request in and lets the guest answer it: pointer and length of the answer,
    /// or nothing if the guest has no room for the request.
    fn transfer(&mut self, op: Op, limits: &Limits) -> wasmtime::Result<Option<(u32, u32)>> {
        let mut op = op as u32;
        if !self.seeded {
            op |= wire::FRESH;
            let (low, high) = self.store.data_mut().seed();
            self.request.extend(low.to_le_bytes());
            self.request.extend(high.to_le_bytes());
        }
        let len = u32::try_from(self.request.len())?;
        let Some(ptr) = self.room_for(len)? else {
            return Ok(None);
        };
        self.memory
            .write(&mut self.store, usize::try_from(ptr)?, &self.request)
            .map_err(|_| Stop::Guest("its buffer lies outside of the memory".into()))?;
        self.seeded = true;
        let Allowance {
            lua_memory,
            max_value,
            max_depth,
        } = allowance(limits, self.shared.image.fixed_memory());
        let bytes = u64::from(max_value) << 32 | u64::from(lua_memory);
        let answer = (self.call).call(&mut self.store, (op, len, bytes, max_depth))?;
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        Ok(Some(((answer >> 32) as u32, answer as u32)))
    }

    /// Where the guest has room for a request; nothing if it has none. Whatever it has had room
    /// for, it has room for again, unless that was large.
    fn room_for(&mut self, len: u32) -> wasmtime::Result<Option<u32>> {
        if let Some((ptr, room)) = self.room
            && len <= room
        {
            return Ok(Some(ptr));
        }
        let wanted = len.max(wire::ROOM);
        let ptr = self.alloc(wanted)?;
        self.room = (ptr != 0 && wanted == wire::ROOM).then_some((ptr, wanted));
        // A copy has it where the one had it that it is a copy of, and nobody else has.
        if !self.seeded
            && self.inherited.is_none()
            && let Some(room) = self.room
        {
            self.shared.image.set_room(room);
        }
        Ok((ptr != 0).then_some(ptr))
    }

    /// Asks the guest for room. It is looked up where it is asked, since few instances do.
    fn alloc(&mut self, bytes: u32) -> wasmtime::Result<u32> {
        let exports = exports(&self.shared, self.frozen.as_deref());
        let alloc = self
            .instance
            .get_module_export(&mut self.store, &exports.alloc)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(|| wasmtime::format_err!("an export is missing"))?;
        let alloc = alloc.typed::<u32, u32>(&self.store)?;
        alloc.call(&mut self.store, bytes)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn call_through(&self, store: &mut Store<Context>) {
        let _ = self.call.call(store, (Op::Get as u32, 0, 0, 0));
    }
}
