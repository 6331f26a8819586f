//! A live instance: its store, and the protocol of requests and answers with the guest in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::{AsContextMut, Memory, Store, Trap, TypedFunc};

use crate::codec::{self, Unreadable};
use crate::engine::ticker::Ticket;
use crate::error::{ErrorKind, Site};
use crate::instance::shard::Shard;
use crate::pool::slots::Slot;
use crate::run::limits::Limits;
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::store::context::{Context, Stop, earlier};
use crate::store::imports::{read_site, slice};
use crate::store::interrupt::Interrupter;
use crate::sync::nesting;
use crate::wire::{self, Allowance, Chunk, Failure, FailureKind, Header, Op, Setup};
use crate::{Cancel, Error, Result};

/// What `moonfork_call` takes: the operation, the length of the request, and an [`Allowance`], of
/// which both numbers of bytes are one parameter, the value's above Lua's.
type CallParams = (u32, u32, u64, u32);

/// Limits of time below this are kept to from the moment a call begins. For others the clock may
/// start when it is first looked at, at the next tick.
const TIMED: Duration = Duration::from_secs(1);

/// Fields are dropped in this order: the store gives its memory back before its slot is free.
pub(crate) struct Live {
    pub(crate) store: Store<Context>,
    pub(crate) memory: Memory,
    instance: wasmtime::Instance,
    call: TypedFunc<CallParams, u64>,
    /// Whether the guest has been told its [`Setup`], if there is one, which waits for the first
    /// call: an instance that is never used never runs.
    ready: bool,
    /// What its calls keep the clock going with, unless one is under way or has panicked.
    ticket: Option<Ticket>,
    /// Whether the guest has its seed, which comes with the first request.
    seeded: bool,
    /// Narrower terms of the calls that come next.
    pub(crate) terms: Option<Terms>,
    request: Vec<u8>,
    /// Where the guest has room for small requests, and how much.
    room: Option<(u32, u32)>,
    pub(crate) shared: Arc<Shard>,
    _slot: Slot,
}

impl Live {
    pub(crate) fn new(shared: &Arc<Shard>, context: Context, slot: Slot) -> wasmtime::Result<Live> {
        let ticker = shared.image.ticker();
        let running = ticker.run(ticker.ticket());
        let (mut store, instance) = shared.image.instantiate(context)?;
        let ticket = running.end();
        let exports = shared.image.exports();
        let missing = || wasmtime::format_err!("an export is missing");
        let memory = instance
            .get_module_export(&mut store, &exports.memory)
            .and_then(wasmtime::Extern::into_memory)
            .ok_or_else(missing)?;
        let call = instance
            .get_module_export(&mut store, &exports.call)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(missing)?;
        store.data_mut().interrupter = exports
            .interrupter
            .map(|exports| Interrupter::new(instance, exports));
        Ok(Live {
            call: call.typed(&store)?,
            instance,
            memory,
            ready: !store.data().granted.is_told(),
            store,
            ticket,
            seeded: false,
            terms: None,
            request: Vec::new(),
            room: shared.image.room(),
            shared: Arc::clone(shared),
            _slot: slot,
        })
    }

    /// The terms that `options` ask for, within those of the instance and within `outer`.
    pub(crate) fn narrower(&self, options: &RunOptions, outer: Option<&Terms>) -> Result<Terms> {
        let context = self.store.data();
        let limits = outer.map_or(&context.limits, |outer| &outer.limits);
        let granted = match options.get_grants() {
            None => outer.and_then(|outer| outer.granted.clone()),
            Some(grants) => {
                let wider = outer.and_then(|outer| outer.granted.as_ref());
                grants.check_narrower(wider.unwrap_or(&context.granted).grants())?;
                Some(Arc::new(self.shared.grant(grants.clone())?))
            }
        };
        let outer_cancel = outer.and_then(|outer| outer.cancel.as_ref());
        Ok(Terms {
            limits: options.narrow(limits, self.shared.image.is_metered())?,
            deadline: earlier(
                options.get_deadline(),
                outer.and_then(|outer| outer.deadline),
            ),
            cancel: match (options.get_cancel(), outer_cancel) {
                (Some(own), Some(outer)) => Some(Cancel::any([own, outer])),
                (own, outer) => own.or(outer).cloned(),
            },
            granted,
        })
    }

