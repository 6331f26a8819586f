//! Journals: what an instance was asked to do, and what its scripts asked the host for, so that all of it
//! can be run again, alone and offline.

pub(crate) mod entry;
mod file;
mod mask;
pub(crate) mod memory;
pub(crate) mod player;
pub(crate) mod replay;
pub(crate) mod show;
pub(crate) mod tape;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::journal::entry::{Entry, Kept};
use crate::journal::mask::Mask;
use crate::journal::memory::Memory;
use crate::run::limits::Limits;
use crate::wire::Seed;

/// The version that writes journals: what a request means is known to the very same alone.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What one instance was asked to do, and what its scripts asked the host for: each call with its values, and in
/// it each call of a host function, of `fs`, of `require`, each reading of the clock, with what the script was
/// told, in order; and how it ended.
///
/// An instance keeps one that was made with [`RunOptions::journal`](crate::RunOptions::journal);
/// [`Branch::take_journal`](crate::Branch::take_journal) gives it. [`Pool::replay`](crate::Pool::replay) runs it
/// again: no host function, file or clock is touched.
///
/// It holds whatever scripts have seen. [`mask`](Self::mask) takes out what nobody should see.
///
/// ```
/// use moonfork::{Grants, Pool, ReplayOptions, RunOptions};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder()
///     .function("fetch", |(url,): (String,)| Ok(format!("what is at {url}")))
///     .build()?;
/// let grants = Grants::none().function("fetch");
/// let options = RunOptions::new().grants(grants).journal(1 << 20);
/// let mut branch = pool.branch_with(&options)?;
/// branch.eval::<u64>("local page = fetch('x.org')\nprint(page)\nreturn #page")?;
/// let journal = branch.take_journal().expect("it was asked for");
///
/// // In another process, where there is no `fetch`:
/// let offline = Pool::builder().for_replay(&journal).build()?;
/// let replay = offline.replay(&journal, &ReplayOptions::new())?;
/// assert!(replay.is_same());
/// assert!(replay.to_string().contains(r#"eval:1: fetch("x.org") -> "what is at x.org""#));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    schema_version: u32,
    version: String,
    guest_sha256: String,
    metered: bool,
    /// The instance, in the process that it was in.
    pub(crate) store_id: u64,
    labels: BTreeMap<String, String>,
    /// What the instance was granted, in words.
    granted: Vec<String>,
    /// Host functions by the numbers that the guest knows them by.
    functions: BTreeMap<u32, String>,
    pub(crate) seed: Option<Seed>,
    /// What the instance could use.
    limits: Kept,
    /// What it began with, if that wasn't the guest's own memory.
    #[serde(with = "shared")]
    pub(crate) memory: Option<Arc<Memory>>,
    pub(crate) entries: Vec<Entry>,
    /// Whether there was more than it had room for.
    pub(crate) is_cut: bool,
    masked: u64,
}

/// What is known of an instance when its journal begins.
pub(crate) struct Begins {
    pub(crate) guest_sha256: String,
    pub(crate) metered: bool,
    pub(crate) granted: Vec<String>,
    pub(crate) functions: BTreeMap<u32, String>,
}

impl Journal {
    /// The version of the layout. It is raised when one of another version can't be read.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Bytes that a journal may take where nobody says anything else: 16 MiB.
    pub const BYTES: usize = 16 << 20;

    /// An empty one.
    pub(crate) fn new(begins: Begins, limits: &Limits) -> Journal {
        let Begins {
            guest_sha256,
            metered,
            granted,
            functions,
        } = begins;
        Journal {
            schema_version: Journal::SCHEMA_VERSION,
            version: VERSION.to_owned(),
            guest_sha256,
            metered,
            store_id: 0,
            labels: BTreeMap::new(),
            granted,
            functions,
            seed: None,
            limits: limits.into(),
            memory: None,
            entries: Vec::new(),
            is_cut: false,
            masked: 0,
        }
    }

    /// Whether the instance's pool counted fuel. A pool that replays it has to do the same.
    pub fn is_metered(&self) -> bool {
        self.metered
    }

    /// What each call of the instance could use.
    pub fn limits(&self) -> Limits {
        (&self.limits).into()
    }

    /// How many calls of the instance it has.
    pub fn calls(&self) -> usize {
        let calls = self.entries.iter();
        calls.filter(|it| matches!(it, Entry::Call(_))).count()
    }

    /// Whether there was more than it had room for. What is there, up to that, can be replayed.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How often something in it was [masked](Self::mask).
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// Says what it is of: `branch`, `node`. A replay begins by telling this.
    pub fn label(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.labels.insert(name.into(), value.into());
    }

    /// What it is of, as [`label`](Self::label) has said.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// Puts `***` in place of each of these texts, wherever scripts have seen them: in values, arguments, results,
    /// the content of files, output and errors. In the memory that the instance may have begun with each of their
    /// bytes becomes a `*`. Source code stays as it is. Gives how often that was done.
    ///
    /// A replay gives scripts `***` in their place, and says so: what hangs on such a value may go another way.
    pub fn mask<'s>(&mut self, texts: impl IntoIterator<Item = &'s str>) -> u64 {
        let mut hidden: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        if hidden.is_empty() {
            return 0;
        }
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut mask = Mask::new(&hidden);
        for entry in &mut self.entries {
            mask.entry(entry);
        }
        for text in self.labels.values_mut() {
            mask.text(text);
        }
        let mut count = mask.count;
        if let Some(memory) = &mut self.memory {
            count += Arc::make_mut(memory).mask(&hidden);
        }
        self.masked += count;
        count
    }

    pub(crate) fn guest_sha256(&self) -> &str {
        &self.guest_sha256
    }

    pub(crate) fn functions(&self) -> &BTreeMap<u32, String> {
        &self.functions
    }

    /// What it says of itself, a line each.
    fn head(&self) -> Vec<String> {
        let mut of: Vec<String> = Vec::new();
        of.extend(
            self.labels
                .iter()
                .map(|(name, value)| format!("{name} {value}")),
        );
        of.push(format!("instance {}", self.store_id));
        let mut lines = vec![format!("journal of {}", of.join(", "))];
        lines.push(match self.granted.is_empty() {
            true => "granted: nothing".to_owned(),
            false => format!("granted: {}", self.granted.join(", ")),
        });
        if let Some(memory) = &self.memory {
            let (len, hash) = (memory.len(), memory.hash());
            let short = &hash[..16];
            lines.push(format!("began with a memory of {len} bytes ({short})"));
        }
        if self.masked > 0 {
            lines.push(format!(
                "masked in {} places: scripts are given `***` there, and may go another way",
                self.masked
            ));
        }
        lines
    }
}

/// Only an instance that can be asked for a journal has one, so nothing here can be asked of it by a script.
impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("store_id", &self.store_id)
            .field("labels", &self.labels)
            .field("calls", &self.calls())
            .field("is_cut", &self.is_cut)
            .field("masked", &self.masked)
            .finish_non_exhaustive()
    }
}

/// Serde has no way for what is shared.
mod shared {
    use super::{Arc, Deserialize, Deserializer, Memory, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        memory: &Option<Arc<Memory>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        memory.as_deref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<Memory>>, D::Error> {
        Ok(Option::<Memory>::deserialize(from)?.map(Arc::new))
    }
}
