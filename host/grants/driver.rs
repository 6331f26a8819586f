//! Driving async host functions to completion from scripts, which wait for them.

use std::future::{Future, poll_fn};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::panic_message;
use crate::grants::host_call::HostCall;
use crate::sync::monitor::{Monitor, Until};
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
        let mut future = Box::pin(future);
        let task = handle.spawn(poll_fn(move |context| {
            // The runtime's thread may be the one that main belongs to.
            let _call = nesting::enter();
            future.as_mut().poll(context)
        }));
        let abort = task.abort_handle();
        let finished = Monitor::new(None);
        let finish = Finish(Arc::clone(&finished));
        handle.spawn(async move {
            let joined = task.await;
            finish.0.change(|finished| *finished = Some(Some(joined)));
        });
        let cancel = call.cancel_handle();
        let until = Until {
            patience: None,
            deadline: call.deadline,
            cancel: Some(&cancel),
        };
        let joined = match finished.wait(until, Option::is_some) {
            Ok(mut finished) => finished.take().flatten(),
            Err(_) => {
                abort.abort();
                return Err(Unfinished::Stopped);
            }
        };
        match joined {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) if error.is_panic() => {
                Err(Unfinished::Panicked(panic_message(&*error.into_panic())))
            }
            Some(Err(error)) => Err(Unfinished::NoRuntime(error.to_string())),
            None => Err(Unfinished::NoRuntime(
                "the runtime was shut down".to_owned(),
            )),
        }
    }
}

/// Says that nothing comes any more, when it is dropped before anything did: so does a runtime with
/// its tasks that is shut down.
struct Finish<T: Send + 'static>(Arc<Monitor<Option<Option<T>>>>);

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        self.0.change(|finished| {
            finished.get_or_insert(None);
        });
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
