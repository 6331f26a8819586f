//! How much a call may use: the table of all limits, and what has one field for each.
//!
//! A limit is defined here, in one row of the table below, and enforced wherever that is. Whatever
//! else has limits goes through the table: options of runs, manifests of plugins, settings of
//! workflows, flags of the command line.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::run::amount::{Amount, Measure, Unit, out_of_range};
use crate::run::quantity::{self, QuantityError};
use crate::wire;

/// Hands the table to the macro named: for each limit its documentation, the name of its field and of
/// its [`Limit`], its type, what it can be, what it is by default and in `strict`, and what flags
/// say of it.
macro_rules! table {
    ($to:ident) => {
        $to! {
            /// Wall-clock time a call may take, host functions included. Defends against endless
            /// loops, wherever they are: in Lua, in a coroutine, inside a C function such as
            /// `string.find`. Checked at every tick of the pool's clock (5 ms).
            wall Wall: Duration {
                range: Duration::from_nanos(1)..=Duration::MAX,
                default: Duration::from_secs(30),
                strict: Duration::from_secs(1),
                sum: true,
                flag: "wall",
                about: "Wall-clock time that one call of Lua may take, as in 300ms or 1m 30s",
            }
            /// Fuel a call may burn: about one unit for each WebAssembly instruction, a few dozen
            /// for each of Lua's; `u64::MAX` is no limit. Defends against scripts that take more
            /// than their share, by a measure that is the same on every machine and at every load.
            /// Only pools that meter ([`PoolBuilder::metered`](crate::PoolBuilder::metered)) can
            /// have such a limit.
            fuel Fuel: u64 {
                range: 1..=u64::MAX,
                default: u64::MAX,
                strict: u64::MAX,
                sum: true,
                flag: "fuel",
                about: "Fuel that one call of Lua may burn, about one unit for each WebAssembly instruction",
            }
            /// Bytes that an instance may occupy in all, its own code's tables and stack included.
            /// Defends the host's memory. Lua may have all but its fixed part and a small reserve,
            /// so that a script sees an error that it can catch before the sandbox has to stop it.
            memory Memory: usize {
                range: Limits::MEMORY_RANGE,
                default: 64 << 20,
                strict: 8 << 20,
                sum: false,
                flag: "memory",
                about: "Memory that one instance may take, as in 16MiB",
            }
            /// Bytes of printed output that are kept until they are taken; the rest is cut off, and
            /// said so. Defends the host's memory against `print` in a loop, in one call or in many.
            output Output: usize {
                range: 0..=usize::MAX,
                default: 1 << 20,
                strict: 64 << 10,
                sum: true,
                flag: "output",
                about: "Printed output that is kept, as in 64KiB; the rest is cut off",
            }
            /// How many times a call may call host functions, `require`, `fs` and the clock of
            /// `os`. Defends what is behind them: a loop around a cheap question is a dear one for
            /// who answers it.
            host_calls HostCalls: u64 {
                range: 0..=u64::MAX,
                default: 100_000,
                strict: 1000,
                sum: true,
                flag: "host-calls",
                about: "How often one call of Lua may call the host: host functions, `require`, `fs`",
            }
            /// What a value may cost on its way out: the bytes of its text, and besides 32 for each
            /// value in it and 128 for each object, which is about what it takes in memory. On its
            /// way in, where the caller has it in memory already, its encoded bytes are counted.
            /// Defends the host against results that are larger than any caller expects: a few
            /// kilobytes of Lua tables that hold each other many times unfold to gigabytes.
            value Value: usize {
                range: Limits::MIN_VALUE..=usize::MAX,
                default: 64 << 20,
                strict: 1 << 20,
                sum: false,
                flag: "value",
                about: "Size of a value that passes between Lua and the host, as in 1MiB",
            }
            /// How many levels deep a value may be nested, in either direction, at most
            /// [`MAX_DEPTH`](Limits::MAX_DEPTH). Defends the stacks of both sides.
            depth Depth: u32 {
                range: 1..=Limits::MAX_DEPTH,
                default: Limits::MAX_DEPTH,
                strict: 32,
                sum: false,
                flag: "depth",
                about: "How many levels deep a value may be nested that passes between Lua and the host",
            }
        }
    };
}
pub(crate) use table;

