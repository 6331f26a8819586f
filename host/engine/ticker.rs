//! The clock that running scripts are checked against.
//!
//! Compiled code reads the engine's epoch at every loop and call; when it has moved on, the
//! store's callback runs and looks at the instance's own deadline. Moving the epoch is the
//! ticker's work: one thread an engine, asleep while nothing runs.
//!
//! Waking a sleeping thread costs more than a small script, so the ticker doesn't fall asleep
//! at once when the last call ends, only after [`LINGER`] ticks without any. A call sets its store's
//! deadline to the next tick and then [touches](Awake::touch) the ticker, in this order: so there is
//! another tick, and the callback at that tick holds the ticker awake until the call ends. A call that
//! is over before costs it no more than two loads.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

use crate::sync::awake::Awake;
use crate::{Error, Result};

/// How often deadlines are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(5);
/// Ticks without any call after which the ticker falls asleep.
const LINGER: u32 = 20;

/// Moves an engine's epoch while scripts run; stops with its last handle.
#[derive(Debug)]
pub(crate) struct Ticker(Arc<Awake>);

impl Ticker {
    /// Starts the thread, asleep.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(crate) fn start(engine: &Engine) -> Result<Ticker> {
        let awake = Arc::new(Awake::default());
        // Only a weak handle: the ticker must not keep an engine alive that nobody uses.
        let (engine, state) = (engine.weak(), Arc::clone(&awake));
        thread::Builder::new()
            .name("moonfork-ticker".into())
            .stack_size(64 << 10)
            .spawn(move || {
                state.run(TICK, LINGER, || match engine.upgrade() {
                    Some(engine) => {
                        engine.increment_epoch();
                        true
                    }
                    None => false,
                });
            })
            .map_err(|error| {
                Error::setup(format_args!("no thread for the clock: {error}")).caused_by(error)
            })?;
        Ok(Ticker(awake))
    }

    /// What keeps it awake.
    pub(crate) fn awake(&self) -> &Arc<Awake> {
        &self.0
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Caller, Config, Linker, Module, Store, UpdateDeadline};

    use super::*;
    use crate::sync::awake::Hold;

    /// As a store's context is, in what matters here.
    struct Context {
        awake: Arc<Awake>,
        hold: Option<Hold>,
        ticks: u32,
    }

    /// A store that ends what runs in it at its tenth tick.
    fn store(engine: &Engine, ticker: &Ticker) -> Store<Context> {
        let context = Context {
            awake: Arc::clone(ticker.awake()),
            hold: None,
            ticks: 0,
        };
        let mut store = Store::new(engine, context);
        store.epoch_deadline_callback(|mut store| {
            let context = store.data_mut();
            context.hold.get_or_insert_with(|| context.awake.hold());
            context.ticks += 1;
            if context.ticks == 10 {
                return Err(wasmtime::format_err!("the tenth tick"));
            }
            Ok(UpdateDeadline::Continue(1))
        });
        store
    }

    fn engine() -> Engine {
        Engine::new(Config::new().epoch_interruption(true)).unwrap()
    }

    #[test]
    fn a_loop_is_stopped_though_the_ticker_fell_asleep_in_a_host_function_before_it() {
        let engine = engine();
        let ticker = Ticker::start(&engine).unwrap();
        let module = r#"(module
            (import "host" "long" (func $long))
            (func (export "run") (call $long) (loop $ever (br $ever))))"#;
        let module = Module::new(&engine, wat::parse_str(module).unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        let long = |caller: Caller<'_, Context>| {
            while !caller.data().awake.is_asleep() {
                thread::yield_now();
            }
        };
        linker.func_wrap("host", "long", long).unwrap();
        let mut store = store(&engine, &ticker);
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let run = instance
            .get_typed_func::<(), ()>(&mut store, "run")
            .unwrap();
        store.set_epoch_deadline(1);
        ticker.awake().touch();
        let error = run.call(&mut store, ()).unwrap_err();
        assert!(format!("{error:?}").contains("the tenth tick"), "{error:?}");
    }

    #[test]
    fn it_does_not_keep_its_engine_alive() {
        let engine = engine();
        let weak = engine.weak();
        let ticker = Ticker::start(&engine).unwrap();
        ticker.awake().touch();
        drop(engine);
        // It has a handle of its own for a moment at each tick.
        while weak.upgrade().is_some() {
            thread::yield_now();
        }
    }
}
