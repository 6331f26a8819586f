//! The pool: where instances come from.

pub(crate) mod builder;
#[cfg(feature = "compile")]
pub(crate) mod compile;
#[cfg(feature = "compile")]
pub(crate) mod compiled_lua;
mod direct;
#[cfg(all(test, feature = "workflow"))]
mod held_chunks;
mod run_async;
#[cfg(feature = "testing")]
pub(crate) mod sabotage;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chunk::Chunk;
use crate::engine::compiled::CompiledCode;
use crate::error::{Error, ErrorKind, Result};
use crate::grants::Grants;
use crate::instance::Instance;
use crate::instance::freeze::Extras;
use crate::instance::handle::snapshot::Snapshot;
use crate::instance::handle::{Branch, Held, Main, RunMain, Runtime, enter};
use crate::instance::replay::replay;
use crate::instance::shared::Shared;
use crate::journal::Journal;
use crate::journal::replay::{Replay, ReplayOptions};
use crate::run::limits::Limits;
use crate::run::options::{RunOptions, Wait};
use crate::sync::nesting;
use crate::sync::slots::Slots;

/// Makes Lua instances, each in a WebAssembly sandbox of its own.
///
/// The thread that builds the pool owns it, and has its one long-lived main instance. Every
/// thread may have fresh branches. Clones are handles to the same pool. A pool doesn't survive
/// `fork`: the thread that deadlines are checked by stays behind in the parent.
///
/// ```
/// use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// pool.main()?.eval::<()>("greeting = 'hello'")?;
/// assert_eq!(pool.main()?.global::<String>("greeting")?, "hello");
///
/// let worker = std::thread::spawn({
///     let pool = pool.clone();
///     move || pool.runtime()?.global::<Option<String>>("greeting")
/// });
/// assert_eq!(worker.join().unwrap()?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    owner: ThreadId,
    /// The main instance, once it was asked for.
    main: Mutex<Option<Arc<Mutex<Instance>>>>,
    main_slot: Slots,
    /// Apart from the branches' slots, so that runs that each hold a main and wait for
    /// branches can't wait for each other.
    run_slots: Slots,
    #[cfg(feature = "testing")]
    sabotage: Option<sabotage::Saboteur>,
}

impl Pool {
    /// The main instance. Asked again, the same one, with the globals it has by then.
    ///
    /// Main is made when it is first asked for. If a call had ended it, a new one is made,
    /// and [`Main::replaces`] says so; handles to the old one stay with that.
    ///
    /// # Errors
    ///
    /// `WrongThread` on any thread but the one that built the pool, `Reentrant` in a host
    /// function.
    pub fn main(&self) -> Result<Main> {
        let caller = thread::current().id();
        if caller != self.inner.owner {
            return Err(Error::from(ErrorKind::WrongThread {
                owner: self.inner.owner,
                caller,
            }));
        }
        if nesting::under_way() {
            return Err(ErrorKind::Reentrant.into());
        }
        #[cfg(feature = "testing")]
        if let Some(saboteur) = &self.inner.sabotage
            && let Some(main) = saboteur.main(|| self.branch_instance())
        {
            return main;
        }
        self.shared_main()
    }

    /// Main, without asking who wants it.
    fn shared_main(&self) -> Result<Main> {
        let mut main = self
            .inner
            .main
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut replaces = None;
        if let Some(cell) = &*main {
            let view = enter(cell, |instance| Ok(instance.view()))?;
            if view.live {
                return Main::new(cell, None);
            }
            replaces = Some(view.id);
        }
        // The slot is free: there is one for main alone, and what ended gave it back.
        let instance = self.fresh(&self.inner.main_slot, &RunOptions::new())?;
        Main::new(main.insert(Arc::new(Mutex::new(instance))), replaces)
    }

    /// A fresh instance for one parallel branch, for any thread.
    ///
    /// # Errors
    ///
    /// `Busy` when all branches the pool may have are alive and none ends in time.
    pub fn branch(&self) -> Result<Branch> {
        #[cfg(feature = "testing")]
        if let Some(saboteur) = &self.inner.sabotage {
            return self.sabotaged(saboteur);
        }
        self.branch_with(&RunOptions::new())
    }

    /// A fresh instance for one parallel branch, for any thread, all of whose calls are held to
    /// `options`.
    ///
    /// # Errors
    ///
    /// `Options` when they are wider than what the pool has; `Busy` when all branches the pool
    /// may have are alive and none ends in time; `Timeout` or `Cancelled` when the run's time is
    /// over, or it is cancelled, while it waits for that.
    pub fn branch_with(&self, options: &RunOptions) -> Result<Branch> {
        #[cfg(feature = "testing")]
        if let Some(saboteur) = &self.inner.sabotage {
            return self.sabotaged(saboteur);
        }
        let instance = self.fresh(&self.inner.shared.branch_slots, options)?;
        Ok(Branch(Held::Own(instance)))
    }

