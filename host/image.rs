//! The guest, compiled and linked once: what every instance of a pool is made from.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use wasmtime::{
    Cache, CacheConfig, Caller, Collector, Config, Enabled, Engine, Extern, ExternType, FuncType,
    InstanceAllocationStrategy, InstancePre, Linker, Module, ModuleExport, OptLevel,
    PoolingAllocationConfig, Store, Val,
};

use crate::context::{Context, Stop};
use crate::function::Failed;
use crate::limits::{EXCEPTION_HEAP, Limits};
use crate::stack::WASM_STACK;
use crate::ticker::Ticker;
use crate::{Error, Result};

/// The guest module, as `cargo xtask guest` built it.
pub(crate) static GUEST: &[u8] = include_bytes!(env!("MOONFORK_GUEST_WASM"));

/// Where the guest's imports come from.
const HOST_MODULE: &str = "moonfork";
const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// Engine, compiled module, and all that is looked up once.
pub(crate) struct Image {
    pre: InstancePre<Context>,
    exports: Exports,
    ticker: Arc<Ticker>,
    fixed_memory: usize,
}

/// Places of the module's exports: looking them up by name costs as much as a small call.
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) alloc: ModuleExport,
    pub(crate) call: ModuleExport,
}

impl Image {
    /// Compiles the guest for at most `slots` instances at once.
    ///
    /// # Errors
    ///
    /// When the address space for that many can't be had, or the guest doesn't fit.
    pub(crate) fn new(
        guest: &[u8],
        slots: u32,
        limits: &Limits,
        cache: Option<&Path>,
    ) -> Result<Image> {
        let cache = cache.map(open_cache).transpose()?;
        let plan = |reservation, reset| Plan {
            slots,
            memory: limits.memory,
            reservation,
            reset,
        };
        // What is best first, and then what does without the part that may be missing.
        let engine = [
            plan(Reservation::Whole, Reset::TouchedPages),
            plan(Reservation::Whole, Reset::Everything),
            plan(Reservation::Limit, Reset::Everything),
        ]
        .iter()
        .map(|plan| plan.engine(cache.clone()))
        .reduce(Result::or)
        .expect("there are plans")
        .map_err(|error| {
            Error::setup(format_args!(
                "{error:#}; {slots} instances of {} bytes each need more address space than there \
                 is: ask for fewer instances or less memory, or raise the limit of the process \
                 (ulimit -v)",
                limits.memory
            ))
        })?;
        Image::link(&engine, guest).map_err(|error| Error::setup(format_args!("{error:#}")))
    }

    fn link(engine: &Engine, guest: &[u8]) -> wasmtime::Result<Image> {
        let module = Module::new(engine, guest)?;
        let mut linker = Linker::new(engine);
        linker.func_wrap(HOST_MODULE, "print", print)?;
        linker.func_wrap(HOST_MODULE, "host_call", host_call)?;
        linker.func_wrap(HOST_MODULE, "host_take", host_take)?;
        linker.func_wrap(HOST_MODULE, "panicked", panicked)?;
        deny_wasi(&mut linker, &module)?;
        let export = |name: &str| {
            module
                .get_export_index(name)
                .ok_or_else(|| wasmtime::format_err!("the guest module exports no '{name}'"))
        };
        let fixed_memory = match module.get_export("memory") {
            Some(ExternType::Memory(memory)) => {
                usize::try_from(memory.minimum() * memory.page_size())?
            }
            _ => return Err(wasmtime::format_err!("the guest module exports no memory")),
        };
        if fixed_memory <= EXCEPTION_HEAP {
            return Err(wasmtime::format_err!(
                "the guest's memory starts so small that the accounts would take it for the heap \
                 of exceptions"
            ));
        }
        Ok(Image {
            exports: Exports {
                memory: export("memory")?,
                alloc: export("moonfork_alloc")?,
                call: export("moonfork_call")?,
            },
            pre: linker.instantiate_pre(&module)?,
            ticker: Arc::new(Ticker::start(engine).map_err(wasmtime::Error::new)?),
            fixed_memory,
        })
    }

