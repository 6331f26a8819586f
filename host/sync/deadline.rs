//! When something must have ended, and the time that was given for it.

use std::time::{Duration, Instant};

/// When something must have ended: a moment, or a time that begins now.
///
/// ```
/// use std::time::{Duration, Instant};
/// use moonfork::{Deadline, Pool, RunOptions};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let mut branch = pool.branch()?;
/// let options = RunOptions::new().deadline(Deadline::after(Duration::from_millis(50)));
/// let error = branch.with(&options).eval::<()>("while true do end").unwrap_err();
/// // An error says the time that was given; of a moment, only that it has passed.
/// assert!(error.to_string().contains("ran longer than 50ms"));
/// let options = RunOptions::new().deadline(Instant::now());
/// let error = pool.branch()?.with(&options).eval::<()>("return 1").unwrap_err();
/// assert_eq!(error.to_string(), "stopped: the run's deadline passed");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    time: Option<Duration>,
}

/// What is as good as for ever: a hundred years.
const EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Deadline {
    /// When `time` is over that begins now.
    pub fn after(time: Duration) -> Deadline {
        Deadline::since(Instant::now(), time)
    }

    /// When `time` is over that began at `start`.
    pub fn since(start: Instant, time: Duration) -> Deadline {
        Deadline {
            at: start.checked_add(time).unwrap_or_else(|| start + EVER),
            time: Some(time),
        }
    }

    /// The moment.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The time that was given, if it wasn't a moment.
    pub fn time(&self) -> Option<Duration> {
        self.time
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// How long is left: zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// The earlier of two, if there are any; the first of two at one moment.
    pub(crate) fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
        let both = one.into_iter().chain(other);
        both.min_by_key(|deadline| deadline.at)
    }
}

impl From<Instant> for Deadline {
    fn from(at: Instant) -> Deadline {
        Deadline { at, time: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_one_says_its_own_time() {
        let now = Instant::now();
        let long = Deadline::since(now, Duration::from_secs(60));
        let short = Deadline::since(now, Duration::from_secs(1));
        for (one, other) in [(long, short), (short, long)] {
            let earlier = Deadline::earlier(Some(one), Some(other));
            assert_eq!(earlier, Some(short));
        }
        assert_eq!(Deadline::earlier(None, Some(long)), Some(long));
        assert_eq!(Deadline::earlier(None, None), None);
        let moment = Deadline::from(short.at());
        let earlier = Deadline::earlier(Some(moment), Some(short));
        assert_eq!(earlier, Some(moment), "the first of two at one moment");
    }

    #[test]
    fn a_time_beyond_the_clock_is_as_good_as_for_ever() {
        let deadline = Deadline::after(Duration::MAX);
        assert_eq!(deadline.time(), Some(Duration::MAX));
        assert!(!deadline.is_over() && deadline.remaining() > EVER / 2);
    }
}