    /// As [`branch_with`](Self::branch_with), for an instance that is to outlive what it is made
    /// for, such as one call of many: waiting for it ends as `wait` says, and the instance itself has
    /// neither that deadline nor that handle.
    ///
    /// # Errors
    ///
    /// As [`branch_with`](Self::branch_with).
    pub fn branch_for(&self, options: &RunOptions, wait: &Wait) -> Result<Branch> {
        #[cfg(feature = "testing")]
        if let Some(saboteur) = &self.inner.sabotage {
            return self.sabotaged(saboteur);
        }
        let terms = self.inner.shared.terms(options)?;
        let shared = &self.inner.shared;
        let slot = shared.branch_slots.take(shared.patience, wait.until())?;
        let instance = Instance::new(shared, slot, terms)?;
        Ok(Branch(Held::Own(instance)))
    }

    /// As [`branch_for`](Self::branch_for), for an instance that begins with a snapshot of this pool.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::branch_with`]; `Options` when the snapshot is another pool's.
    pub fn branch_from(
        &self,
        snapshot: &Snapshot,
        options: &RunOptions,
        wait: &Wait,
    ) -> Result<Branch> {
        let shared = &self.inner.shared;
        if !snapshot.is_of(shared) {
            return Err(Error::options("the snapshot belongs to another pool"));
        }
        let make = || {
            let terms = shared.terms(options)?;
            let slot = shared.branch_slots.take(shared.patience, wait.until())?;
            Instance::beginning_with(Some(snapshot.frozen()), shared, slot, terms)
        };
        #[cfg(feature = "testing")]
        if let Some(saboteur) = &self.inner.sabotage {
            return saboteur.branch(make, || self.main_cell()).map(Branch);
        }
        Ok(Branch(Held::Own(make()?)))
    }

    /// A fresh instance to be the main one of a workflow run, for any thread.
    ///
    /// # Errors
    ///
    /// `Busy` when as many runs are under way as the pool may have and none ends in time.
    pub fn run_main(&self) -> Result<RunMain> {
        self.run_main_with(&RunOptions::new())
    }

    /// A fresh instance to be the main one of a workflow run, for any thread, all of whose
    /// calls are held to `options`.
    ///
    /// # Errors
    ///
    /// As [`branch_with`](Self::branch_with).
    pub fn run_main_with(&self, options: &RunOptions) -> Result<RunMain> {
        let instance = self.fresh(&self.inner.run_slots, options)?;
        Ok(RunMain(Held::Own(instance)))
    }

    /// A snapshot that [`Snapshot::write`] has written. Host functions that it has are found by their names.
    ///
    /// # Errors
    ///
    /// `Options`, with the reason: when the file isn't a snapshot, or was changed; when another version
    /// of this library has written it, or it is of another guest; on Unix, when file or folder belong to
    /// anyone but this user and root, or others may write to them; when it takes more memory than the
    /// pool's limit, or has a host function that the pool has not.
    pub fn load_snapshot(&self, file: impl AsRef<Path>) -> Result<Snapshot> {
        Snapshot::read(&self.inner.shared, file.as_ref())
    }

    /// Replays a journal: makes the calls that its instance was given again, on a fresh one, and answers what
    /// scripts ask the host for as it was answered then. No host function, file or clock is touched, and nothing
    /// is granted. It takes the place of a branch.
    ///
    /// A script that asks for something else than it did, because it was changed
    /// ([`ReplayOptions::script`](crate::ReplayOptions::script)) or because what it was given was masked, is stopped
    /// there: [`ReplayEnd::Diverged`](crate::ReplayEnd::Diverged) says at which call and at which line.
    ///
    /// The pool has to have been built [`for_replay`](crate::PoolBuilder::for_replay) of the journal, or with the
    /// same settings.
    ///
    /// # Errors
    ///
    /// `Options` when the journal is of another guest, of a pool that counted fuel where this one doesn't, or the
    /// other way around, or of instances with more memory; as [`branch`](Self::branch). What scripts fail with is in
    /// the replay.
    pub fn replay(&self, journal: &Journal, options: &ReplayOptions) -> Result<Replay> {
        let shared = &self.inner.shared;
        let slot = shared
            .branch_slots
            .take(shared.patience, Wait::new().until())?;
        replay(shared, slot, journal, options)
    }

    /// As [`load_snapshot`](Self::load_snapshot), from what [`Snapshot::to_bytes`] gave. Whoever passes them on is trusted
    /// with what scripts begin with: they show damage, not forgery.
    ///
    /// ```
    /// use moonfork::Pool;
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder().build()?;
    /// let mut main = pool.main()?;
    /// main.exec("answer = 42")?;
    /// let bytes = main.snapshot()?.to_bytes()?;
    /// let other = Pool::builder().build()?;
    /// let mut branch = other.snapshot_from_bytes(&bytes)?.branch()?;
    /// assert_eq!(branch.eval::<u8>("answer")?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Options` when the bytes aren't that, are damaged, come from another version or guest, or are of a memory that
    /// is larger than instances of this pool may be or has host functions that this pool has not.
    pub fn snapshot_from_bytes(&self, bytes: &[u8]) -> Result<Snapshot> {
        Snapshot::from_bytes(&self.inner.shared, bytes)
    }

