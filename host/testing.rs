//! Means for the tests of isolation; behind the feature `testing`, never for anything else.
//!
//! Identity tests are worth something only if they can fail. [`Sabotage`] makes pools that
//! break one promise each, and the tests have to notice.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::instance::Instance;
use crate::instance::handle::Held;
use crate::{Branch, Main, Pool, Result, StoreId};

/// A promise that a pool breaks on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Every branch is main.
    MainToWorker,
    /// Every second branch is the one handed out before it.
    BranchTwice,
    /// Every branch has an id of its own, and all are one instance.
    IdsWithoutStores,
    /// Main is another instance each time it is asked for.
    FreshMain,
    /// The ids of ended branches are used again.
    ReusedIds,
    /// A branch is what an ended branch left behind.
    UsedBranches,
}

/// Carries out a [`Sabotage`].
pub(crate) struct Saboteur {
    sabotage: Sabotage,
    /// An instance that is handed out more than once.
    kept: Mutex<Option<Arc<Mutex<Instance>>>>,
    count: AtomicUsize,
    ids: [StoreId; 2],
}

impl Saboteur {
    pub(crate) fn new(sabotage: Sabotage) -> Saboteur {
        Saboteur {
            sabotage,
            kept: Mutex::default(),
            count: AtomicUsize::new(0),
            ids: [StoreId::next(), StoreId::next()],
        }
    }

    /// Main, if that is what is sabotaged.
    pub(crate) fn main(&self, pool: &Pool) -> Option<Result<Main>> {
        (self.sabotage == Sabotage::FreshMain).then(|| {
            let instance = pool.branch_instance()?;
            Main::new(&Arc::new(Mutex::new(instance)), None)
        })
    }

    /// A branch.
    pub(crate) fn branch(&self, pool: &Pool) -> Result<Held> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Ok::<_, crate::Error>(Arc::new(Mutex::new(pool.branch_instance()?)));
        Ok(match self.sabotage {
            Sabotage::FreshMain => Held::Own(pool.branch_instance()?),
            Sabotage::MainToWorker => Held::Shared(pool.main_cell()?, None),
            Sabotage::BranchTwice => match kept.take() {
                Some(cell) => Held::Shared(cell, None),
                None => {
                    let cell = fresh()?;
                    *kept = Some(Arc::clone(&cell));
                    Held::Shared(cell, None)
                }
            },
            Sabotage::IdsWithoutStores => {
                if kept.is_none() {
                    *kept = Some(fresh()?);
                }
                let cell = Arc::clone(kept.as_ref().expect("just made"));
                Held::Shared(cell, Some(StoreId::next()))
            }
            Sabotage::ReusedIds => Held::Shared(fresh()?, Some(self.ids[count % 2])),
            // Only when nobody holds it any more: what was left behind, not what is in use.
            Sabotage::UsedBranches => match &*kept {
                Some(cell) if Arc::strong_count(cell) == 1 => {
                    Held::Shared(Arc::clone(cell), Some(StoreId::next()))
                }
                _ => {
                    let cell = fresh()?;
                    *kept = Some(Arc::clone(&cell));
                    Held::Shared(cell, None)
                }
            },
        })
    }
}

/// How many chunks the pool would run without compiling them.
pub fn compiled_chunks(pool: &Pool) -> usize {
    pool.compiled_chunks()
}

/// A copy of all linear memory that the branch has at the moment; empty once it has ended.
pub fn memory_of(branch: &Branch) -> Vec<u8> {
    branch.0.with(Instance::copy_memory)
}

/// Tries to read the linear memory of `owner` through the store of `other`.
///
/// # Errors
///
/// With wasmtime's message, when it refuses.
pub fn read_memory_of(owner: &Branch, other: &Branch) -> Result<(), String> {
    refused(|| {
        owner
            .0
            .with(|owner| other.0.with(|other| owner.read_through(other)))
    })
}

/// Tries to call a function of `owner` through the store of `other`.
///
/// # Errors
///
/// With wasmtime's message, when it refuses.
pub fn call_function_of(owner: &Branch, other: &mut Branch) -> Result<(), String> {
    refused(|| {
        owner
            .0
            .with(|owner| other.0.with_mut(|other| owner.call_through(other)))
    })
}

/// wasmtime refuses another store's object with a panic.
fn refused(attempt: impl FnOnce()) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(attempt)).map_err(|payload| {
        payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default()
    })
}
