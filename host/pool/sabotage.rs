//! Pools that break a promise each, to prove that the tests of identity notice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::identity::StoreId;
use crate::instance::Instance;
use crate::instance::handle::{Held, Main};

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
pub(super) struct Saboteur {
    sabotage: Sabotage,
    /// An instance that is handed out more than once.
    kept: Mutex<Option<Arc<Mutex<Instance>>>>,
    count: AtomicUsize,
    ids: [StoreId; 2],
}

impl Saboteur {
    pub(super) fn new(sabotage: Sabotage) -> Saboteur {
        Saboteur {
            sabotage,
            kept: Mutex::default(),
            count: AtomicUsize::new(0),
            ids: [StoreId::next(), StoreId::next()],
        }
    }

    /// Main, if that is what is sabotaged: what `make` makes.
    pub(super) fn main(&self, make: impl FnOnce() -> Result<Instance>) -> Option<Result<Main>> {
        (self.sabotage == Sabotage::FreshMain)
            .then(|| Main::new(&Arc::new(Mutex::new(make()?)), None))
    }

    /// A branch, where `make` makes an instance as it should be, and `main` gives the pool's main.
    pub(super) fn branch(
        &self,
        make: impl Fn() -> Result<Instance>,
        main: impl FnOnce() -> Result<Arc<Mutex<Instance>>>,
    ) -> Result<Held> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Ok::<_, Error>(Arc::new(Mutex::new(make()?)));
        Ok(match self.sabotage {
            Sabotage::FreshMain => Held::Own(make()?),
            Sabotage::MainToWorker => Held::Shared(main()?, None),
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
