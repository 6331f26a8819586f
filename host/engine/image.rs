//! The guest, compiled and linked once: what every instance of a pool is made from.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::{
    Collector, Config, Enabled, Engine, ExternType, InstanceAllocationStrategy, InstancePre,
    Linker, Module, ModuleVersionStrategy, OptLevel, PoolingAllocationConfig, Store,
};

use crate::engine::compiled::{self, CompiledCode, Part, Places, Processors};
use crate::engine::exports::Exports;
use crate::engine::frozen::{Code, FrozenMemory};
use crate::engine::ticker::Ticker;
#[cfg(feature = "compile")]
use crate::engine::translated::{MODULES, Reach, TakenPlaces, Translated};
use crate::engine::{WASM_STACK, apart};
use crate::report::hex;
use crate::run::limits::Limits;
use crate::store::accountant::EXCEPTION_HEAP;
use crate::store::context::{self, Context};
use crate::store::imports;
use crate::sync::awake::Awake;
use crate::{Error, Result};

/// The guest module, as `cargo xtask guest` built it.
static GUEST: &[u8] = include_bytes!(env!("MOONFORK_GUEST_WASM"));

/// Its hash.
const GUEST_SHA256: &str = env!("MOONFORK_GUEST_SHA256");

/// What this program is compiled for.
const TARGET: &str = env!("MOONFORK_TARGET");

/// Engine, compiled module, and all that is looked up once.
pub(crate) struct Image {
    pre: InstancePre<Context>,
    linker: Linker<Context>,
    code: CompiledCode,
    exports: Exports,
    room: OnceLock<(u32, u32)>,
    /// All of the memory that a fresh instance has, once it was asked for.
    initial: OnceLock<Box<[u8]>>,
    /// What the code without a memory is compiled from, and where it may lie.
    wasm: Cow<'static, [u8]>,
    places: Places,
    guest_sha256: Cow<'static, str>,
    /// That code, once a memory was frozen.
    apart: Mutex<Option<Arc<Code>>>,
    ticker: Ticker,
    fixed_memory: usize,
    metered: bool,
    /// Places of the guest's table that translated functions have.
    #[cfg(feature = "compile")]
    taken: TakenPlaces,
}

/// What compiled code looks at while it runs.
#[derive(Clone, Copy)]
pub(crate) struct Checks {
    /// Whether it is to stop.
    pub(crate) epochs: bool,
    /// What fuel is left.
    pub(crate) fuel: bool,
}

impl Image {
    /// Loads or compiles the guest for at most `slots` instances at once; `foreign` is another
    /// module to run in its place.
    ///
    /// # Errors
    ///
    /// When the address space for that many can't be had, or the guest doesn't fit.
    pub(crate) fn new(
        foreign: Option<&[u8]>,
        slots: u32,
        limits: &Limits,
        checks: Checks,
        places: Places,
    ) -> Result<Image> {
        let plan = |slots, reservation| Plan {
            slots,
            memory: limits.memory,
            checks,
            reservation,
        };
        let roomy = slots.max(LISTS_BY_THREAD);
        // What is best first, and then what does without the part that may be missing.
        let engine = [
            plan(slots, Reservation::Whole),
            plan(slots, Reservation::Limit),
        ]
        .iter()
        .fold(plan(roomy, Reservation::Whole).engine(), |engine, plan| {
            engine.or_else(|_| plan.engine())
        })
        .map_err(|error| {
            Error::setup(format_args!(
                "{error:#}; {slots} instances of {} bytes each need more address space than there \
                 is: ask for fewer instances or less memory, or raise the limit of the process \
                 (ulimit -v)",
                limits.memory
            ))
            .caused_by(error.into_boxed_dyn_error())
        })?;
        let module = match foreign {
            None => compiled::module(&engine, Part::Whole, GUEST, &places),
            Some(foreign) => compiled::foreign_module(&engine, foreign),
        };
        let wasm = foreign.map_or(Cow::Borrowed(GUEST), |wasm| Cow::Owned(wasm.to_vec()));
        module
            .and_then(|compiled| Image::link(compiled, wasm, places, checks.fuel))
            .map_err(|error| {
                Error::setup(format_args!("{error:#}")).caused_by(error.into_boxed_dyn_error())
            })
    }

