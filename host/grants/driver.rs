//! Driving async host functions to completion from scripts, which wait for them.

use std::future::{Future, poll_fn};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::panic_message;
use crate::grants::host_call::HostCall;
use crate::sync::nesting;

/// The tokio runtime that async host functions run on: the embedder's, or one of the pool's
/// own, which is started when it is first needed.
///
/// The script's thread waits for the future as it waits for any host function, but never
/// polls it: inside of a tokio runtime, blocking on a future of its own would panic.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    given: Option<Handle>,
    own: OnceLock<Runtime>,
}

/// Why a future gave nothing.
pub(crate) enum Unfinished {
    /// The run's time was over, or it was cancelled.
    Stopped,
    /// It panicked.
    Panicked(String),
    /// There is no runtime to drive it.
    NoRuntime(String),
}

impl Driver {
    /// A driver that uses the runtime of `handle`.
    pub(crate) fn given(handle: Handle) -> Driver {
        Driver {
            given: Some(handle),
            own: OnceLock::new(),
        }
    }

    fn handle(&self) -> Result<&Handle, Unfinished> {
        if let Some(handle) = &self.given {
            return Ok(handle);
        }
        if self.own.get().is_none() {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("moonfork-async")
                .enable_all()
                .build()
                .map_err(|error| Unfinished::NoRuntime(error.to_string()))?;
            // Where two threads come here at once, one of the runtimes is not needed.
            if let Err(spare) = self.own.set(runtime) {
                spare.shutdown_background();
            }
        }
        Ok(self.own.get().expect("just set").handle())
    }

    /// Waits for `future` as long as `call` allows, and drops it after that.
    pub(crate) fn drive<T: Send + 'static>(
        &self,
        call: &HostCall,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unfinished> {
        let handle = self.handle()?;
        let (send, receive) = mpsc::channel();
        let mut future = Box::pin(future);
        let task = handle.spawn(poll_fn(move |context| {
            // The runtime's thread may be the one that main belongs to.
            let _call = nesting::enter();
            future.as_mut().poll(context)
        }));
        let abort = task.abort_handle();
        // Only the task keeps the channel open: a runtime that was shut down drops it at once.
        let finished = Arc::new(send);
        let send = Arc::downgrade(&finished);
        handle.spawn(async move {
            // The receiver is gone where nobody waits any more.
            let _ = finished.send(Some(task.await));
        });
        let cancel = call.cancel();
        let _watch = cancel.on_cancel(move || {
            if let Some(send) = send.upgrade() {
                let _ = send.send(None);
            }
        });
        let received = match call.deadline {
            Some(deadline) => {
                receive.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
            None => receive.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(Some(Ok(value))) => Ok(value),
            Ok(Some(Err(error))) if error.is_panic() => {
                Err(Unfinished::Panicked(panic_message(&*error.into_panic())))
            }
            Ok(Some(Err(error))) => Err(Unfinished::NoRuntime(error.to_string())),
            Ok(None) | Err(RecvTimeoutError::Timeout) => {
                abort.abort();
                Err(Unfinished::Stopped)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Unfinished::NoRuntime(
                "the runtime was shut down".to_owned(),
            )),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Waiting for its threads would panic where the pool is dropped by async code.
        if let Some(runtime) = self.own.take() {
            runtime.shutdown_background();
        }
    }
}