    /// One request and its answer, within the limits of one call.
    pub(crate) fn request<R: DeserializeOwned>(
        &mut self,
        op: Op,
        header: &impl Header,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<R> {
        self.begun(header, value, |live, limits| {
            live.set_up_and_exchange(op, limits)
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
        self.begun(chunk, value, |live, limits| {
            live.exchange(Op::Compile, limits, |bytecode, _| {
                if bytecode.len() > MAX {
                    let message = format!("the bytecode has {} bytes", bytecode.len());
                    return Err(Unreadable::Malformed(message));
                }
                Ok(bytecode.to_vec())
            })
        })
    }

    /// Does `exchange` with a request, within the limits of one call.
    fn begun<R>(
        &mut self,
        header: &impl Header,
        value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
        exchange: impl FnOnce(&mut Live, &Limits) -> Result<R>,
    ) -> Result<R> {
        let limits = self.begin();
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
        let _call = nesting::enter();
        let ticker = self.shared.image.ticker();
        let ticket = self.ticket.take().unwrap_or_else(|| ticker.ticket());
        let running = ticker.run(ticket);
        let result = self.start_clocks(&limits).and_then(|fuel| {
            let result = exchange(self, &limits);
            self.settle(fuel);
            result
        });
        self.ticket = running.end();
        result
    }

    /// Takes over the terms of the call that begins.
    fn begin(&mut self) -> Limits {
        let context = self.store.data_mut();
        let call = &mut context.call;
        call.limits = context.limits;
        call.cancels = [context.cancel.clone(), None];
        call.narrowed = None;
        call.start = None;
        call.deadline = context.deadline;
        if let Some(terms) = &self.terms {
            call.limits = terms.limits;
            call.cancels[1].clone_from(&terms.cancel);
            call.narrowed.clone_from(&terms.granted);
            call.deadline = earlier(context.deadline, terms.deadline);
        }
        call.host_calls_left = call.limits.host_calls;
        if !call.denials.is_empty() {
            call.denials.clear();
        }
        call.stopping = None;
        call.site = None;
        call.post_mortem = false;
        call.limits
    }

    /// Starts what the call is measured by; returns the fuel it has, where that is metered.
    ///
    /// # Errors
    ///
    /// `Cancelled` or `Timeout` when the call must not even begin.
    fn start_clocks(&mut self, limits: &Limits) -> Result<Option<u64>> {
        let context = self.store.data_mut();
        let timed = context.tally.begin_call();
        let call = &mut context.call;
        if call.deadline.is_some() || limits.wall < TIMED {
            call.start_clock(1, Instant::now);
        } else if let Some(stands_for) = timed {
            call.start_clock(stands_for, Instant::now);
        }
        let stop = match call.start {
            Some(start) => call.due(start),
            None => call.is_cancelled().then_some(Stop::Cancelled),
        };
        match stop {
            None => {}
            Some(Stop::Cancelled) => {
                return Err(Error::from(ErrorKind::Cancelled {
                    at: None,
                    begun: false,
                }));
            }
            Some(_) => {
                return Err(Error::from(ErrorKind::Timeout {
                    limit: Duration::ZERO,
                    at: None,
                    begun: false,
                }));
            }
        }
        context.accountant.begin(limits.memory);
        self.store.set_epoch_deadline(1);
        if !self.shared.image.is_metered() {
            return Ok(None);
        }
        let fuel = limits.fuel.unwrap_or(u64::MAX);
        self.store.set_fuel(fuel).map_err(Error::internal)?;
        Ok(Some(fuel))
    }

    /// Books what the call cost.
    fn settle(&mut self, fuel: Option<u64>) {
        if let Some(fuel) = fuel {
            let left = self.store.get_fuel().unwrap_or(0);
            self.store.data_mut().tally.fuel += fuel.saturating_sub(left);
        }
        let context = self.store.data_mut();
        context.tally.wall += context.call.spent();
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
        let granted = Arc::clone(&self.store.data().granted);
        let setup = Setup {
            functions: granted
                .functions()
                .filter(|(.., granted)| *granted)
                .map(|(number, name, _)| (number, name.into()))
                .collect(),
            clock: granted.clock().is_some(),
            modules: granted.has_modules(),
            files: granted.has_folders(),
        };
        frame(&mut self.request, &setup, |request| {
            match granted.variables() {
                Some(variables) => encode("variables", &variables, request),
                None => Ok(()),
            }
        })?;
        // What an instance is told of its grants is not part of the call that comes first.
        let limits = self.store.data().limits;
        let told = self.exchange(Op::Setup, &limits, read_value::<()>);
        told.map_err(|error| {
            if error.ends_instance() || error.is_out_of_memory() || error.is_value() {
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
            Err(error) => return Err(self.stopped(&error)),
        };
        let answer = slice(self.memory.data(&self.store), ptr, len).map_err(Error::internal)?;
        match answer.split_first() {
            Some((&wire::OK, value)) => read(value, limits).map_err(|error| {
                let message = error.to_string();
                match error {
                    Unreadable::Mismatch(_) => ErrorKind::Value { message }.into(),
                    Unreadable::Malformed(_) => Error::internal(message),
                }
            }),
            Some((&wire::FAILED, failure)) => {
                let (failure, value) = read_failure(failure, limits).map_err(Error::internal)?;
                Err(self.failed(failure, value, limits))
            }
            _ => Err(Error::internal("the guest's answer has no status")),
        }
    }

    /// What it means that the script failed: it may lack a capability.
    fn failed(&self, failure: Failure, value: Option<serde_json::Value>, limits: &Limits) -> Error {
        let context = self.store.data();
        if failure.kind == FailureKind::Runtime {
            let mut denials = context.call.denials.iter();
            if let Some(denial) = denials.find(|denial| failure.message.ends_with(&denial.message))
            {
                let denial = denial.clone();
                return denial.into_error(failure.message, failure.traceback);
            }
            let missing = nil_global(&failure.message)
                .and_then(|name| Some((name, context.granted().missing_global(name)?)));
            if let Some((name, capability)) = missing {
                let message = format!(
                    "{}; '{name}' needs the capability '{capability}', which was not granted",
                    failure.message
                );
                return ErrorKind::Denied {
                    capability,
                    message,
                    traceback: failure.traceback,
                }
                .into();
            }
        }
        Error::from_guest(failure, value, limits.memory)
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
        } = limits.allowance(self.shared.image.fixed_memory());
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
        if !self.seeded
            && let Some(room) = self.room
        {
            self.shared.image.set_room(room);
        }
        Ok((ptr != 0).then_some(ptr))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn call_through(&self, store: &mut Store<Context>) {
        let _ = self.call.call(store, (Op::Get as u32, 0, 0, 0));
    }

    /// Asks the guest for room. It is looked up where it is asked, since few instances do.
    fn alloc(&mut self, bytes: u32) -> wasmtime::Result<u32> {
        let alloc = self
            .instance
            .get_module_export(&mut self.store, &self.shared.image.exports().alloc)
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(|| wasmtime::format_err!("an export is missing"))?;
        let alloc = alloc.typed::<u32, u32>(&self.store)?;
        alloc.call(&mut self.store, bytes)
    }

    /// What it means that a call into the guest ended in `error`.
    fn stopped(&mut self, error: &wasmtime::Error) -> Error {
        let site = self.store.data_mut().call.site.take();
        let at = site.or_else(|| self.ask_site());
        let context = self.store.data();
        let limits = &context.call.limits;
        let timeout = |at| ErrorKind::Timeout {
            limit: match (context.call.start, context.call.deadline) {
                (Some(start), Some(deadline)) => deadline.duration_since(start),
                _ => limits.wall,
            },
            at,
            begun: true,
        };
        match error.downcast_ref() {
            Some(Stop::Deadline) => timeout(at),
            Some(Stop::Cancelled) => ErrorKind::Cancelled { at, begun: true },
            Some(Stop::HostCalls) => ErrorKind::TooManyHostCalls {
                limit: limits.host_calls,
                at,
            },
            Some(Stop::HostPanic { function, message }) => ErrorKind::HostPanic {
                function: function.clone(),
                message: message.clone(),
            },
            _ if matches!(error.downcast_ref(), Some(Trap::OutOfFuel)) => ErrorKind::OutOfFuel {
                limit: limits.fuel.unwrap_or(u64::MAX),
                at,
            },
            // The guest aborts when an allocation fails that can't be reported to Lua.
            _ if context.accountant.refused => ErrorKind::OutOfMemory {
                limit: limits.memory,
                fatal: true,
                at,
            },
            _ => return Error::internal(format_args!("{error:#}")),
        }
        .into()
    }

    /// Asks the guest where the script was that was stopped. Its frames are gone; what Lua
    /// knows of them lies in its memory still.
    fn ask_site(&mut self) -> Option<Site> {
        /// Fuel enough to walk the frames that are shown.
        const FUEL: u64 = 10_000_000;

        let interrupter = self.store.data().interrupter?;
        self.store.data_mut().call.post_mortem = true;
        let fuel = self.store.get_fuel();
        if fuel.is_ok() {
            self.store.set_fuel(FUEL).ok()?;
        }
        let site = interrupter.site(self.store.as_context_mut());
        if let Ok(fuel) = fuel {
            self.store.set_fuel(fuel).ok()?;
        }
        let (ptr, len) = site.ok()?;
        read_site(slice(self.memory.data(&self.store), ptr, len).ok()?)
    }
}

/// The global that a script used though it is nil, by Lua's own words.
fn nil_global(message: &str) -> Option<&str> {
    let (_, used) = message.rsplit_once(" a nil value (global '")?;
    used.strip_suffix("')")
}

/// Reads the value of an answer.
fn read_value<R: DeserializeOwned>(answer: &[u8], limits: &Limits) -> Result<R, Unreadable> {
    codec::decode("result", answer, limits.value)
}

/// Reads a failure, and the value behind it that the script raised, if there is one.
fn read_failure(
    answer: &[u8],
    limits: &Limits,
) -> Result<(Failure, Option<serde_json::Value>), Unreadable> {
    let framed = answer.split_first_chunk::<4>().and_then(|(len, rest)| {
        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
    });
    let (failure, value) =
        framed.ok_or_else(|| Unreadable::Malformed("the guest's error is cut off".into()))?;
    let failure = codec::decode("the guest's error", failure, HEADROOM)?;
    let value = (!value.is_empty())
        .then(|| codec::decode("the error's value", value, limits.value))
        .transpose()?;
    Ok((failure, value))
}

/// What a request or an answer may have beyond the value in it: names, code, a traceback.
const HEADROOM: usize = 1 << 20;

/// Fills `request` with the length of the header, the header, and the value.
fn frame(
    request: &mut Vec<u8>,
    header: &impl Header,
    value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    /// Bytes of capacity that are kept from one request to the next.
    const KEPT: usize = 64 << 10;

    /// Bytes of capacity to begin with: most requests fit, and growing costs more than these.
    const ENOUGH: usize = 1 << 10;

    request.clear();
    request.shrink_to(KEPT);
    request.reserve(ENOUGH);
    request.extend([0; 4]);
    header.write(request);
    let len = u32::try_from(request.len() - 4).map_err(Error::internal)?;
    request[..4].copy_from_slice(&len.to_le_bytes());
    value(request)
}

pub(crate) fn encode<T: Serialize + ?Sized>(
    what: &str,
    value: &T,
    request: &mut Vec<u8>,
) -> Result<()> {
    codec::encode(value, request).map_err(|error| {
        Error::from(ErrorKind::Value {
            message: format!("{what}: {error}"),
        })
    })
}
