//! The settings of a pool.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chunk::Chunk;
use crate::engine::compiled::{Places, Processors};
use crate::engine::image::{Checks, Image};
use crate::error::{Error, Result};
use crate::grants::Grants;
use crate::grants::function::Functions;
use crate::grants::host_call::HostCall;
use crate::grants::host_error::HostError;
use crate::grants::module::Modules;
use crate::instance::shared::Shared;
use crate::journal::Journal;
#[cfg(feature = "compile")]
use crate::pool::compile::Compile;
#[cfg(feature = "testing")]
use crate::pool::sabotage::{Sabotage, Saboteur};
use crate::pool::{Inner, Pool};
use crate::run::limits::Limits;
use crate::sync::slots::Slots;

impl Pool {
    /// Settings for a new pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }
}

/// Settings of a [`Pool`].
#[must_use = "nothing is built until `build` is called"]
pub struct PoolBuilder {
    max_branches: u32,
    max_runs: u32,
    patience: Duration,
    limits: Limits,
    metered: bool,
    functions: Functions,
    modules: Modules,
    grants: Grants,
    places: Places,
    prelude: Vec<Chunk<'static>>,
    /// What is translated to WebAssembly.
    #[cfg(feature = "compile")]
    pub(super) compile: Compile,
    /// Another module to run than our guest.
    #[cfg(feature = "testing")]
    foreign: Option<Vec<u8>>,
    #[cfg(feature = "testing")]
    unstoppable: bool,
    #[cfg(feature = "testing")]
    sabotage: Option<Sabotage>,
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("max_branches", &self.max_branches)
            .field("max_runs", &self.max_runs)
            .field("slot_timeout", &self.patience)
            .field("limits", &self.limits)
            .field("metered", &self.metered)
            .field("functions", &self.functions)
            .field("modules", &self.modules)
            .field("grants", &self.grants)
            .field("prelude", &self.prelude.len())
            .field("precompiled", &self.places.precompiled)
            .field("cache_dir", &self.places.kept)
            .finish_non_exhaustive()
    }
}

