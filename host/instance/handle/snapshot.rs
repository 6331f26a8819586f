//! What branches can begin with in place of nothing.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::instance::Instance;
use crate::instance::freeze::Extras;
use crate::instance::frozen::Frozen;
use crate::instance::handle::{Branch, Held};
use crate::instance::shared::Shared;
use crate::{Result, RunOptions, StoreId};

/// An instance as it was at a moment, frozen. Any number of branches can begin with it, on any thread.
///
/// It belongs to the pool that it was made in, and its branches take that pool's slots. Clones are
/// handles to the same one; the memory is given back when the last of them and all branches are gone.
///
/// ```
/// use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let mut main = pool.main()?;
/// main.exec("prices = {} for i = 1, 1000 do prices[i] = i * 0.5 end")?;
/// let snapshot = main.snapshot()?;
/// main.exec("prices = nil")?;
/// let mut branch = snapshot.branch()?;
/// assert_eq!(branch.eval::<f64>("prices[10]")?, 5.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Snapshot {
    shared: Arc<Shared>,
    frozen: Arc<Frozen>,
}

impl Snapshot {
    /// That of an instance, with `extras`.
    ///
    /// # Errors
    ///
    /// As [`Instance::freeze`].
    pub(crate) fn of(instance: &mut Instance, extras: Extras<'_>) -> Result<Snapshot> {
        let frozen = instance.freeze(extras)?;
        Ok(Snapshot {
            shared: Arc::clone(instance.shared()),
            frozen: Arc::new(frozen),
        })
    }

    /// A fresh instance that begins with what the snapshot has.
    ///
    /// # Errors
    ///
    /// As [`branch_with`](Self::branch_with).
    pub fn branch(&self) -> Result<Branch> {
        self.branch_with(&RunOptions::new())
    }

    /// As [`branch`](Self::branch), for a branch all of whose calls are held to `options`. What these mean for
    /// it is as for a fork: see [`Branch::fork_with`]. From a seed that is given, all branches of one
    /// snapshot have the same random numbers, as all fresh instances do.
    ///
    /// # Errors
    ///
    /// As [`Pool::branch_with`](crate::Pool::branch_with), and `Options` when the limit of memory is less than
    /// what the snapshot has.
    pub fn branch_with(&self, options: &RunOptions) -> Result<Branch> {
        let terms = self.shared.terms(options)?;
        let slot = self.shared.slot(&self.shared.branch_slots, &terms)?;
        let frozen = Some(&self.frozen);
        let instance = Instance::beginning_with(frozen, &self.shared, slot, terms)?;
        Ok(Branch(Held::Own(instance)))
    }

    /// Writes it to a file, for [`Pool::load_snapshot`](crate::Pool::load_snapshot) of this version of the library
    /// with this guest, in this or another process. A file that is there is replaced.
    ///
    /// It holds what scripts have made, as data, never machine code: readable by this user alone. What was freed
    /// isn't in it, and neither are requests and answers.
    ///
    /// # Errors
    ///
    /// `Options` when the file can't be written.
    pub fn write(&self, file: impl AsRef<Path>) -> Result<()> {
        self.for_others()?.write(&self.shared, file.as_ref())
    }

    /// What [`write`](Self::write) writes, as bytes, for
    /// [`Pool::snapshot_from_bytes`](crate::Pool::snapshot_from_bytes): to be passed on by other means than a file.
    /// Who can change them decides what scripts begin with.
    ///
    /// # Errors
    ///
    /// When its memory can't be had.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.for_others()?.to_bytes(&self.shared)
    }

    /// What may leave the pool.
    fn for_others(&self) -> Result<Arc<Frozen>> {
        #[cfg(feature = "compile")]
        if let Some(frozen) = self.frozen.for_others(&self.shared)? {
            return Ok(Arc::new(frozen));
        }
        Ok(Arc::clone(&self.frozen))
    }

    /// One of these bytes.
    ///
    /// # Errors
    ///
    /// As [`Pool::snapshot_from_bytes`](crate::Pool::snapshot_from_bytes).
    pub(crate) fn from_bytes(shared: &Arc<Shared>, bytes: &[u8]) -> Result<Snapshot> {
        Ok(Snapshot {
            frozen: Arc::new(Frozen::from_bytes(shared, bytes)?),
            shared: Arc::clone(shared),
        })
    }

    /// One that [`write`](Self::write) has written.
    ///
    /// # Errors
    ///
    /// As [`Pool::load_snapshot`](crate::Pool::load_snapshot).
    pub(crate) fn read(shared: &Arc<Shared>, file: &Path) -> Result<Snapshot> {
        Ok(Snapshot {
            frozen: Arc::new(Frozen::read(shared, file)?),
            shared: Arc::clone(shared),
        })
    }

    /// Whether it belongs to the pool that has this.
    pub(crate) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// What instances begin with.
    pub(crate) fn frozen(&self) -> &Arc<Frozen> {
        &self.frozen
    }

    /// Bytes of memory that an instance has which begins with it.
    pub fn memory(&self) -> usize {
        self.frozen.memory.len()
    }

    /// The instance that it was made of.
    pub fn parent(&self) -> StoreId {
        self.frozen.parent
    }

    /// SHA-256 of that memory.
    pub fn hash(&self) -> &[u8; 32] {
        self.frozen.memory.hash()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("memory", &self.memory())
            .field("parent", &self.parent().get())
            .finish_non_exhaustive()
    }
}
