//! Waiting that a cancellation ends.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Cancel;

/// Waits for as long as `delay`, but not past `deadline`, and no longer once `cancel` is fired.
pub(crate) fn wait(delay: Duration, deadline: Option<Instant>, cancel: &Cancel) {
    let now = Instant::now();
    let until = now.checked_add(delay).into_iter().chain(deadline).min();
    let Some(until) = until else { return };
    let bell = Arc::new((Mutex::new(()), Condvar::new()));
    let watch = cancel.on_cancel({
        let bell = Arc::clone(&bell);
        move || {
            // Taken, so that the notice can't fall between the look and the sleep.
            let _guard = bell.0.lock().unwrap_or_else(PoisonError::into_inner);
            bell.1.notify_all();
        }
    });
    let guard = bell.0.lock().unwrap_or_else(PoisonError::into_inner);
    let left = until.saturating_duration_since(Instant::now());
    let _ = bell
        .1
        .wait_timeout_while(guard, left, |()| !cancel.is_cancelled());
    drop(watch);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than any test takes.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn it_ends_by_itself_at_the_deadline_and_by_cancellation() {
        let cancel = Cancel::new();
        wait(Duration::from_millis(1), None, &cancel);
        wait(LONG, Some(Instant::now()), &cancel);
        let canceller = std::thread::spawn({
            let cancel = cancel.clone();
            move || cancel.cancel()
        });
        wait(LONG, None, &cancel);
        wait(LONG, None, &cancel);
        canceller.join().expect("it doesn't panic");
    }
}
