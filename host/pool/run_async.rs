//! Runs for async code.

use std::panic;

use tokio::runtime::Handle;

use crate::error::ErrorKind;
use crate::{Branch, Cancel, Error, Pool, Result, RunOptions};

impl Pool {
    /// Does `work` with a fresh branch on one of tokio's threads for blocking work, so that
    /// neither the wait for an instance nor the run itself blocks the executor.
    ///
    /// When the future is dropped before it is done, the run is cancelled. The instance is
    /// gone, and its slot free, within a tick of the pool's clock.
    ///
    /// ```
    /// use moonfork::{Pool, RunOptions};
    /// # #[tokio::main]
    /// # async fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder().build()?;
    /// let sum = pool
    ///     .run_async(RunOptions::new(), |branch| branch.eval::<i64>("1 + 1"))
    ///     .await?;
    /// assert_eq!(sum, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`branch_with`](Self::branch_with), or what `work` gives; `Options` outside of a
    /// tokio runtime; `Cancelled` when the runtime is shut down first.
    ///
    /// # Panics
    ///
    /// When `work` does.
    pub fn run_async<T, W>(
        &self,
        options: RunOptions,
        work: W,
    ) -> impl Future<Output = Result<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&mut Branch) -> Result<T> + Send + 'static,
    {
        let pool = self.clone();
        async move {
            let runtime = Handle::try_current().map_err(|error| {
                Error::options(format_args!("an async run needs tokio: {error}")).caused_by(error)
            })?;
            let dropped = CancelOnDrop(Cancel::new());
            let outer = options.get_cancel().into_iter();
            let cancel = Cancel::any(outer.chain([&dropped.0]));
            let options = options.cancel_handle(&cancel);
            let run = runtime.spawn_blocking(move || work(&mut pool.branch_with(&options)?));
            match run.await {
                Ok(result) => result,
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => panic::resume_unwind(payload),
                    Err(_) => Err(Error::from(ErrorKind::Cancelled {
                        at: None,
                        begun: false,
                    })),
                },
            }
        }
    }
}

/// Fires when the future that holds it is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