macro_rules! define {
    ($(
        $(#[$doc:meta])*
        $field:ident $limit:ident: $type:ty {
            range: $range:expr,
            default: $default:expr,
            strict: $strict:expr,
            sum: $sum:expr,
            flag: $flag:expr,
            about: $about:expr,
        }
    )*) => {
        /// What a call may use.
        ///
        /// The limits of a pool hold for every call of every instance it makes. A run may ask for
        /// narrower ones through [`RunOptions`](crate::RunOptions), never for wider ones.
        ///
        /// ```
        /// use moonfork::Limits;
        /// let limits = Limits::strict().memory(16 << 20);
        /// assert_eq!((limits.memory, limits.host_calls), (16 << 20, 1000));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[$doc])* pub $field: $type,)*
        }

        /// Some limits: those of a run, a plugin or a node that are narrower than what is around
        /// it. What isn't set is as it is there.
        ///
        /// Serialised with the names of the limits that are set; a time is text, as in `1m 30s`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct PartialLimits {
            $(
                #[doc = concat!("[`Limits::", stringify!($field), "`].")]
                pub $field: Option<$type>,
            )*
        }

        /// One of the limits, for whoever reads them from somewhere or shows them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Limit {
            $(
                #[doc = concat!("[`Limits::", stringify!($field), "`].")]
                $limit,
            )*
        }

        impl Limits {
            $(
                #[doc = concat!("With this for [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Limits {
                    self.$field = $field;
                    self
                }
            )*

            /// What this limit is.
            pub fn get(&self, limit: Limit) -> Amount {
                match limit {
                    $(Limit::$limit => self.$field.amount(),)*
                }
            }

            /// For small scripts of strangers: 1 s, 8 MiB, 64 KiB of output, 1000 host calls, 1 MiB
            /// a value, 32 levels.
            pub fn strict() -> Limits {
                Limits { $($field: $strict,)* }
            }

            /// For scripts that are trusted not to exhaust the host: no limit but what the sandbox
            /// itself has, 4 GiB of memory and [`MAX_DEPTH`](Self::MAX_DEPTH). They can still be
            /// stopped, by [`Cancel`](crate::Cancel).
            pub fn unlimited() -> Limits {
                Limits { $($field: *$range.end(),)* }
            }

            /// These, with what is set in `partial` in their place, narrower or wider.
            #[must_use]
            pub fn with(&self, partial: &PartialLimits) -> Limits {
                Limits { $($field: partial.$field.unwrap_or(self.$field),)* }
            }

            /// These, with what is narrower in `partial`.
            ///
            /// # Errors
            ///
            /// The first limit that is wider there, with what it is there and here.
            pub(crate) fn narrowed(
                &self,
                partial: &PartialLimits,
            ) -> Result<Limits, (Limit, Amount, Amount)> {
                let mut narrowed = *self;
                $(
                    if let Some(asked) = partial.$field {
                        if asked > self.$field {
                            return Err((Limit::$limit, asked.amount(), self.$field.amount()));
                        }
                        narrowed.$field = asked;
                    }
                )*
                Ok(narrowed)
            }
        }

        impl Default for Limits {
            /// 30 s, no limit of fuel, 64 MiB, 1 MiB of output, 100,000 host calls, 64 MiB a value,
            /// 100 levels.
            fn default() -> Limits {
                Limits { $($field: $default,)* }
            }
        }

        impl PartialLimits {
            $(
                #[doc = concat!("With this for [`Limits::", stringify!($field), "`].")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> PartialLimits {
                    self.$field = Some($field);
                    self
                }
            )*

            /// What this limit is, if it is set.
            pub fn get(&self, limit: Limit) -> Option<Amount> {
                match limit {
                    $(Limit::$limit => self.$field.map(Measure::amount),)*
                }
            }

            /// Sets this limit.
            ///
            /// # Errors
            ///
            /// If it can't be that, with what it can be.
            pub fn set(&mut self, limit: Limit, amount: Amount) -> Result<(), QuantityError> {
                match limit {
                    $(
                        Limit::$limit => {
                            let range = $range;
                            let value = <$type>::of(amount).filter(|value| range.contains(value));
                            if value.is_none() {
                                return Err(out_of_range(&range));
                            }
                            self.$field = value;
                        }
                    )*
                }
                Ok(())
            }

            /// What is set here, and no more of it than `limits` have.
            #[must_use]
            pub fn at_most(&self, limits: &Limits) -> PartialLimits {
                PartialLimits {
                    $($field: self.$field.map(|own| own.min(limits.$field)),)*
                }
            }

            /// Those of them that each call may have whole: see [`Limit::is_sum`].
            #[must_use]
            pub fn of_each(&self) -> PartialLimits {
                PartialLimits {
                    $($field: self.$field.filter(|_| !Limit::$limit.is_sum()),)*
                }
            }

            /// The narrower of both, limit by limit.
            #[must_use]
            pub fn and(&self, other: &PartialLimits) -> PartialLimits {
                PartialLimits {
                    $($field: self.$field.into_iter().chain(other.$field).min(),)*
                }
            }
        }

        impl Limit {
            /// All of them.
            pub const ALL: &[Limit] = &[$(Limit::$limit,)*];

            /// Their names.
            pub const NAMES: &[&str] = &[$(stringify!($field),)*];

            /// The name, as in files: `host_calls`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Limit::$limit => stringify!($field),)*
                }
            }

            /// The name as that of a flag: `host-calls`.
            pub fn flag(self) -> &'static str {
                match self {
                    $(Limit::$limit => $flag,)*
                }
            }

            /// What it is a number of.
            pub fn unit(self) -> Unit {
                match self {
                    $(Limit::$limit => <$type>::UNIT,)*
                }
            }

            /// What it limits, in a sentence without its full stop.
            pub fn about(self) -> &'static str {
                match self {
                    $(Limit::$limit => $about,)*
                }
            }

            /// Whether several calls use it up together, where a limit is for all of them, such as
            /// those of a workflow's run; if not, each of them may have it whole.
            pub fn is_sum(self) -> bool {
                match self {
                    $(Limit::$limit => $sum,)*
                }
            }
        }
    };
}

