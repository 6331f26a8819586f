//! Waiting that a cancellation ends.

use std::time::{Duration, Instant};

use crate::sync::monitor::{Until, sleep};
use crate::{Cancel, Deadline};

/// Waits for as long as `delay`, but not past `deadline`, and no longer once `cancel` is fired.
pub(crate) fn wait(delay: Duration, deadline: Option<Deadline>, cancel: &Cancel) {
    let patience = Instant::now().checked_add(delay);
    // A delay without an end that nothing else ends either is none.
    if patience.is_some() || deadline.is_some() {
        sleep(Until {
            patience,
            deadline,
            cancel: Some(cancel),
        });
    }
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
        wait(LONG, Some(Instant::now().into()), &cancel);
        let canceller = std::thread::spawn({
            let cancel = cancel.clone();
            move || cancel.cancel()
        });
        wait(LONG, None, &cancel);
        wait(LONG, None, &cancel);
        canceller.join().expect("it doesn't panic");
    }
}
