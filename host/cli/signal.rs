//! Ctrl-C.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use moonfork::Cancel;

/// The exit code of what was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// What Ctrl-C stops.
#[derive(Clone, Default)]
pub(super) struct Signal(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// Nothing runs.
    #[default]
    Idle,
    /// Something runs that this stops.
    Running(Cancel),
    /// It was told to stop.
    Stopping,
}

impl Signal {
    /// From now on, Ctrl-C stops what [`watch`](Self::watch) gave the handle for. Where nothing
    /// runs, or it doesn't stop and is asked once more, it ends the process.
    ///
    /// # Errors
    /// If there can be no handler.
    pub(super) fn handle() -> anyhow::Result<Signal> {
        Signal::handle_or(|| std::process::exit(INTERRUPTED.into()))
    }

    /// The same, but where nothing runs nothing happens.
    ///
    /// # Errors
    /// If there can be no handler.
    pub(super) fn handle_and_stay() -> anyhow::Result<Signal> {
        Signal::handle_or(|| {})
    }

    fn handle_or(idle: impl Fn() + Send + 'static) -> anyhow::Result<Signal> {
        let signal = Signal::default();
        let on_signal = signal.clone();
        ctrlc::set_handler(move || {
            let mut state = on_signal.lock();
            match std::mem::take(&mut *state) {
                State::Idle => idle(),
                State::Running(cancel) => {
                    *state = State::Stopping;
                    drop(state);
                    cancel.cancel();
                }
                State::Stopping => std::process::exit(INTERRUPTED.into()),
            }
        })
        .context("the handler of Ctrl-C can't be set")?;
        Ok(signal)
    }

    /// A handle for what begins to run now.
    pub(super) fn watch(&self) -> Cancel {
        let cancel = Cancel::new();
        *self.lock() = State::Running(cancel.clone());
        cancel
    }

    /// It runs no more.
    pub(super) fn unwatch(&self) {
        *self.lock() = State::Idle;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