table!(define);

impl Limits {
    /// What [`memory`](Self::memory) can be: at least what an instance needs to run anything,
    /// at most what 32 bits can address.
    pub const MEMORY_RANGE: RangeInclusive<usize> = 4 << 20..=4 << 30;

    /// What [`value`](Self::value) must be at least.
    pub const MIN_VALUE: usize = 1 << 10;

    /// What [`depth`](Self::depth) can be at most.
    pub const MAX_DEPTH: u32 = wire::MAX_DEPTH as u32;

    /// Whether there is a limit of fuel.
    pub fn limits_fuel(&self) -> bool {
        self.fuel != u64::MAX
    }

    /// Refuses limits that can't be kept. `metered` says whether the pool counts fuel.
    pub(crate) fn check(&self, metered: bool) -> Result<(), String> {
        let mut checked = PartialLimits::default();
        for &limit in Limit::ALL {
            let amount = self.get(limit);
            checked
                .set(limit, amount)
                .map_err(|error| format!("the limit `{}` is {amount}; {error}", limit.name()))?;
        }
        if self.limits_fuel() && !metered {
            return Err(
                "a limit of fuel is asked for, and the pool doesn't meter fuel; build it with \
                 `metered`"
                    .into(),
            );
        }
        Ok(())
    }
}

