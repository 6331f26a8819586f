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

/// Does this when the process is told to stop, by Ctrl-C or SIGTERM; told a second time, it ends.
///
/// # Errors
/// If there can be no handler.
#[cfg(all(feature = "nats", unix))]
pub(super) fn on_stop(stop: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};

    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .context("the handler of Ctrl-C and SIGTERM can't be set")?;
    let wait = move || {
        for (count, _) in signals.forever().enumerate() {
            match count {
                0 => stop(),
                _ => std::process::exit(INTERRUPTED.into()),
            }
        }
    };
    let thread = std::thread::Builder::new().name("moonfork-signals".to_owned());
    thread.spawn(wait).context("no thread waits for signals")?;
    Ok(())
}

/// The same, by Ctrl-C alone.
#[cfg(all(feature = "nats", not(unix)))]
pub(super) fn on_stop(stop: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    let mut is_stopping = false;
    ctrlc::set_handler(move || {
        if std::mem::replace(&mut is_stopping, true) {
            std::process::exit(INTERRUPTED.into());
        }
        stop();
    })
    .context("the handler of Ctrl-C can't be set")
}
