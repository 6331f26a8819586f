//! The thread that talks to the server: a runtime of its own, so that the caller needs none, and so that
//! leases are renewed whatever its other threads do.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::Error;

/// The runtime, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Io(Option<Runtime>);

impl Io {
    /// # Errors
    /// If there can't be a thread.
    pub(crate) fn start() -> Result<Io, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("moonfork-nats")
            .enable_all()
            .build()
            .map_err(|error| Error::of("no thread for the connection to NATS", error))?;
        Ok(Io(Some(runtime)))
    }

    /// Runs this there, and waits for it. Not by the runtime's own means of waiting: this thread may be one
    /// of another runtime, where those panic.
    ///
    /// # Errors
    /// If it came to no end.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        wait(self.handle(), future)
    }

    pub(crate) fn handle(&self) -> &Handle {
        match &self.0 {
            Some(runtime) => runtime.handle(),
            None => unreachable!("it is taken by dropping alone"),
        }
    }
}

/// The same for who has but the handle.
pub(crate) fn wait<T: Send + 'static>(
    handle: &Handle,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = mpsc::channel();
    handle.spawn(async move {
        // Whoever waited may be gone.
        let _ = sender.send(future.await);
    });
    receiver
        .recv()
        .unwrap_or_else(|_| Err(Error::new("the connection to NATS has ended")))
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waiting for its threads panics on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}
