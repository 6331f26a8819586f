//! What runs cost.

pub(crate) mod output;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::identity::{Role, StoreId};
use crate::report::output::Output;

/// What the calls of an instance cost, since its last report.
///
/// Taken with [`Branch::take_report`](crate::Branch::take_report), also of an instance that was
/// stopped. Made for machines to read: [`schema_version`](Self::schema_version) is raised when a field changes
/// its meaning or goes; new fields may come at any time.
///
/// ```
/// use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// let mut branch = Pool::builder().build()?.branch()?;
/// branch.eval::<()>("print('hello')")?;
/// let report = branch.take_report();
/// assert_eq!((report.calls, report.output.as_str()), (1, "hello\n"));
/// assert_eq!(report.store_id, branch.store_id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Version of this layout: [`Report::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The instance.
    pub store_id: StoreId,
    /// What the instance is for.
    pub role: Role,
    /// What it began with.
    pub origin: Origin,
    /// How the last of the calls ended.
    pub outcome: Outcome,
    /// How many calls there were.
    pub calls: u64,
    /// How long they took in all, host functions included: milliseconds when serialised.
    #[serde(rename = "wall_ms", with = "milliseconds")]
    pub wall: Duration,
    /// Fuel they burnt, where the pool meters it.
    pub fuel: Option<u64>,
    /// The most memory that the instance occupied since it was made, in bytes: its own code's
    /// tables and stack, Lua's heap, and the heap of exceptions.
    pub peak_memory: usize,
    /// What they printed and was not taken before, as far as it was kept.
    pub output: String,
    /// Bytes that they printed, kept or not.
    pub output_bytes: u64,
    /// Whether more was printed than was kept.
    pub output_truncated: bool,
    /// How often they called each host function, `require`, each function of `fs`, and the clock
    /// of `os`.
    pub host_calls: BTreeMap<String, u64>,
}

impl Report {
    /// The version of the layout.
    pub const SCHEMA_VERSION: u32 = 1;

    /// The report of an instance of which nothing is known but this.
    pub(crate) fn empty(store_id: StoreId, role: Role) -> Report {
        Usage::default().report(
            (store_id, role, Origin::default()),
            false,
            0,
            &Output::default(),
            BTreeMap::new(),
        )
    }
}

/// What an instance began with. With the id of its store it certifies where its memory came from: what is
/// named here, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The instance that it is a fork of, or that the snapshot was made of that it began with, in the
    /// process that made it.
    pub parent: Option<StoreId>,
    /// SHA-256 of the guest module, in hexadecimal digits.
    pub guest_sha256: String,
    /// SHA-256 of the memory of the snapshot that it, or what it is a fork of, began with; nothing where
    /// that was the guest's own memory.
    pub snapshot_sha256: Option<String>,
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        digits.extend([byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]));
    }
    digits
}

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
#[non_exhaustive]
pub enum Outcome {
    /// There was no call.
    #[default]
    Idle,
    /// It gave a result.
    Done,
    /// It gave an error.
    Failed {
        /// What kind: [`Error::code`].
        code: String,
        /// Its message.
        message: String,
    },
}

impl Outcome {
    /// Becomes the one that `result` tells of.
    pub(crate) fn note<T>(&mut self, result: &Result<T, Error>) {
        match result {
            // Most often it is that already.
            Ok(_) if *self == Outcome::Done => {}
            Ok(_) => *self = Outcome::Done,
            Err(error) => {
                *self = Outcome::Failed {
                    code: error.code().to_owned(),
                    message: error.to_string(),
                };
            }
        }
    }
}

/// What is counted while calls run: a report in the making.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) outcome: Outcome,
    pub(crate) calls: u64,
    pub(crate) wall: Duration,
    /// What of that the host took for what scripts asked it, where that is counted.
    pub(crate) host: Duration,
    pub(crate) fuel: u64,
    /// By number: see [`Usage::count`].
    host_calls: Vec<u64>,
}

impl Usage {
    /// Counts a call of what has this number among the host functions and services.
    pub(crate) fn count(&mut self, place: usize) {
        if self.host_calls.len() <= place {
            self.host_calls.resize(place + 1, 0);
        }
        self.host_calls[place] += 1;
    }

    /// The counts by name, given the names by place.
    pub(crate) fn by_name<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, u64> {
        names
            .zip(&self.host_calls)
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| (name.to_owned(), *count))
            .collect()
    }

    /// The report of what was counted.
    pub(crate) fn report(
        self,
        (store_id, role, origin): (StoreId, Role, Origin),
        metered: bool,
        peak_memory: usize,
        output: &Output,
        host_calls: BTreeMap<String, u64>,
    ) -> Report {
        Report {
            schema_version: Report::SCHEMA_VERSION,
            store_id,
            role,
            origin,
            outcome: self.outcome,
            calls: self.calls,
            wall: self.wall,
            fuel: metered.then_some(self.fuel),
            peak_memory,
            output: output.text(),
            output_bytes: output.total(),
            output_truncated: output.is_truncated(),
            host_calls,
        }
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(wall: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(wall.as_secs_f64() * 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(milliseconds / 1e3).map_err(serde::de::Error::custom)
    }
}
