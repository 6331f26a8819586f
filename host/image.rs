//! The guest, compiled and linked once: what every instance of a pool is made from.

use std::path::Path;
use std::sync::Arc;

use wasmtime::{
    Cache, CacheConfig, Collector, Config, Enabled, Engine, ExternType, InstanceAllocationStrategy,
    InstancePre, Linker, Module, ModuleExport, OptLevel, PoolingAllocationConfig, Store,
};

use crate::context::{self, Context};
use crate::imports;
use crate::interrupt::InterrupterExports;
use crate::limits::{EXCEPTION_HEAP, Limits};
use crate::stack::WASM_STACK;
use crate::ticker::Ticker;
use crate::{Error, Result};

/// The guest module, as `cargo xtask guest` built it.
pub(crate) static GUEST: &[u8] = include_bytes!(env!("MOONFORK_GUEST_WASM"));

/// Engine, compiled module, and all that is looked up once.
pub(crate) struct Image {
    pre: InstancePre<Context>,
    exports: Exports,
    ticker: Arc<Ticker>,
    fixed_memory: usize,
    metered: bool,
}

/// What compiled code looks at while it runs.
#[derive(Clone, Copy)]
pub(crate) struct Checks {
    /// Whether it is to stop.
    pub(crate) epochs: bool,
    /// What fuel is left.
    pub(crate) fuel: bool,
}

/// Places of the module's exports: looking them up by name costs as much as a small call.
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) alloc: ModuleExport,
    pub(crate) call: ModuleExport,
    /// Where a script is: a guest that can't tell is none the worse for it.
    pub(crate) interrupter: Option<Arc<InterrupterExports>>,
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
        checks: Checks,
        cache: Option<&Path>,
    ) -> Result<Image> {
        let cache = cache.map(open_cache).transpose()?;
        let plan = |reservation, reset| Plan {
            slots,
            memory: limits.memory,
            checks,
            reservation,
            reset,
        };
        // What is best first, and then what does without the part that may be missing.
        let engine = [
            plan(Reservation::Whole, Reset::Everything),
            plan(Reservation::Limit, Reset::Everything),
        ]
        .iter()
        .fold(
            plan(Reservation::Whole, Reset::TouchedPages).engine(cache.clone()),
            |engine, plan| engine.or_else(|_| plan.engine(cache.clone())),
        )
        .map_err(|error| {
            Error::setup(format_args!(
                "{error:#}; {slots} instances of {} bytes each need more address space than there \
                 is: ask for fewer instances or less memory, or raise the limit of the process \
                 (ulimit -v)",
                limits.memory
            ))
        })?;
        Image::link(&engine, guest, checks.fuel)
            .map_err(|error| Error::setup(format_args!("{error:#}")))
    }

    fn link(engine: &Engine, guest: &[u8], metered: bool) -> wasmtime::Result<Image> {
        let module = Module::new(engine, guest)?;
        let mut linker = Linker::new(engine);
        imports::define(&mut linker, &module)?;
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
                interrupter: InterrupterExports::of(&module).map(Arc::new),
            },
            pre: linker.instantiate_pre(&module)?,
            ticker: Arc::new(Ticker::start(engine).map_err(wasmtime::Error::new)?),
            fixed_memory,
            metered,
        })
    }

    /// A store with `context` in it and a fresh instance in that.
    pub(crate) fn instantiate(
        &self,
        context: Context,
    ) -> wasmtime::Result<(Store<Context>, wasmtime::Instance)> {
        let mut store = Store::new(self.pre.module().engine(), context);
        store.limiter(|context| &mut context.accountant);
        store.epoch_deadline_callback(context::at_tick);
        if self.metered {
            // A module may have a start function, which burns fuel too.
            store.set_fuel(u64::MAX)?;
        }
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

    /// Whether it counts fuel.
    pub(crate) fn is_metered(&self) -> bool {
        self.metered
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
    /// Whether compiled code counts fuel.
    checks: Checks,
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
            .epoch_interruption(self.checks.epochs)
            .consume_fuel(self.checks.fuel)
            .max_wasm_stack(WASM_STACK)
            .cranelift_opt_level(OptLevel::Speed)
            // Lua errors are wasm exceptions, where they can't return. The collector is named since the guest's caught
            // exceptions are its garbage, and one that never collects would fill up.
            .wasm_exceptions(true)
            .collector(Collector::Copying)
            .wasm_backtrace_max_frames(None)
            // What only backtraces and other languages' unwinders read; a fifth of the code that
            // is kept between processes.
            .generate_address_map(false)
            .native_unwind_info(false)
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
