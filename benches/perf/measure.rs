//! Timing two things in turn, so that whatever else the machine does meets both.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::Result;

/// How long to measure.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds in which both sides are timed, one after the other.
    pub(crate) rounds: usize,
    /// How long each side runs in a round, at least.
    pub(crate) slice: Duration,
}

impl Effort {
    /// For figures that are written down.
    pub(crate) const FULL: Effort = Effort {
        rounds: 31,
        slice: Duration::from_millis(20),
    };
    /// For a look.
    pub(crate) const QUICK: Effort = Effort {
        rounds: 9,
        slice: Duration::from_millis(5),
    };
}

/// What came out: medians over the rounds, in seconds a unit of work.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    /// Our side.
    pub(crate) ours: f64,
    /// The native side.
    pub(crate) native: f64,
    /// The median of the rounds' ratios, which is steadier than the ratio of the medians.
    pub(crate) ratio: f64,
}

/// Work that says how many units of it were done.
pub(crate) type Work<'a> = dyn FnMut() -> Result<u32> + 'a;

/// One unit of work, its result kept from being optimised away.
pub(crate) fn once<T, E>(
    mut work: impl FnMut() -> std::result::Result<T, E>,
) -> impl FnMut() -> Result<u32>
where
    Box<dyn Error>: From<E>,
{
    move || {
        black_box(work()?);
        Ok(1)
    }
}

/// Times both in turn, after one round that warms them up.
pub(crate) fn in_turn(effort: Effort, ours: &mut Work<'_>, native: &mut Work<'_>) -> Result<Pair> {
    let (mut our_times, mut native_times, mut ratios) = (vec![], vec![], vec![]);
    for round in 0..=effort.rounds {
        let (a, b) = (time(effort.slice, ours)?, time(effort.slice, native)?);
        if round > 0 {
            our_times.push(a);
            native_times.push(b);
            ratios.push(a / b);
        }
    }
    Ok(Pair {
        ours: median(our_times),
        native: median(native_times),
        ratio: median(ratios),
    })
}

/// Seconds that a unit takes, as the mean over a slice of time.
fn time(slice: Duration, work: &mut Work<'_>) -> Result<f64> {
    // Reading the clock costs as much as some of what is timed.
    const AT_ONCE: u32 = 16;
    let start = Instant::now();
    let mut units = 0;
    let mut batch = 1;
    while start.elapsed() < slice {
        let before = start.elapsed();
        for _ in 0..batch {
            units += work()?;
        }
        if start.elapsed() - before < slice / AT_ONCE {
            batch = AT_ONCE;
        }
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(units))
}

/// The middle one of `values`.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
