//! Running the guest's start-up once and keeping the memory that it leaves.
//!
//! This is what `wasmtime-wizer` is for. Its cargo feature `wasmtime`, which would run the
//! module too, is off: that feature switches on more of wasmtime than the workspace has, and
//! then wasmtime would be built twice. Running the module is little work.

use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use wasmparser::{DataKind, KnownCustom, Parser, Payload};
use wasmtime::{Config, Engine, Instance, Linker, Module, Result, Store, Val, bail, format_err};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use crate::closed::close;
use crate::recipe::Snapshot;

/// Runs wasi-libc's constructors. Not exported any more by the snapshot.
const CONSTRUCTORS: &str = "_initialize";

/// The guest's own start-up. Not exported any more by the snapshot.
const PREINIT: &str = "moonfork_preinit";

/// The module whose imports are ours rather than WASI's.
const OWN_IMPORTS: &str = "moonfork";

/// Returns `wasm` as it is after its start-up: a module that starts where that has ended.
pub(crate) fn preinitialise(wasm: &[u8], world: &Snapshot) -> Result<Vec<u8>> {
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
    let snapshot = ready(wizer.snapshot(&context, &mut state))??;
    without_empty_data(&without_tool_sections(&close(&snapshot)?)?)
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
fn wasi(world: &Snapshot) -> WasiP1Ctx {
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

/// Drops what only compilers and linkers read. The functions' names stay: they take about a
/// tenth of the module, and the trace of a trap is of little use without them.
fn without_tool_sections(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload {
            if let KnownCustom::Name(names) = section.as_known() {
                module.section(&function_names(names)?);
            }
        } else if let Some((id, range)) = payload.as_section() {
            let data = &wasm[range];
            module.section(&wasm_encoder::RawSection { id, data });
        }
    }
    Ok(module.finish())
}

/// Drops the empty pieces of data that wizer leaves in place of those that the linker made, a thousand: an
/// instance would have a place for each, for instructions that copy from them.
fn without_empty_data(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::DataCountSection { .. } => {
                bail!("the module has such instructions, which count pieces of data")
            }
            Payload::DataSection(section) => {
                let mut data = wasm_encoder::DataSection::new();
                for piece in section.clone() {
                    let piece = piece?;
                    match piece.kind {
                        DataKind::Passive if piece.data.is_empty() => {}
                        _ => wasm_encoder::reencode::utils::parse_data(
                            &mut wasm_encoder::reencode::RoundtripReencoder,
                            &mut data,
                            piece,
                        )?,
                    }
                }
                module.section(&data);
            }
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = &wasm[range];
                    module.section(&wasm_encoder::RawSection { id, data });
                }
            }
        }
    }
    Ok(module.finish())
}

/// The names of functions alone, without those of globals and of data segments. (Wizer has
/// replaced the segments, so theirs would be wrong.)
///
/// Functions that one file takes from another get a suffix from the linker, which depends on
/// where the files are; the module must not.
fn function_names(names: wasmparser::NameSectionReader<'_>) -> Result<wasm_encoder::NameSection> {
    let mut functions = wasm_encoder::NameMap::new();
    for name in names {
        if let wasmparser::Name::Function(map) = name? {
            for naming in map {
                let naming = naming?;
                let (name, _) = naming
                    .name
                    .split_once(".llvm.")
                    .unwrap_or((naming.name, ""));
                functions.append(naming.index, name);
            }
        }
    }
    let mut section = wasm_encoder::NameSection::new();
    section.functions(&functions);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::without_empty_data;

    /// `module` without what is dropped, as text.
    fn dropped(module: &str) -> wasmtime::Result<Vec<u8>> {
        without_empty_data(&wat::parse_str(module).unwrap())
    }

    #[test]
    fn empty_pieces_of_data_are_dropped_and_no_others() {
        let made =
            "(module (memory 1) (data \"\") (data (i32.const 8) \"a\") (data \"\") (data \"b\"))";
        let kept = "(module (memory 1) (data (i32.const 8) \"a\") (data \"b\"))";
        assert_eq!(dropped(made).unwrap(), wat::parse_str(kept).unwrap());
        let error = dropped("(module (memory 1) (data \"\") (data \"b\") (func data.drop 1))");
        assert!(error.unwrap_err().to_string().contains("such instructions"));
    }
}
