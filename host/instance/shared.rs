//! What all instances of a pool have in common. Main is not part of it: what an instance can
//! reach never leads to another instance.

use std::hash::RandomState;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::capability::service_name;
use crate::engine::image::Image;
use crate::grants::Grants;
use crate::grants::function::Functions;
use crate::grants::granted::Granted;
use crate::grants::lineage::Lineage;
use crate::grants::module::Modules;
use crate::instance::chunk_cache::ChunkCache;
use crate::instance::frozen::Frozen;
#[cfg(feature = "compile")]
use crate::instance::hot::{Hot, Translating};
#[cfg(feature = "compile")]
use crate::instance::translations::Translations;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::sync::monitor::Until;
use crate::sync::slots::{Slot, Slots};
use crate::wire::Service;
use crate::{Result, RunOptions};

/// The shared parts of a pool.
pub(crate) struct Shared {
    pub(crate) image: Image,
    pub(crate) limits: Limits,
    pub(crate) functions: Arc<Functions>,
    pub(crate) modules: Arc<Modules>,
    /// What instances may do that were not granted anything else.
    pub(crate) granted: Arc<Granted>,
    /// What instances may do that compile chunks: nothing.
    pub(crate) nothing: Arc<Granted>,
    /// Bytecode of chunks that came again.
    pub(crate) chunks: ChunkCache,
    /// Chunks that are translated to WebAssembly.
    #[cfg(feature = "compile")]
    pub(crate) translations: Arc<Translations>,
    /// What has chunks translated whose runs take long, where that is wanted.
    #[cfg(feature = "compile")]
    pub(crate) hot: Option<Hot>,
    /// Those of the instances that compile them.
    pub(crate) compiler_slots: Slots,
    /// Those of branches.
    pub(crate) branch_slots: Slots,
    /// Those of copies that are made to be frozen.
    pub(crate) snapshot_slots: Slots,
    /// How long to wait for a slot.
    pub(crate) patience: Duration,
    /// What instances begin with, once the pool's prelude has run.
    pub(crate) prelude: OnceLock<Arc<Frozen>>,
    /// What the random numbers of its instances come from: keyed afresh for each pool.
    pub(crate) random: RandomState,
}

#[cfg(feature = "compile")]
impl Translating for Shared {
    fn image(&self) -> &Image {
        &self.image
    }

    fn translations(&self) -> &Translations {
        &self.translations
    }
}

impl Shared {
    /// Instances that compile chunks at once. Who finds none free runs the text as it is.
    pub(crate) const COMPILERS: u32 = 1;

    /// Instances that are made ready to be frozen at once. Who finds none free waits.
    pub(crate) const SNAPSHOTS: u32 = 1;

    /// The shared parts of a pool with these settings. `kept` are folders with compiled code.
    ///
    /// # Errors
    ///
    /// `Options` when `grants` has names that aren't there, or folders that no script may write to.
    pub(crate) fn new(
        image: Image,
        limits: Limits,
        functions: Arc<Functions>,
        modules: Arc<Modules>,
        grants: Grants,
        kept: Vec<Lineage>,
        (branch_slots, patience): (Slots, Duration),
    ) -> Result<Shared> {
        let kept = kept.into();
        let granted = |grants| Granted::new(grants, &functions, &modules, &kept);
        Ok(Shared {
            image,
            limits,
            granted: Arc::new(granted(grants)?),
            nothing: Arc::new(granted(Grants::none())?),
            functions,
            modules,
            chunks: ChunkCache::new(),
            #[cfg(feature = "compile")]
            translations: Arc::new(Translations::new(false)),
            #[cfg(feature = "compile")]
            hot: None,
            compiler_slots: Slots::new(Self::COMPILERS as usize),
            branch_slots,
            snapshot_slots: Slots::new(Self::SNAPSHOTS as usize),
            patience,
            prelude: OnceLock::new(),
            random: RandomState::new(),
        })
    }

    /// The same, with all chunks translated, within the limits or whatever their size.
    #[cfg(all(feature = "compile", feature = "testing"))]
    pub(crate) fn translating_all(self, within_limits: bool) -> Shared {
        let all = Translations::new(true);
        let translations = match within_limits {
            true => all,
            false => all.without_limits(),
        };
        Shared {
            translations: Arc::new(translations),
            ..self
        }
    }

    /// The same, which has chunks translated whose runs take long.
    #[cfg(feature = "compile")]
    pub(crate) fn translating_hot(self) -> Shared {
        let hot = self.image.translates().then(Hot::new);
        Shared { hot, ..self }
    }

    /// Whether it is counted how much time runs of known chunks take.
    #[cfg_attr(
        not(feature = "compile"),
        expect(clippy::unused_self, reason = "there is nothing to count it for")
    )]
    pub(crate) fn counts_time(&self) -> bool {
        #[cfg(feature = "compile")]
        return self.hot.is_some();
        #[cfg(not(feature = "compile"))]
        false
    }

    /// The terms of a new instance.
    ///
    /// # Errors
    ///
    /// `Options` when they are wider than what the pool has.
    pub(crate) fn terms(&self, options: &RunOptions) -> Result<Terms> {
        let metered = self.image.is_metered();
        Terms::of_instance(options, &self.limits, &self.granted, metered)
    }

    /// One of `slots` for an instance on these terms.
    ///
    /// # Errors
    ///
    /// As [`Slots::take`].
    pub(crate) fn slot(&self, slots: &Slots, terms: &Terms) -> Result<Slot> {
        let until = Until {
            patience: None,
            deadline: terms.deadline,
            cancel: terms.cancel.as_ref(),
        };
        slots.take(self.patience, until)
    }

    /// Names of what scripts can call outside of the sandbox: host functions by number, and
    /// behind them the services by theirs.
    pub(crate) fn host_call_names(&self) -> impl Iterator<Item = &str> {
        let services = Service::ALL.map(service_name);
        self.functions.names().chain(services)
    }
}
