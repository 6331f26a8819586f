//! What a limit is a number of: time, things, bytes.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::run::quantity::{self, QuantityError};

/// What a limit is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// A time.
    Time,
    /// Things that are counted.
    Count,
    /// Bytes.
    Bytes,
}

/// How much a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[non_exhaustive]
pub enum Amount {
    /// A time.
    Time(Duration),
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
}

/// As it is written in files and flags: `1m 30s`, `1000`, `64MiB`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Amount::Time(time) => f.write_str(&quantity::format_duration(time)),
            Amount::Count(count) => count.fmt(f),
            Amount::Bytes(bytes) => f.write_str(&quantity::format_size(bytes)),
        }
    }
}

/// A type that a limit can have.
pub(super) trait Measure: Copy + PartialEq {
    const UNIT: Unit;
    const MAX: Self;

    fn amount(self) -> Amount;

    fn of(amount: Amount) -> Option<Self>;
}

impl Measure for Duration {
    const UNIT: Unit = Unit::Time;
    const MAX: Duration = Duration::MAX;

    fn amount(self) -> Amount {
        Amount::Time(self)
    }

    fn of(amount: Amount) -> Option<Duration> {
        match amount {
            Amount::Time(time) => Some(time),
            _ => None,
        }
    }
}

impl Measure for u64 {
    const UNIT: Unit = Unit::Count;
    const MAX: u64 = u64::MAX;

    fn amount(self) -> Amount {
        Amount::Count(self)
    }

    fn of(amount: Amount) -> Option<u64> {
        match amount {
            Amount::Count(count) => Some(count),
            _ => None,
        }
    }
}

impl Measure for u32 {
    const UNIT: Unit = Unit::Count;
    const MAX: u32 = u32::MAX;

    fn amount(self) -> Amount {
        Amount::Count(self.into())
    }

    fn of(amount: Amount) -> Option<u32> {
        u64::of(amount).and_then(|count| count.try_into().ok())
    }
}

impl Measure for usize {
    const UNIT: Unit = Unit::Bytes;
    const MAX: usize = usize::MAX;

    fn amount(self) -> Amount {
        Amount::Bytes(self as u64)
    }

    fn of(amount: Amount) -> Option<usize> {
        match amount {
            Amount::Bytes(bytes) => bytes.try_into().ok(),
            _ => None,
        }
    }
}

/// Why an amount can't be had.
pub(super) fn out_of_range<T: Measure>(range: &RangeInclusive<T>) -> QuantityError {
    let least = range.start().amount();
    if *range.end() == T::MAX {
        return QuantityError::new(format!("it must be at least {least}"));
    }
    let most = range.end().amount();
    QuantityError::new(format!("it must be between {least} and {most}"))
}