impl Default for PoolBuilder {
    fn default() -> PoolBuilder {
        PoolBuilder {
            max_branches: 64,
            max_runs: 16,
            patience: Duration::from_secs(30),
            limits: Limits::default(),
            metered: false,
            functions: Functions::default(),
            modules: Modules::default(),
            grants: Grants::none(),
            places: Places::default(),
            prelude: Vec::new(),
            #[cfg(feature = "compile")]
            compile: Compile::default(),
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
    pub fn max_branches(mut self, branches: u32) -> Self {
        self.max_branches = branches;
        self
    }

    /// How many workflow runs may be under way at once (16).
    pub fn max_runs(mut self, runs: u32) -> Self {
        self.max_runs = runs;
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

    /// With the limits of the instance whose journal this is, and counting fuel if that did: for
    /// [`Pool::replay`].
    pub fn for_replay(mut self, journal: &Journal) -> Self {
        self.limits = journal.limits();
        self.metered = journal.is_metered();
        self
    }

    /// Adds a function that scripts may call as a global of this name, if they are granted it
    /// ([`Grants::function`]). It takes the place of a global that Lua has under that name.
    ///
    /// Its arguments are one tuple, of which those that Lua leaves out at the end are read as null;
    /// or one type that isn't a list, for a single argument; or `()` for none. Its result is any
    /// serde type. An `Err` is a Lua error that the script can catch, and anything that can be
    /// displayed becomes one: see [`HostError`]. A panic ends the instance and is a `HostPanic` error. It is
    /// called on the thread that called the instance, possibly on several at once. A function
    /// that blocks can't be stopped by the wall-clock limit before it returns: where it may
    /// take long, use [`function_with`](Self::function_with) or
    /// [`async_function`](Self::async_function).
    ///
    /// ```
    /// use moonfork::{Grants, Pool};
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
        function: impl Fn(A) -> Result<R, HostError> + Send + Sync + 'static,
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
        function: impl Fn(&HostCall, A) -> Result<R, HostError> + Send + Sync + 'static,
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
        F: Future<Output = Result<R, HostError>> + Send + 'static,
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
    /// ([`Grants::module`]): Lua source, which runs once in each instance that asks for it. Errors
    /// name it as its [`Chunk`] is named, after a file, or else `module 'NAME'`.
    ///
    /// ```
    /// use moonfork::{Grants, Pool};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder()
    ///     .module("tax", "return {rate = 0.19}")
    ///     .grants(Grants::none().all_modules())
    ///     .build()?;
    /// assert_eq!(pool.branch()?.eval::<f64>("require('tax').rate")?, 0.19);
    /// # Ok(())
    /// # }
    /// ```
    pub fn module<'c>(mut self, name: impl Into<String>, source: impl Into<Chunk<'c>>) -> Self {
        self.modules.add(name.into(), source.into().into_owned());
        self
    }

    /// Lua that runs once, when the pool is built, and what it leaves is what each instance begins with, main
    /// ones and branches alike: libraries, tables of data. Called again, what is given runs behind what
    /// was given before. It runs with the pool's [`grants`](Self::grants), within the pool's limits; what
    /// instances may do is up to their own grants, as for [`Branch::fork_with`](crate::Branch::fork_with).
    ///
    /// An instance begins with it at about the cost of one that begins with nothing, whatever its size.
    ///
    /// ```
    /// use moonfork::Pool;
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder()
    ///     .prelude("vat = {} for _, it in ipairs {7, 19} do vat[it] = 1 + it / 100 end")
    ///     .build()?;
    /// assert_eq!(pool.branch()?.eval::<f64>("100 * vat[19]")?, 119.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prelude<'c>(mut self, chunk: impl Into<Chunk<'c>>) -> Self {
        let chunk = chunk.into().without_value().into_owned();
        self.prelude.push(match chunk.is_named() {
            true => chunk,
            false => chunk.named("prelude"),
        });
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
    pub fn sabotage(mut self, sabotage: Sabotage) -> Self {
        self.sabotage = Some(sabotage);
        self
    }

    /// Compiles the guest and reserves room for the instances. The calling thread becomes the
    /// owner of main.
    ///
    /// The first pool of a process compiles, which takes half a second, or many seconds where
    /// wasmtime itself is compiled without optimisation, as cargo's dev profile does
    /// (`docs/compiled-code.md`: "What a first pool costs"). Later ones share its code, whatever
    /// their limits and number of instances, and take a millisecond or two; one that counts fuel
    /// shares that of the first that does.
    ///
    /// # Errors
    ///
    /// `Setup`, with what to change; what running the [`prelude`](Self::prelude) gives; or `Syntax`, for a chunk that is to be
    /// compiled and doesn't parse.
    pub fn build(self) -> Result<Pool> {
        self.limits.check(self.metered).map_err(Error::setup)?;
        self.functions.check()?;
        self.modules.check()?;
        #[cfg(feature = "compile")]
        self.compile.check(self.metered)?;
        let checks = self.checks();
        #[cfg(feature = "testing")]
        let foreign = self.foreign.as_deref();
        #[cfg(not(feature = "testing"))]
        let foreign = None;
        let functions = Arc::new(self.functions);
        let modules = Arc::new(self.modules);
        let slots = (1 + Shared::COMPILERS + Shared::SNAPSHOTS)
            .checked_add(self.max_branches)
            .and_then(|slots| slots.checked_add(self.max_runs))
            .ok_or_else(|| Error::setup("that many instances can't be counted"))?;
        let image = Image::new(foreign, slots, &self.limits, checks, self.places)?;
        // The folder that keeps code may have been made just now.
        let kept = image.places().folders();
        let branches = Slots::new(self.max_branches as usize);
        let waiting = (branches, self.patience);
        let shared = Shared::new(
            image,
            self.limits,
            functions,
            modules,
            self.grants,
            kept,
            waiting,
        )?;
        #[cfg(feature = "compile")]
        let shared = self.compile.apply(shared);
        let pool = Pool {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                owner: thread::current().id(),
                main: Mutex::new(None),
                main_slot: Slots::new(1),
                run_slots: Slots::new(self.max_runs as usize),
                #[cfg(feature = "testing")]
                sabotage: self.sabotage.map(Saboteur::new),
            }),
        };
        #[cfg(feature = "compile")]
        self.compile.translate(&pool, &self.prelude)?;
        if !self.prelude.is_empty() {
            pool.run_prelude(&self.prelude)?;
        }
        Ok(pool)
    }
}