    /// Compiles our own guest to a file.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub(crate) fn precompile(checks: Checks, processors: Processors, path: &Path) -> Result<()> {
        let plan = Plan {
            slots: 1,
            memory: Limits::default().memory,
            checks,
            reservation: Reservation::Whole,
        };
        let mut config = plan.config();
        let engine = match processors {
            Processors::LikeThisOne => Engine::new(&config),
            // Named, even if it is this machine's own, it gets nothing that not all have.
            Processors::All => config.target(TARGET).and_then(|config| Engine::new(config)),
        };
        engine
            .and_then(|engine| compiled::write(&engine, GUEST, path))
            .map_err(|error| {
                Error::setup(format_args!(
                    "compiled code can't be written to {}: {error:#}",
                    path.display()
                ))
                .caused_by(error.into_boxed_dyn_error())
            })
    }

    fn link(
        (module, code): (Module, CompiledCode),
        wasm: Cow<'static, [u8]>,
        places: Places,
        metered: bool,
    ) -> wasmtime::Result<Image> {
        let engine = module.engine();
        let mut linker = Linker::new(engine);
        imports::define(&mut linker, &module)?;
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
            exports: Exports::of(&module)?,
            room: OnceLock::new(),
            initial: OnceLock::new(),
            pre: linker.instantiate_pre(&module)?,
            linker,
            code,
            guest_sha256: match &wasm {
                Cow::Borrowed(_) => GUEST_SHA256.into(),
                Cow::Owned(wasm) => hex(&Sha256::digest(wasm)).into(),
            },
            wasm,
            places,
            apart: Mutex::default(),
            ticker: Ticker::start(engine).map_err(wasmtime::Error::new)?,
            fixed_memory,
            metered,
            #[cfg(feature = "compile")]
            taken: TakenPlaces::new(),
        })
    }

    /// Whether the guest is made for translated functions: one without what makes Lua faster isn't.
    #[cfg(feature = "compile")]
    pub(crate) fn translates(&self) -> bool {
        self.exports.translated.is_some()
    }

    /// Whether more functions may be translated for all of the pool's instances.
    #[cfg(feature = "compile")]
    pub(crate) fn has_places(&self) -> bool {
        self.taken.are_left()
    }

    /// Translates and compiles what chunks compile to; nothing where the guest isn't made for that.
    ///
    /// # Errors
    ///
    /// When one isn't bytecode, or the module doesn't compile.
    #[cfg(feature = "compile")]
    pub(crate) fn translate(
        &self,
        chunks: &[&[u8]],
        reach: Reach,
        limits: moonfork_translate::Limits,
    ) -> wasmtime::Result<Option<Translated>> {
        let Some(exports) = &self.exports.translated else {
            return Ok(None);
        };
        let engine = self.pre.module().engine();
        let (taken, kept) = (&self.taken, &self.places);
        Translated::new(engine, exports, taken, chunks, reach, limits, kept).map(Some)
    }

    /// A store with `context` in it and a fresh instance in that, which begins with `memory` if there is
    /// one.
    pub(crate) fn instantiate(
        &self,
        context: Context,
        memory: Option<&FrozenMemory>,
    ) -> wasmtime::Result<(Store<Context>, wasmtime::Instance)> {
        let mut store = Store::new(self.pre.module().engine(), context);
        store.limiter(|context| &mut context.accountant);
        store.epoch_deadline_callback(context::at_tick);
        if self.metered {
            // A module may have a start function, which burns fuel too.
            store.set_fuel(u64::MAX)?;
        }
        let instance = match memory {
            None => self.pre.instantiate(&mut store)?,
            Some(memory) => memory.instantiate(&mut store)?,
        };
        Ok((store, instance))
    }

    /// Freezes a memory, for instances to begin with. The first time the guest's code is compiled for
    /// that, unless that lies ready.
    ///
    /// # Errors
    ///
    /// When there is no room for it, or the guest isn't made in a way that lets its memory be taken apart
    /// from it.
    pub(crate) fn freeze(&self, memory: &[u8]) -> wasmtime::Result<FrozenMemory> {
        FrozenMemory::new(self.code_apart()?, &self.linker, memory)
    }

    fn code_apart(&self) -> wasmtime::Result<Arc<Code>> {
        // Whoever panicked had put nothing there.
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = &*apart {
            return Ok(Arc::clone(code));
        }
        let wasm = apart::code(&self.wasm)?;
        let engine = self.pre.module().engine();
        let (module, _) = match &self.wasm {
            Cow::Borrowed(_) => compiled::module(engine, Part::Code, &wasm, &self.places)?,
            Cow::Owned(_) => compiled::foreign_module(engine, &wasm)?,
        };
        Ok(Arc::clone(apart.insert(Arc::new(Code::new(module)?))))
    }

    /// All of the memory that a fresh instance has, which `look` gives of one.
    pub(crate) fn initial(&self, look: impl FnOnce() -> Box<[u8]>) -> &[u8] {
        self.initial.get_or_init(look)
    }

    /// Where the machine code came from.
    pub(crate) fn code(&self) -> &CompiledCode {
        &self.code
    }

    /// SHA-256 of the guest module, in hexadecimal digits.
    pub(crate) fn guest_sha256(&self) -> &str {
        &self.guest_sha256
    }

    /// Where machine code may lie.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Where the exports are.
    pub(crate) fn exports(&self) -> &Exports {
        &self.exports
    }

    /// Where the guest has room for a small request, and how much, as far as that is known: a
    /// fresh instance of it has that where any other has.
    pub(crate) fn room(&self) -> Option<(u32, u32)> {
        self.room.get().copied()
    }

    /// Notes what a fresh instance said. Not where fuel is metered: asking burns some, and each
    /// instance is to burn the same.
    pub(crate) fn set_room(&self, room: (u32, u32)) {
        if !self.metered {
            self.room.get_or_init(|| room);
        }
    }

    /// What keeps the ticker awake that deadlines are checked by.
    pub(crate) fn awake(&self) -> &Arc<Awake> {
        self.ticker.awake()
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

/// Instances from which on wasmtime's allocator has a list of free places for each thread, rather
/// than one for all. With one, threads wait for each other, and get places whose pages another
/// processor has at hand. Places that no instance may take cost address space alone.
const LISTS_BY_THREAD: u32 = 128;

/// Modules of translated functions that an instance may have.
#[cfg(feature = "compile")]
const TRANSLATED: u32 = MODULES;
#[cfg(not(feature = "compile"))]
const TRANSLATED: u32 = 0;

/// Bytes at the start of a memory that are copied for the next instance, so that they needn't be asked
/// of the kernel page by page: what almost every script touches lies there (`xtask/src/layout.rs`).
/// As in `guest/wasi/recipe.toml`.
const HOT: usize = 116 << 10;

/// Where the guest's large stack is, which nothing is left on between calls. As there.
pub(crate) const LARGE_STACK: Range<usize> = HOT..HOT + (448 << 10);

impl Plan {
    fn engine(&self) -> wasmtime::Result<Engine> {
        Engine::new(&self.config())
    }

    fn config(&self) -> Config {
        let mut pooling = PoolingAllocationConfig::new();
        pooling
            // One that begins with a frozen memory has that in an instance of its own.
            .total_core_instances(self.slots.saturating_mul(2 + TRANSLATED))
            // An instance that has thrown an exception has a heap for it, which takes a second
            // memory out of the same pool.
            .total_memories(self.slots.saturating_mul(2))
            .total_gc_heaps(self.slots)
            .total_tables(self.slots)
            .max_memory_size(self.memory)
            // The slots that were used last are used first, since their pages are warm.
            .max_unused_warm_slots(self.slots)
            // The first pages of an ended instance are copied from the image, and the kernel takes back
            // all others, to fill them from the image again when they are next used. Both are done
            // to every page, whether it was written to or not, so nothing depends on what the kernel
            // knows of pages: not on swap, nor on pages that are being moved or put together.
            // wasmtime could ask it which ones were written to, but asks for pages that are present: one
            // that is swapped out or being moved isn't (docs/threat-model.md).
            .linear_memory_keep_resident(HOT)
            // As large as the guest's table is: written over, rather than given back.
            .table_keep_resident(8 << 10)
            .pagemap_scan(Enabled::No);

        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pooling))
            .epoch_interruption(self.checks.epochs)
            .consume_fuel(self.checks.fuel)
            // Which of the NaNs an operation gives is up to the processor, and `string.pack` shows its sign.
            // Who counts fuel wants the same on every machine.
            .cranelift_nan_canonicalization(self.checks.fuel)
            .max_wasm_stack(WASM_STACK)
            .parallel_compilation(!is_forked())
            .cranelift_opt_level(OptLevel::Speed)
            // Lua errors are wasm exceptions, where they can't return. The collector is named, to be the
            // same whatever else of wasmtime a program switches on.
            .wasm_exceptions(true)
            .collector(Collector::Copying)
            .wasm_backtrace_max_frames(None)
            // What only backtraces and other languages' unwinders read; a fifth of the code that
            // is kept between processes.
            .generate_address_map(false)
            .native_unwind_info(false)
            .module_version(ModuleVersionStrategy::Custom(compiled::identity(
                GUEST_SHA256,
            )))
            .expect("it is short");
        if let Reservation::Limit = self.reservation {
            config
                .memory_reservation(self.memory as u64)
                .memory_reservation_for_growth(0)
                .memory_guard_size(GUARD)
                .gc_heap_reservation(self.memory as u64)
                .gc_heap_reservation_for_growth(0)
                .gc_heap_guard_size(GUARD);
        }
        config
    }
}

