//! The pool: where instances come from.

pub(crate) mod direct;
pub(crate) mod run_async;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::compiled::Places;
use crate::engine::image::{Checks, Image};
use crate::error::ErrorKind;
use crate::grants::Grants;
use crate::grants::function::Functions;
use crate::grants::module::Modules;
use crate::instance::Instance;
use crate::instance::handle::{Held, enter};
use crate::instance::shared::Shared;
use crate::run::terms::Terms;
use crate::sync::nesting;
use crate::sync::slots::{Slot, Slots};
use crate::{
    Branch, CompiledCode, Error, HostCall, Limits, Main, Processors, Result, RunMain, RunOptions,
    Runtime,
};

/// Makes Lua instances, each in a WebAssembly sandbox of its own.
///
/// The thread that builds the pool owns it, and has its one long-lived main instance. Every
/// thread may have fresh branches. Clones are handles to the same pool. A pool doesn't survive
/// `fork`: the thread that deadlines are checked by stays behind in the parent.
///
/// ```
/// use moonfork::{Handle, Pool};
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
    branch_slots: Slots,
    patience: Duration,
    #[cfg(feature = "testing")]
    sabotage: Option<crate::testing::Saboteur>,
}

impl Pool {
    /// Settings for a new pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

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
            && let Some(main) = saboteur.main(self)
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
            return saboteur.branch(self).map(Branch);
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
            return saboteur.branch(self).map(Branch);
        }
        let instance = self.fresh(&self.inner.branch_slots, options)?;
        Ok(Branch(Held::Own(instance)))
    }

    /// As [`branch_with`](Self::branch_with), for an instance that is to outlive the run it is
    /// made for: waiting for it ends with the deadline of `run`, or when that is cancelled, and
    /// the instance has neither.
    ///
    /// # Errors
    ///
    /// As [`branch_with`](Self::branch_with).
    pub fn branch_for(&self, run: &RunOptions, options: &RunOptions) -> Result<Branch> {
        #[cfg(feature = "testing")]
        if let Some(saboteur) = &self.inner.sabotage {
            return saboteur.branch(self).map(Branch);
        }
        let terms = self.inner.shared.terms(options)?;
        let wait = self.inner.shared.terms(run)?;
        let slot = self.slot(&self.inner.branch_slots, &wait)?;
        let instance = Instance::new(&self.inner.shared, slot, terms)?;
        Ok(Branch(Held::Own(instance)))
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
    pub fn live(&self) -> usize {
        let Inner {
            main_slot,
            run_slots,
            branch_slots,
            ..
        } = &*self.inner;
        main_slot.taken() + run_slots.taken() + branch_slots.taken()
    }

    /// How many branches may be alive at once.
    pub fn branches(&self) -> usize {
        self.inner.branch_slots.total()
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
    /// [`PoolBuilder::precompiled`] and [`PoolBuilder::cache_dir`] was of no use.
    pub fn compiled_code(&self) -> &CompiledCode {
        self.inner.shared.image.code()
    }

    fn fresh(&self, slots: &Slots, options: &RunOptions) -> Result<Instance> {
        let terms = self.inner.shared.terms(options)?;
        let slot = self.slot(slots, &terms)?;
        Instance::new(&self.inner.shared, slot, terms)
    }

    fn slot(&self, slots: &Slots, terms: &Terms) -> Result<Slot> {
        slots.take(self.inner.patience, terms.deadline, terms.cancel.as_ref())
    }
}

#[cfg(feature = "testing")]
impl Pool {
    pub(crate) fn branch_instance(&self) -> Result<Instance> {
        self.fresh(&self.inner.branch_slots, &RunOptions::new())
    }

    pub(crate) fn compiled_chunks(&self) -> usize {
        self.inner.shared.chunks.len()
    }

    pub(crate) fn main_cell(&self) -> Result<Arc<Mutex<Instance>>> {
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
            .field("live", &self.live())
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Pool`].
#[must_use = "nothing is built until `build` is called"]
pub struct PoolBuilder {
    branches: u32,
    runs: u32,
    patience: Duration,
    limits: Limits,
    metered: bool,
    functions: Functions,
    modules: Modules,
    grants: Grants,
    places: Places,
    /// Another module to run than our guest.
    #[cfg(feature = "testing")]
    foreign: Option<Vec<u8>>,
    #[cfg(feature = "testing")]
    unstoppable: bool,
    #[cfg(feature = "testing")]
    sabotage: Option<crate::testing::Sabotage>,
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("branches", &self.branches)
            .field("runs", &self.runs)
            .field("slot_timeout", &self.patience)
            .field("limits", &self.limits)
            .field("metered", &self.metered)
            .field("functions", &self.functions)
            .field("modules", &self.modules)
            .field("grants", &self.grants)
            .field("precompiled", &self.places.precompiled)
            .field("cache_dir", &self.places.kept)
            .finish_non_exhaustive()
    }
}

impl Default for PoolBuilder {
    fn default() -> PoolBuilder {
        PoolBuilder {
            branches: 64,
            runs: 16,
            patience: Duration::from_secs(30),
            limits: Limits::default(),
            metered: false,
            functions: Functions::default(),
            modules: Modules::default(),
            grants: Grants::none(),
            places: Places::default(),
            #[cfg(feature = "testing")]
            foreign: None,
            #[cfg(feature = "testing")]
            unstoppable: false,
            #[cfg(feature = "testing")]
            sabotage: None,
        }
    }
}

impl PoolBuilder {
    /// How many branches may be alive at once (64). Each reserves address space, not memory.
    pub fn branches(mut self, branches: u32) -> Self {
        self.branches = branches;
        self
    }

    /// How many workflow runs may be under way at once (16).
    pub fn runs(mut self, runs: u32) -> Self {
        self.runs = runs;
        self
    }

    /// How long to wait for an instance when all are in use (30 s).
    pub fn slot_timeout(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// All limits of a call at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// [`Limits::wall`] alone.
    pub fn wall(mut self, wall: Duration) -> Self {
        self.limits.wall = wall;
        self
    }

    /// [`Limits::memory`] alone, in bytes.
    pub fn memory(mut self, memory: usize) -> Self {
        self.limits.memory = memory;
        self
    }

    /// Counts fuel, which [`Limits::fuel`] needs. Costs time in everything that runs.
    pub fn metered(mut self) -> Self {
        self.metered = true;
        self
    }

    /// Adds a function that scripts may call as a global of this name, if they are granted it
    /// ([`Grants::function`]). It takes the place of a global that Lua has under that name.
    ///
    /// Its arguments are one tuple; its result, any serde type. An `Err` is a Lua error that
    /// the script can catch; a panic ends the instance and is a `HostPanic` error. It is
    /// called on the thread that called the instance, possibly on several at once. A function
    /// that blocks can't be stopped by the wall-clock limit before it returns: where it may
    /// take long, use [`function_with`](Self::function_with) or
    /// [`async_function`](Self::async_function).
    ///
    /// ```
    /// use moonfork::{Grants, Handle, Pool};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder()
    ///     .function("add", |(a, b): (i64, i64)| Ok(a + b))
    ///     .grants(Grants::none().function("add"))
    ///     .build()?;
    /// assert_eq!(pool.branch()?.eval::<i64>("add(2, 3)")?, 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn function<A, R>(
        self,
        name: impl Into<String>,
        function: impl Fn(A) -> Result<R, String> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
    {
        self.function_with(name, move |_, args| function(args))
    }

    /// As [`function`](Self::function), with what there is to know of the run that calls it:
    /// its deadline, and whether it was cancelled.
    pub fn function_with<A, R>(
        mut self,
        name: impl Into<String>,
        function: impl Fn(&HostCall, A) -> Result<R, String> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
    {
        self.functions.add(name.into(), function);
        self
    }

    /// As [`function_with`](Self::function_with), async. The script waits for it; when the
    /// run's time is over, or it is cancelled, the future is dropped and the run ends.
    ///
    /// It runs on the tokio runtime given by [`tokio`](Self::tokio), else on one with a single
    /// thread that the pool starts when it is first needed.
    pub fn async_function<A, R, F>(
        mut self,
        name: impl Into<String>,
        function: impl Fn(HostCall, A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize + Send + 'static,
        F: Future<Output = Result<R, String>> + Send + 'static,
    {
        self.functions.add_async(name.into(), function);
        self
    }

    /// The tokio runtime that async functions run on. It must have another thread than those
    /// that scripts run on, or their futures are never polled: with a current-thread runtime,
    /// call scripts through [`Pool::run_async`].
    pub fn tokio(mut self, handle: tokio::runtime::Handle) -> Self {
        self.functions.drive_on(handle);
        self
    }

    /// Adds a module that scripts may `require` by this name, if they are granted it
    /// ([`Grants::module`]): Lua source, which runs once in each instance that asks for it.
    ///
    /// ```
    /// use moonfork::{Grants, Handle, Pool};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder()
    ///     .module("tax", "return {rate = 0.19}")
    ///     .grants(Grants::none().all_modules())
    ///     .build()?;
    /// assert_eq!(pool.branch()?.eval::<f64>("require('tax').rate")?, 0.19);
    /// # Ok(())
    /// # }
    /// ```
    pub fn module(mut self, name: impl Into<String>, source: impl Into<String>) -> Self {
        self.modules.add(name.into(), source.into());
        self
    }

    /// What instances may do besides computing, unless they are made with grants of their own:
    /// nothing, if this isn't called.
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Keeps the compiled guest in this folder, for the next process to load in a moment
    /// where compiling takes half a second. Without a folder nothing is kept.
    ///
    /// The path has to be absolute: another one isn't used. No folder that holds this one, or lies in
    /// it, can be granted to scripts for writing.
    ///
    /// What lies there is run as machine code: nobody else may be able to write to it. On Unix
    /// this is looked at: folder and file have to belong to this user or to root, without the
    /// right for others to write, or are not used; a folder that isn't there is made for this
    /// user alone. Elsewhere, name one in the user's own profile.
    ///
    /// Code is found by the guest, the settings it is compiled with, the processor, and wasmtime's
    /// exact version. Where there is none that fits, or it is damaged, or can't be read, the guest
    /// is compiled; [`Pool::compiled_code`] tells. `metered` makes a difference, and so does a
    /// lack of address space; the other settings don't. Files are never changed, only replaced,
    /// and of all but the newest few removed: several processes may share a folder.
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.places.kept = Some(folder.into());
        self
    }

    /// Loads the guest's machine code from a file that [`precompile`](Self::precompile) has
    /// written, as an application does that is shipped with it. Of several, the first that fits
    /// is used. If none does, the folder of [`cache_dir`](Self::cache_dir) is looked into, and
    /// then the guest is compiled; [`Pool::compiled_code`] tells.
    ///
    /// The file is run as machine code, and mapped for as long as the pool lives: nobody but this
    /// user or root may be able to write to it or to its folder, which is looked at as there, and
    /// an update has to put another file in its place rather than write into it.
    pub fn precompiled(mut self, file: impl Into<PathBuf>) -> Self {
        self.places.precompiled.push(file.into());
        self
    }

    /// Compiles the guest to a file, for [`precompiled`](Self::precompiled) to load on other
    /// machines. It fits pools of the same version of this library with the same version of
    /// wasmtime, for the same operating system and architecture, `metered` or not as this
    /// builder is, where the address space for their instances can be had. Other settings
    /// make no difference.
    ///
    /// A file that is there already is replaced.
    ///
    /// # Errors
    ///
    /// `Setup` when the file can't be written.
    pub fn precompile(&self, file: impl AsRef<Path>, processors: Processors) -> Result<()> {
        Image::precompile(self.checks(), processors, file.as_ref())
    }

    fn checks(&self) -> Checks {
        Checks {
            #[cfg(feature = "testing")]
            epochs: !self.unstoppable,
            #[cfg(not(feature = "testing"))]
            epochs: true,
            fuel: self.metered,
        }
    }

    /// Runs another guest module than ours, to prove that the host trusts none.
    #[cfg(feature = "testing")]
    pub fn guest(mut self, module: Vec<u8>) -> Self {
        self.foreign = Some(module);
        self
    }

    /// Compiles the guest without the checks by which a script is stopped, to tell what they
    /// cost: no script that runs too long ever ends.
    #[cfg(feature = "testing")]
    pub fn unstoppable(mut self) -> Self {
        self.unstoppable = true;
        self
    }

    /// Makes a pool that breaks its promises, to prove that the tests notice.
    #[cfg(feature = "testing")]
    pub fn sabotage(mut self, sabotage: crate::testing::Sabotage) -> Self {
        self.sabotage = Some(sabotage);
        self
    }

    /// Compiles the guest and reserves room for the instances. The calling thread becomes the
    /// owner of main.
    ///
    /// The first pool of a process compiles, which takes half a second, or many seconds where
    /// wasmtime itself is compiled without optimisation, as cargo's dev profile does
    /// (`docs/performance.md`: "What a first pool costs"). Later ones share its code, whatever
    /// their limits and number of instances, and take a millisecond or two; one that counts fuel
    /// shares that of the first that does.
    ///
    /// # Errors
    ///
    /// `Setup`, with what to change.
    pub fn build(self) -> Result<Pool> {
        self.limits.check(self.metered).map_err(Error::setup)?;
        self.functions.check()?;
        self.modules.check()?;
        let checks = self.checks();
        #[cfg(feature = "testing")]
        let foreign = self.foreign.as_deref();
        #[cfg(not(feature = "testing"))]
        let foreign = None;
        let functions = Arc::new(self.functions);
        let modules = Arc::new(self.modules);
        let slots = (1 + Shared::COMPILERS)
            .checked_add(self.branches)
            .and_then(|slots| slots.checked_add(self.runs))
            .ok_or_else(|| Error::setup("that many instances can't be counted"))?;
        let image = Image::new(foreign, slots, &self.limits, checks, &self.places)?;
        // The folder that keeps code may have been made just now.
        let kept = self.places.folders();
        let shared = Shared::new(image, self.limits, functions, modules, self.grants, kept)?;
        Ok(Pool {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                owner: thread::current().id(),
                main: Mutex::new(None),
                main_slot: Slots::new(1),
                run_slots: Slots::new(self.runs as usize),
                branch_slots: Slots::new(self.branches as usize),
                patience: self.patience,
                #[cfg(feature = "testing")]
                sabotage: self.sabotage.map(crate::testing::Saboteur::new),
            }),
        })
    }
}