    /// A store with `context` in it and a fresh instance in that.
    pub(crate) fn instantiate(
        &self,
        context: Context,
    ) -> wasmtime::Result<(Store<Context>, wasmtime::Instance)> {
        let mut store = Store::new(self.pre.module().engine(), context);
        store.limiter(|context| &mut context.accountant);
        store.epoch_deadline_callback(|store| store.data().at_tick());
        let instance = self.pre.instantiate(&mut store)?;
        Ok((store, instance))
    }

    /// Where the exports are.
    pub(crate) fn exports(&self) -> &Exports {
        &self.exports
    }

    /// The clock that deadlines are checked by.
    pub(crate) fn ticker(&self) -> &Arc<Ticker> {
        &self.ticker
    }

    /// Bytes of linear memory that an instance has before anything ran in it.
    pub(crate) fn fixed_memory(&self) -> usize {
        self.fixed_memory
    }
}

/// How an engine is to lay out its instances.
struct Plan {
    slots: u32,
    /// The memory limit of an instance in bytes.
    memory: usize,
    reservation: Reservation,
    reset: Reset,
}

/// How much address space each memory gets.
enum Reservation {
    /// All that 32 bits can address: compiled code needs no bounds checks, since whatever it
    /// addresses is inside, or faults.
    Whole,
    /// The memory limit. The checks are compiled in; for where so much address space is not
    /// to be had, say under `ulimit -v`.
    Limit,
}

/// What happens to the memory of an instance that ended, before its slot is used again.
enum Reset {
    /// The kernel says which pages were touched (`PAGEMAP_SCAN`, Linux 6.7), and those are
    /// written over. They stay mapped, which spares the next instance most of its page
    /// faults: these cost several times as much as running a small script.
    TouchedPages,
    /// All pages are given back.
    Everything,
}

/// Bytes of an ended instance's memory that may stay mapped: some times what a small script
/// touches. More is given back, so that one large script doesn't keep its memory.
const KEPT_MAPPED: usize = 1 << 20;

impl Plan {
    fn engine(&self, cache: Option<Cache>) -> wasmtime::Result<Engine> {
        let mut pooling = PoolingAllocationConfig::new();
        pooling
            .total_core_instances(self.slots)
            // An instance that uses exceptions has a heap for them, which takes a second
            // memory out of the same pool.
            .total_memories(self.slots.saturating_mul(2))
            .total_gc_heaps(self.slots)
            .total_tables(self.slots)
            .total_stacks(0)
            .max_memory_size(self.memory)
            // The slots that were used last are used first, since their pages are warm.
            .max_unused_warm_slots(self.slots);
        if let Reset::TouchedPages = self.reset {
            pooling
                .pagemap_scan(Enabled::Yes)
                .linear_memory_keep_resident(KEPT_MAPPED)
                .table_keep_resident(KEPT_MAPPED);
        }

        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling))
            .epoch_interruption(true)
            .max_wasm_stack(WASM_STACK)
            .cranelift_opt_level(OptLevel::Speed)
            // Lua errors are wasm exceptions. The collector is named since the guest's caught
            // exceptions are its garbage, and one that never collects would fill up.
            .wasm_exceptions(true)
            .collector(Collector::Copying)
            .wasm_backtrace_max_frames(None)
            .cache(cache);
        if let Reservation::Limit = self.reservation {
            config
                .memory_reservation(self.memory as u64)
                .memory_reservation_for_growth(0)
                .memory_guard_size(GUARD)
                .gc_heap_reservation(self.memory as u64)
                .gc_heap_reservation_for_growth(0)
                .gc_heap_guard_size(GUARD);
        }
        Engine::new(&config)
    }
}

/// Bytes of guard behind a memory that is checked anyway.
const GUARD: u64 = 64 << 10;

fn open_cache(folder: &Path) -> Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config).map_err(|error| {
        Error::setup(format_args!(
            "the folder for compiled code, {}, can't be used: {error:#}",
            folder.display()
        ))
    })
}

/// Import `print`: text that a script printed.
fn print(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let text = slice(memory, ptr, len)?;
    context.output.push(text, context.limits.output);
    Ok(())
}

