//! The guest, compiled and linked once: what every instance of a pool is made from.

use std::path::Path;
use std::sync::Arc;

use wasmtime::{
    Cache, CacheConfig, Caller, Collector, Config, Engine, Extern, ExternType, FuncType,
    InstanceAllocationStrategy, InstancePre, Linker, Module, ModuleExport, OptLevel,
    PoolingAllocationConfig, Store, Val,
};

use crate::context::{Context, Stop};
use crate::function::Failed;
use crate::limits::Limits;
use crate::stack::WASM_STACK;
use crate::ticker::Ticker;
use crate::{Error, Result};

/// The guest module, as `cargo xtask guest` built it.
static GUEST: &[u8] = include_bytes!(env!("MOONFORK_GUEST_WASM"));

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
    pub(crate) fn new(slots: u32, limits: &Limits, cache: Option<&Path>) -> Result<Image> {
        let cache = cache.map(open_cache).transpose()?;
        // With 4 GiB reserved for each memory, compiled code needs no bounds checks: whatever
        // it addresses is inside, or faults. Where so much address space is not to be had,
        // say under `ulimit -v`, the checks are compiled in and only the limit is reserved.
        let engine = engine(slots, limits, cache.clone(), Reservation::Whole)
            .or_else(|_| engine(slots, limits, cache, Reservation::Limit(limits.memory)))
            .map_err(|error| {
                Error::setup(format_args!(
                    "{error:#}; {slots} instances of {} bytes each need more address space than \
                     there is: ask for fewer instances or less memory, or raise the limit of the \
                     process (ulimit -v)",
                    limits.memory
                ))
            })?;
        Image::link(&engine).map_err(|error| Error::setup(format_args!("{error:#}")))
    }

    fn link(engine: &Engine) -> wasmtime::Result<Image> {
        let module = Module::new(engine, GUEST)?;
        let mut linker = Linker::new(engine);
        linker.func_wrap(HOST_MODULE, "print", print)?;
        linker.func_wrap(HOST_MODULE, "host_call", host_call)?;
        linker.func_wrap(HOST_MODULE, "host_take", host_take)?;
        deny_wasi(&mut linker, &module)?;
        let export = |name: &str| {
            module
                .get_export_index(name)
                .ok_or_else(|| wasmtime::format_err!("the guest module exports no '{name}'"))
        };
        let fixed_memory = match module.get_export("memory") {
            Some(ExternType::Memory(memory)) => memory.minimum() * memory.page_size(),
            _ => return Err(wasmtime::format_err!("the guest module exports no memory")),
        };
        Ok(Image {
            exports: Exports {
                memory: export("memory")?,
                alloc: export("moonfork_alloc")?,
                call: export("moonfork_call")?,
            },
            pre: linker.instantiate_pre(&module)?,
            ticker: Arc::new(Ticker::start(engine).map_err(wasmtime::Error::new)?),
            fixed_memory: usize::try_from(fixed_memory)?,
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

/// How much address space each memory gets.
enum Reservation {
    /// All that 32 bits can address.
    Whole,
    /// This many bytes.
    Limit(usize),
}

fn engine(
    slots: u32,
    limits: &Limits,
    cache: Option<Cache>,
    reservation: Reservation,
) -> wasmtime::Result<Engine> {
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_core_instances(slots)
        // An instance that uses exceptions has a heap for them, which takes a second memory
        // out of the same pool.
        .total_memories(slots.saturating_mul(2))
        .total_gc_heaps(slots)
        .total_tables(slots)
        .total_stacks(0)
        .max_memory_size(limits.memory)
        // The slots that were used last are used first, since their pages are warm.
        .max_unused_warm_slots(slots);

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
    if let Reservation::Limit(bytes) = reservation {
        config
            .memory_reservation(bytes as u64)
            .memory_reservation_for_growth(0)
            .memory_guard_size(64 << 10)
            .gc_heap_reservation(bytes as u64)
            .gc_heap_reservation_for_growth(0)
            .gc_heap_guard_size(64 << 10);
    }
    Engine::new(&config)
}

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
    let start = usize::try_from(ptr)?;
    let target = start
        .checked_add(result.len())
        .and_then(|end| memory.get_mut(start..end))
        .ok_or_else(|| Stop::Guest("a buffer lies outside of the memory".into()))?;
    target.copy_from_slice(&result);
    Ok(())
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
pub(crate) fn slice(memory: &[u8], ptr: u32, len: u32) -> wasmtime::Result<&[u8]> {
    let start = usize::try_from(ptr)?;
    let range = start..start.saturating_add(usize::try_from(len)?);
    memory
        .get(range)
        .ok_or_else(|| Stop::Guest("a buffer lies outside of the memory".into()).into())
}

/// `ENOSYS`: the function is not supported.
const ENOSYS: i32 = 52;

/// Answers what is left of WASI in the guest with "not supported".
///
/// No WASI context exists, so there is nothing that could be granted by mistake, and none of
/// the async runtime that wasmtime's own implementation blocks on. What the guest writes to
/// its standard error is kept as the last words of a panic.
fn deny_wasi(linker: &mut Linker<Context>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports() {
        if import.module() == HOST_MODULE {
            continue;
        }
        let ExternType::Func(ty) = import.ty() else {
            return Err(unexpected(import.module(), import.name()));
        };
        match (import.module(), import.name()) {
            (WASI_MODULE, "fd_write") => {
                linker.func_wrap(WASI_MODULE, "fd_write", last_words)?;
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

/// WASI's `fd_write`: keeps the text, whichever file it is for, and says that it was written.
fn last_words(
    mut caller: Caller<'_, Context>,
    _file: i32,
    vectors: u32,
    count: u32,
    written: u32,
) -> wasmtime::Result<i32> {
    /// Bytes that are kept: enough for the message of a panic.
    const KEPT: usize = 4 << 10;
    /// Vectors that are looked at; a message has a few.
    const MAX_VECTORS: u32 = 64;

    let (memory, context) = guest_memory(&mut caller)?;
    let mut total = 0_u32;
    let number = |at: u32| -> wasmtime::Result<u32> {
        let bytes = slice(memory, at, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    };
    for vector in 0..count.min(MAX_VECTORS) {
        let at = vectors.saturating_add(vector * 8);
        let (ptr, len) = (number(at)?, number(at.saturating_add(4))?);
        context.last_words.push(slice(memory, ptr, len)?, KEPT);
        total = total.saturating_add(len);
    }
    let target = usize::try_from(written)?;
    match memory.get_mut(target..target.saturating_add(4)) {
        Some(target) => target.copy_from_slice(&total.to_le_bytes()),
        None => return Err(Stop::Guest("a buffer lies outside of the memory".into()).into()),
    }
    Ok(0)
}