impl Limit {
    /// Reads an amount of this limit, as in files and flags: `1m 30s`, `1000`, `64MiB`.
    ///
    /// # Errors
    ///
    /// If it is none, or one that the limit can't be.
    pub fn parse(self, text: &str) -> Result<Amount, QuantityError> {
        let amount = match self.unit() {
            Unit::Time => Amount::Time(quantity::parse_duration(text)?),
            Unit::Bytes => Amount::Bytes(quantity::parse_size(text)?),
            Unit::Count => Amount::Count(quantity::parse_count(text)?),
        };
        PartialLimits::default().set(self, amount)?;
        Ok(amount)
    }
}

impl From<Limits> for PartialLimits {
    /// All of them, but for fuel where there is no limit of it.
    fn from(limits: Limits) -> PartialLimits {
        let mut all = PartialLimits::default();
        let limited = Limit::ALL
            .iter()
            .filter(|limit| **limit != Limit::Fuel || limits.limits_fuel());
        for &limit in limited {
            // Whoever keeps limits has checked them.
            let _ = all.set(limit, limits.get(limit));
        }
        all
    }
}

impl Serialize for PartialLimits {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for &limit in Limit::ALL {
            match self.get(limit) {
                None => {}
                Some(time @ Amount::Time(_)) => {
                    map.serialize_entry(limit.name(), &time.to_string())?;
                }
                Some(Amount::Count(number) | Amount::Bytes(number)) => {
                    map.serialize_entry(limit.name(), &number)?;
                }
            }
        }
        map.end()
    }
}

impl From<&Limits> for PartialLimits {
    fn from(limits: &Limits) -> PartialLimits {
        (*limits).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_shown_alike() {
        for (limit, text) in [
            (Limit::Wall, "1m 30s"),
            (Limit::Fuel, "1000"),
            (Limit::Memory, "64MiB"),
            (Limit::HostCalls, "0"),
            (Limit::Depth, "100"),
        ] {
            assert_eq!(limit.parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_a_limit_cannot_be_is_refused_with_what_it_can() {
        for (limit, text, why) in [
            (Limit::Fuel, "0", "it must be at least 1"),
            (Limit::Memory, "1MiB", "it must be between 4MiB and 4GiB"),
            (Limit::Value, "1B", "it must be at least 1KiB"),
            (Limit::Depth, "101", "it must be between 1 and 100"),
        ] {
            assert_eq!(limit.parse(text).unwrap_err().to_string(), why);
        }
        assert!(Limit::Wall.parse("0s").is_err());
        let mut partial = PartialLimits::default();
        assert!(partial.set(Limit::Wall, Amount::Count(1)).is_err());
        assert_eq!(partial, PartialLimits::default());
    }

    #[test]
    fn each_limit_is_set_and_told_by_its_name() {
        let mut partial = PartialLimits::default();
        for &limit in Limit::ALL {
            let strict = Limits::strict().get(limit);
            partial.set(limit, strict).unwrap();
            assert_eq!(partial.get(limit), Some(strict));
        }
        assert_eq!(Limits::unlimited().with(&partial), Limits::strict());
        assert_eq!(Limit::ALL.len(), Limit::NAMES.len());
    }

    #[test]
    fn the_narrower_of_two_holds() {
        let one = PartialLimits::default().memory(8 << 20).host_calls(5);
        let other = PartialLimits::default().memory(16 << 20).depth(3);
        let both = PartialLimits::default()
            .memory(8 << 20)
            .host_calls(5)
            .depth(3);
        assert_eq!((one.and(&other), other.and(&one)), (both, both));
        let clamped = other.at_most(&Limits::strict());
        assert_eq!(clamped, PartialLimits::default().memory(8 << 20).depth(3));
    }

    #[test]
    fn they_are_serialised_as_they_are_written() {
        let partial = PartialLimits::default()
            .wall(Duration::from_millis(300))
            .memory(16 << 20);
        let text = serde_json::to_string(&partial).unwrap();
        assert_eq!(text, r#"{"wall":"300ms","memory":16777216}"#);
    }
}
