//! Runs the guest's start-up once, and keeps the memory that it leaves: a step of `cargo xtask
//! guest`, as a program of its own: `preinit FROM TO WORLD`, where `FROM` is a module, `TO` the
//! file that its snapshot goes to, and `WORLD` what it sees meanwhile, in JSON.
//!
//! It isn't a part of `xtask` itself because of wasmtime's features. WASI's functions switch on
//! those for components and for async calls, and cargo builds wasmtime with what anybody in the
//! workspace asks of it. The cargo feature `preinit`, which only this program needs, keeps them
//! out of every other build.
//!
//! This is what `wasmtime-wizer` is for. Its cargo feature `wasmtime`, which would run the module
//! too, is off: it switches on still more of wasmtime, and running the module is little work.

use std::error::Error;
use std::fs;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use wasmtime::{Config, Engine, Instance, Linker, Module, Result, Store, Val, bail, format_err};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

#[path = "../world.rs"]
mod world;

use world::World;

/// Runs wasi-libc's constructors. Not exported any more by the snapshot.
const CONSTRUCTORS: &str = "_initialize";

/// The guest's own start-up. Not exported any more by the snapshot.
const PREINIT: &str = "moonfork_preinit";

/// The module whose imports are ours rather than WASI's.
const OWN_IMPORTS: &str = "moonfork";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: pre-initialising the guest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error + Send + Sync>> {
    let [from, to, world] = arguments else {
        return Err("usage: preinit FROM TO WORLD (`cargo xtask guest` calls it)".into());
    };
    let world: World = serde_json::from_str(world)?;
    let snapshot =
        preinitialise(&fs::read(from)?, &world).map_err(|error| error.into_boxed_dyn_error())?;
    Ok(fs::write(to, snapshot)?)
}

/// Returns `wasm` as it is after its start-up: a module that starts where that has ended.
fn preinitialise(wasm: &[u8], world: &World) -> Result<Vec<u8>> {
    let mut wizer = Wizer::new();
    wizer.init_func(PREINIT);
    let (context, instrumented) = wizer.instrument(wasm)?;

    let engine = engine()?;
    let module = Module::new(&engine, instrumented)?;
    let mut store = Store::new(&engine, wasi(world));
    let instance = linker(&module)?.instantiate(&mut store, &module)?;
    for function in [CONSTRUCTORS, PREINIT] {
        let function = instance.get_typed_func::<(), ()>(&mut store, function)?;
        function.call(&mut store, ())?;
    }

    let mut state = State { store, instance };
    ready(wizer.snapshot(&context, &mut state))?
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    // Lua's errors are WebAssembly exceptions.
    config.wasm_exceptions(true);
    // The bits of a NaN may differ from one processor to the next, unless told not to.
    config.cranelift_nan_canonicalization(true);
    Engine::new(&config)
}

/// A world without files, environment or arguments, where time stands still.
fn wasi(world: &World) -> WasiP1Ctx {
    let random = || Deterministic::new(world.random_bytes.clone());
    WasiCtxBuilder::new()
        .wall_clock(Stopped(Duration::from_secs(world.wall_clock_seconds)))
        .monotonic_clock(Stopped(Duration::from_nanos(world.monotonic_nanoseconds)))
        .secure_random(random())
        .insecure_random(random())
        .insecure_random_seed(0)
        // Only to see a panic's message.
        .inherit_stderr()
        .build_p1()
}

/// A clock that always shows the same.
struct Stopped(Duration);

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// WASI, and for the rest stand-ins: no host is there yet that could answer the guest.
fn linker(module: &Module) -> Result<Linker<WasiP1Ctx>> {
    let mut linker = Linker::new(module.engine());
    p1::add_to_linker_sync(&mut linker, |wasi| wasi)?;
    for import in module
        .imports()
        .filter(|import| import.module() == OWN_IMPORTS)
    {
        let name = import.name().to_owned();
        let Some(ty) = import.ty().func().cloned() else {
            bail!("{OWN_IMPORTS}.{name} is not a function");
        };
        linker.func_new(OWN_IMPORTS, import.name(), ty, move |_, _, _| {
            bail!("the guest calls {OWN_IMPORTS}.{name} while it is pre-initialised")
        })?;
    }
    Ok(linker)
}

/// The instance after its start-up, for wizer to look at.
struct State {
    store: Store<WasiP1Ctx>,
    instance: Instance,
}

// The panics are part of the trait's contract: wizer asks for what it has exported itself.
impl InstanceState for State {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name);
        match global.expect("wizer exports it").get(&mut self.store) {
            Val::I32(value) => SnapshotVal::I32(value),
            Val::I64(value) => SnapshotVal::I64(value),
            Val::F32(bits) => SnapshotVal::F32(bits),
            Val::F64(bits) => SnapshotVal::F64(bits),
            Val::V128(bits) => SnapshotVal::V128(bits.as_u128()),
            value => panic!("wizer refuses globals of the type of {value:?}"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name);
        contents(memory.expect("wizer exports it").data(&self.store));
    }
}

/// The result of a future that never waits. [`State`] answers at once, and wizer itself has
/// nothing to wait for.
fn ready<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err(format_err!("wizer waits for something unknown")),
    }
}
