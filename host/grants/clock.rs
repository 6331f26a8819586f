//! The time that scripts may be told.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where `os.time`, `os.date` and `os.clock` get the time from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The host's own clock.
    pub fn system() -> Clock {
        Clock::from_fn(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.unwrap_or_default()
        })
    }

    /// A clock that stands at `since_epoch`, the time since 1970-01-01 00:00 UTC.
    pub fn fixed(since_epoch: Duration) -> Clock {
        Clock::from_fn(move || since_epoch)
    }

    /// A clock that tells what `now` gives, the time since 1970-01-01 00:00 UTC. Called on the
    /// thread that runs the script; a panic there ends the instance.
    pub fn from_fn(now: impl Fn() -> Duration + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The time since 1970-01-01 00:00 UTC.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