/// Whether this process was forked from one that had an engine. The threads that wasmtime compiles on are
/// started once, and stay behind in the parent: whoever gave them work in the child would wait for good.
fn is_forked() -> bool {
    static FIRST: OnceLock<u32> = OnceLock::new();
    let here = std::process::id();
    *FIRST.get_or_init(|| here) != here
}

/// Bytes of guard behind a memory that is checked anyway.
const GUARD: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use wasmtime::Engine;

    use super::{Checks, HOT, LARGE_STACK, Plan, Reservation};

    #[test]
    fn what_the_guest_has_in_front_is_what_is_copied() {
        let recipe = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/guest/wasi/recipe.toml"
        ));
        let recipe: toml::Table = recipe.parse().unwrap();
        let bytes = |name| {
            let number = recipe["memory"][name].as_integer().unwrap();
            usize::try_from(number).unwrap()
        };
        assert_eq!(bytes("hot"), HOT);
        assert_eq!(bytes("large_stack"), LARGE_STACK.len());
    }

    #[test]
    fn code_with_other_nans_is_other_code() {
        let hash = |canonical| {
            let checks = Checks {
                epochs: true,
                fuel: true,
            };
            let plan = Plan {
                slots: 1,
                memory: 1 << 20,
                checks,
                reservation: Reservation::Limit,
            };
            let mut config = plan.config();
            if let Some(canonical) = canonical {
                config.cranelift_nan_canonicalization(canonical);
            }
            let engine = Engine::new(&config).unwrap();
            crate::engine::compiled::key(&engine, crate::engine::compiled::Part::Whole)
        };
        assert_eq!(hash(None), hash(Some(true)));
        assert_ne!(hash(None), hash(Some(false)));
    }
}