    /// Runs the prelude, for all instances to begin with.
    ///
    /// # Errors
    ///
    /// Those of running it, and of freezing what it leaves.
    fn run_prelude(&self, prelude: &[Chunk<'_>]) -> Result<()> {
        let shared = &self.inner.shared;
        let mut instance = self.fresh(&self.inner.main_slot, &RunOptions::new())?;
        for chunk in prelude {
            instance.exec(None, chunk)?;
        }
        let frozen = Arc::new(instance.freeze(Extras::default())?);
        // Nobody else has the pool yet.
        let _ = shared.prelude.set(frozen);
        Ok(())
    }

    /// Calls a host function as a script would, from Rust: within the same limits, and only if
    /// it is granted.
    ///
    /// # Errors
    ///
    /// `NotCallable` when the pool has no such function, `Denied` when it isn't granted,
    /// `Script` with the function's own error, `HostPanic`, `Timeout` or `Cancelled` when an
    /// async function was stopped, `Value` when something can't pass, `Options`.
    pub fn call_function<A, R>(&self, name: &str, args: &A, options: &RunOptions) -> Result<R>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        direct::call(&self.inner.shared, name, args, options)
    }

    /// What the calling thread should use: main on the thread that owns the pool, always the
    /// same; on any other a fresh branch, each time another.
    ///
    /// # Errors
    ///
    /// As [`main`](Self::main) or [`branch`](Self::branch).
    pub fn runtime(&self) -> Result<Runtime> {
        if thread::current().id() == self.inner.owner {
            self.main().map(Runtime::Main)
        } else {
            self.branch().map(Runtime::Branch)
        }
    }

    /// How many instances are alive at the moment.
    pub fn live_count(&self) -> usize {
        let Inner {
            main_slot,
            run_slots,
            shared,
            ..
        } = &*self.inner;
        let branch_slots = &shared.branch_slots;
        main_slot.taken() + run_slots.taken() + branch_slots.taken()
    }

    /// How many branches may be alive at once.
    pub fn max_branches(&self) -> usize {
        self.inner.shared.branch_slots.total()
    }

    /// The SHA-256 of the guest module that instances are made of, as 64 hexadecimal digits.
    pub fn guest_sha256(&self) -> &str {
        self.inner.shared.image.guest_sha256()
    }

    /// How many workflow runs may be under way at once.
    pub fn max_runs(&self) -> usize {
        self.inner.run_slots.total()
    }

    /// The limits of every call.
    pub fn limits(&self) -> &Limits {
        &self.inner.shared.limits
    }

    /// The names of the host functions that the pool has.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.inner.shared.functions.names()
    }

    /// The names of the modules that the pool has, in order.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.inner.shared.modules.names()
    }

    /// What instances are granted that are made without grants of their own.
    pub fn grants(&self) -> &Grants {
        self.inner.shared.granted.grants()
    }

    /// Whether the pool counts fuel.
    pub fn is_metered(&self) -> bool {
        self.inner.shared.image.is_metered()
    }

    /// Where the machine code came from that the pool's instances run, and what of
    /// [`PoolBuilder::precompiled`](crate::PoolBuilder::precompiled) and
    /// [`PoolBuilder::cache_dir`](crate::PoolBuilder::cache_dir) was of no use.
    pub fn compiled_code(&self) -> &CompiledCode {
        self.inner.shared.image.code()
    }

    fn fresh(&self, slots: &Slots, options: &RunOptions) -> Result<Instance> {
        let shared = &self.inner.shared;
        let terms = shared.terms(options)?;
        let slot = shared.slot(slots, &terms)?;
        Instance::new(shared, slot, terms)
    }
}

#[cfg(feature = "testing")]
impl Pool {
    fn sabotaged(&self, saboteur: &sabotage::Saboteur) -> Result<Branch> {
        let branch = saboteur.branch(|| self.branch_instance(), || self.main_cell());
        branch.map(Branch)
    }

    fn branch_instance(&self) -> Result<Instance> {
        self.fresh(&self.inner.shared.branch_slots, &RunOptions::new())
    }

    pub(crate) fn compiled_chunks(&self) -> usize {
        self.inner.shared.chunks.len()
    }

    fn main_cell(&self) -> Result<Arc<Mutex<Instance>>> {
        let mut main = self
            .inner
            .main
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if main.is_none() {
            let instance = self.fresh(&self.inner.main_slot, &RunOptions::new())?;
            *main = Some(Arc::new(Mutex::new(instance)));
        }
        Ok(Arc::clone(main.as_ref().expect("just made")))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("owner", &self.inner.owner)
            .field("live", &self.live_count())
            .finish_non_exhaustive()
    }
}