/// Import `host_call`: calls a host function and keeps its result for `host_take`.
fn host_call(
    mut caller: Caller<'_, Context>,
    function: u32,
    ptr: u32,
    len: u32,
) -> wasmtime::Result<u64> {
    let (memory, context) = guest_memory(&mut caller)?;
    let args = slice(memory, ptr, len)?;
    let (failed, result) = match context.functions.call(function, args) {
        Ok(result) if result.len() <= context.limits.value => (false, result),
        Ok(result) => {
            let message = format!(
                "the result has {} bytes, more than the {} that may pass in one piece",
                result.len(),
                context.limits.value
            );
            (true, message.into_bytes())
        }
        Err(Failed::Raised(mut message)) => {
            message.truncate(message.floor_char_boundary(context.limits.value));
            (true, message.into_bytes())
        }
        Err(Failed::Panicked(message)) => return Err(Stop::Host(message).into()),
    };
    let len = u32::try_from(result.len())?;
    context.result = result;
    Ok(u64::from(failed) << 32 | u64::from(len))
}

/// Import `host_take`: copies the kept result to the guest.
fn host_take(mut caller: Caller<'_, Context>, ptr: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let result = std::mem::take(&mut context.result);
    let len = u32::try_from(result.len())?;
    slice_mut(memory, ptr, len)?.copy_from_slice(&result);
    Ok(())
}

/// Import `panicked`: the guest's own code failed; nothing more of it runs.
fn panicked(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    /// Bytes of the message that are kept.
    const KEPT: u32 = 4 << 10;

    let (memory, _) = guest_memory(&mut caller)?;
    let message = String::from_utf8_lossy(slice(memory, ptr, len.min(KEPT))?).into_owned();
    Err(Stop::Guest(message).into())
}

fn guest_memory<'a>(
    caller: &'a mut Caller<'_, Context>,
) -> wasmtime::Result<(&'a mut [u8], &'a mut Context)> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory.data_and_store_mut(caller)),
        _ => Err(Stop::Guest("it has no memory".into()).into()),
    }
}

/// The `len` bytes at `ptr`, which the guest says it means.
///
/// # Errors
///
/// `Stop::Guest` when they don't lie in its memory.
pub(crate) fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Stop> {
    memory.get(range(ptr, len)).ok_or_else(outside)
}

fn slice_mut(memory: &mut [u8], ptr: u32, len: u32) -> Result<&mut [u8], Stop> {
    memory.get_mut(range(ptr, len)).ok_or_else(outside)
}

/// Where a 32-bit guest means; past the end of any memory where a host can't count so far.
fn range(ptr: u32, len: u32) -> Range<usize> {
    let start = usize::try_from(ptr).unwrap_or(usize::MAX);
    start..start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
}

fn outside() -> Stop {
    Stop::Guest("a buffer lies outside of its memory".into())
}

/// `ENOSYS`: the function is not supported.
const ENOSYS: i32 = 52;

/// Answers what is left of WASI in the guest with "not supported", but for a clock that stands
/// and random numbers of the instance's own.
///
/// No WASI context exists, so there is nothing that could be granted by mistake, and none of
/// the async runtime that wasmtime's own implementation blocks on.
fn deny_wasi(linker: &mut Linker<Context>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports() {
        if import.module() == HOST_MODULE {
            continue;
        }
        let ExternType::Func(ty) = import.ty() else {
            return Err(unexpected(import.module(), import.name()));
        };
        match (import.module(), import.name()) {
            (WASI_MODULE, "clock_time_get") => {
                linker.func_wrap(WASI_MODULE, "clock_time_get", stopped_clock)?;
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

/// WASI's `clock_time_get`: time zero, always. Nothing of the host's, but no failure either,
/// which libc takes for a reason to abort.
fn stopped_clock(
    mut caller: Caller<'_, Context>,
    _clock: i32,
    _precision: i64,
    time: u32,
) -> wasmtime::Result<i32> {
    let (memory, _) = guest_memory(&mut caller)?;
    slice_mut(memory, time, 8)?.fill(0);
    Ok(0)
}

/// WASI's `random_get`: likewise. `table.sort` chooses its pivots in long tables by it.
fn own_random(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<i32> {
    let (memory, context) = guest_memory(&mut caller)?;
    context.entropy.fill(slice_mut(memory, ptr, len)?);
    Ok(0)
}
