//! Handles: what a caller holds of an instance.

use std::fmt;
use std::marker::PhantomData;
#[cfg(feature = "testing")]
use std::sync::PoisonError;
use std::sync::{Arc, Mutex, TryLockError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::error::ErrorKind;
use crate::identity::{Role, StoreId};
use crate::instance::chunk::Chunk;
use crate::instance::{Instance, View};
use crate::report::Report;
use crate::report::output::Output;
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::sync::nesting;

use sealed::Sealed;

/// Owns or borrows exactly one instance, from when it is made until it is dropped: no handle
/// ever changes over to another instance.
///
/// Every call is subject to the pool's [`Limits`](crate::Limits), or narrower ones. One that is
/// stopped in the middle ends its instance; calls after that give
/// [`Poisoned`](crate::ErrorKind::Poisoned).
///
/// ```
/// use moonfork::{Handle, Pool};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let (mut one, mut other) = (pool.branch()?, pool.branch()?);
/// one.set_global("name", "one")?;
/// assert_eq!(other.global::<Option<String>>("name")?, None);
/// assert!(!one.is_same_store(&other));
/// # Ok(())
/// # }
/// ```
pub trait Handle: Sealed {
    /// The identity of the instance, read from its store.
    fn store_id(&self) -> StoreId {
        self.view().id
    }

    /// What the instance is for.
    fn role(&self) -> Role {
        self.plays()
    }

    /// Whether both handles reach the same instance.
    fn is_same_store(&self, other: &impl Handle) -> bool
    where
        Self: Sized,
    {
        self.store_id() == other.store_id()
    }

    /// Whether the instance can still run anything.
    fn is_live(&self) -> bool {
        self.view().live
    }

    /// The address of the instance's linear memory, while it is live. Two instances that are
    /// alive at the same time never share one; what has ended says nothing, since addresses
    /// are used again.
    fn memory_base(&self) -> Option<usize> {
        self.view().memory_base
    }

    /// Runs a chunk or a bare expression and returns its value.
    ///
    /// # Errors
    ///
    /// `Syntax`, `Script` or `Denied` as the script has it; `Value` when its result has no JSON
    /// counterpart or isn't an `R`; `Timeout`, `Cancelled`, `OutOfFuel`, `TooManyHostCalls`,
    /// `OutOfMemory` when it was stopped; `HostPanic`, `Poisoned`, `Reentrant`, `Options`,
    /// `Internal`.
    fn eval<'c, R: DeserializeOwned>(&mut self, chunk: impl Into<Chunk<'c>>) -> Result<R>
    where
        Self: Sized,
    {
        let chunk = chunk.into();
        self.with_mut(|instance, terms| instance.eval(terms, &chunk, None::<&()>))
    }

    /// Runs a chunk or a bare expression that sees `state` as a local of that name.
    ///
    /// # Errors
    ///
    /// As [`eval`](Self::eval), and `Value` when Lua can't hold `state`.
    fn eval_with<'c, S, R>(&mut self, chunk: impl Into<Chunk<'c>>, state: &S) -> Result<R>
    where
        Self: Sized,
        S: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let chunk = chunk.into();
        self.with_mut(|instance, terms| instance.eval(terms, &chunk, Some(state)))
    }

    /// Sees whether a chunk or a bare expression parses, and runs nothing.
    ///
    /// # Errors
    ///
    /// `Syntax` when it doesn't, and what may stop any call: see [`eval`](Self::eval).
    fn check<'c>(&mut self, chunk: impl Into<Chunk<'c>>) -> Result<()>
    where
        Self: Sized,
    {
        let chunk = chunk.into();
        self.with_mut(|instance, terms| instance.check(terms, &chunk))
    }

    /// Calls a function that the instance knows by its global name or a dotted path, with the
    /// elements of `args`: a tuple, an array, a slice.
    ///
    /// # Errors
    ///
    /// As [`eval_with`](Self::eval_with), and `NotCallable` when there is no such function.
    fn call<A, R>(&mut self, path: &str, args: &A) -> Result<R>
    where
        Self: Sized,
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        self.with_mut(|instance, terms| instance.call(terms, path, args))
    }

    /// The value of a global; an absent one is null.
    ///
    /// # Errors
    ///
    /// As [`eval`](Self::eval).
    fn global<R: DeserializeOwned>(&mut self, name: &str) -> Result<R>
    where
        Self: Sized,
    {
        self.with_mut(|instance, terms| instance.get(terms, name))
    }

    /// Sets a global; null removes it.
    ///
    /// # Errors
    ///
    /// As [`eval_with`](Self::eval_with).
    fn set_global<V: Serialize + ?Sized>(&mut self, name: &str, value: &V) -> Result<()>
    where
        Self: Sized,
    {
        self.with_mut(|instance, terms| instance.set(terms, name, value))
    }

    /// The same instance on narrower terms, for the calls made through the result: limits, a
    /// deadline, a way to stop them, a part of its grants.
    ///
    /// Calls fail with `Options` when the terms aren't narrower.
    fn with<'h>(&'h mut self, options: &'h RunOptions) -> With<'h, Self>
    where
        Self: Sized,
    {
        With {
            handle: self,
            options,
        }
    }

    /// What the calls since the last report cost; what they printed is taken with it.
    ///
    /// In a host function that the instance itself is calling there is nothing to be had yet.
    fn take_report(&mut self) -> Report {
        let role = self.role();
        let taken = self.with_mut(|instance, _| Ok(instance.take_report(role)));
        taken.unwrap_or_else(|_| Report::empty(self.store_id(), role))
    }

    /// What was printed since the last time this was called.
    fn take_output(&mut self) -> Output {
        let taken = self.with_mut(|instance, _| Ok(instance.take_output()));
        taken.unwrap_or_default()
    }
}

pub(crate) mod sealed {
    use super::{Instance, Result, Role, Terms, View};

    /// How a handle reaches its instance, and on which terms.
    pub trait Sealed {
        #[doc(hidden)]
        fn view(&self) -> View;
        #[doc(hidden)]
        fn with_mut<T>(
            &mut self,
            f: impl FnOnce(&mut Instance, Option<&Terms>) -> Result<T>,
        ) -> Result<T>;
        #[doc(hidden)]
        fn plays(&self) -> Role;
    }
}

/// The main instance of a pool. Any number of these reach the same one.
///
/// It stays on the thread that built the pool: it can neither be sent to another thread nor
/// be used through a reference there, so that what runs on other threads can't reach main.
///
/// ```compile_fail
/// # use moonfork::{Handle, Pool};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let mut main = pool.main()?;
/// std::thread::spawn(move || main.eval::<()>("x = 1"));
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail
/// # use moonfork::{Handle, Pool};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let main = pool.main()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| main.store_id());
/// });
/// # Ok(())
/// # }
/// ```
pub struct Main {
    cell: Arc<Mutex<Instance>>,
    /// What was to be seen when the handle was made.
    first_view: View,
    replaces: Option<StoreId>,
    /// Neither `Send` nor `Sync`.
    _thread: PhantomData<*const ()>,
}

impl Main {
    /// A handle to the instance in `cell`.
    ///
    /// # Errors
    ///
    /// `Reentrant` while the instance runs.
    pub(crate) fn new(cell: &Arc<Mutex<Instance>>, replaces: Option<StoreId>) -> Result<Main> {
        let first_view = enter(cell, |instance| Ok(instance.view()))?;
        Ok(Main {
            cell: Arc::clone(cell),
            first_view,
            replaces,
            _thread: PhantomData,
        })
    }

    /// The main instance that this one was built to replace, on the first handle after that:
    /// it had been stopped, and all its globals are lost.
    ///
    /// ```
    /// use std::time::Duration;
    /// use moonfork::{Handle, Pool, RunOptions};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder().build()?;
    /// let mut main = pool.main()?;
    /// main.eval::<()>("visits = 1")?;
    /// let quick = RunOptions::new().wall(Duration::from_millis(100));
    /// assert!(main.with(&quick).eval::<()>("while true do end").is_err());
    /// assert!(main.eval::<()>("1").unwrap_err().is_poisoned());
    ///
    /// let mut next = pool.main()?;
    /// assert_eq!(next.replaces(), Some(main.store_id()));
    /// assert_eq!(next.global::<Option<u32>>("visits")?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn replaces(&self) -> Option<StoreId> {
        self.replaces
    }
}

/// Uses the instance in `cell`, which only one thread ever does.
///
/// # Errors
///
/// `Reentrant` where a script is at work on this thread, main's own or a branch's.
pub(crate) fn enter<T>(
    cell: &Mutex<Instance>,
    f: impl FnOnce(&mut Instance) -> Result<T>,
) -> Result<T> {
    if nesting::under_way() {
        return Err(ErrorKind::Reentrant.into());
    }
    let mut instance = match cell.try_lock() {
        Ok(instance) => instance,
        // A panic on the way through left the instance whole, or it would be gone.
        Err(TryLockError::Poisoned(instance)) => instance.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(ErrorKind::Reentrant.into()),
    };
    f(&mut instance)
}

impl Sealed for Main {
    fn view(&self) -> View {
        // While a script is at work it is what it was: nothing can end it meanwhile.
        enter(&self.cell, |instance| Ok(instance.view())).unwrap_or(self.first_view)
    }

    fn with_mut<T>(
        &mut self,
        f: impl FnOnce(&mut Instance, Option<&Terms>) -> Result<T>,
    ) -> Result<T> {
        enter(&self.cell, |instance| f(instance, None))
    }

    fn plays(&self) -> Role {
        Role::Main
    }
}

impl Handle for Main {}

/// An instance and the way a handle holds it.
pub(crate) enum Held {
    /// Nothing else can reach it.
    Own(Instance),
    /// What the tests of the identity tests need: an instance that others hold as well.
    #[cfg(feature = "testing")]
    Shared(Arc<Mutex<Instance>>, Option<StoreId>),
}

impl Held {
    pub(crate) fn with<T>(&self, f: impl FnOnce(&Instance) -> T) -> T {
        match self {
            Held::Own(instance) => f(instance),
            #[cfg(feature = "testing")]
            Held::Shared(cell, _) => f(&cell.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(crate) fn with_mut<T>(&mut self, f: impl FnOnce(&mut Instance) -> T) -> T {
        match self {
            Held::Own(instance) => f(instance),
            #[cfg(feature = "testing")]
            Held::Shared(cell, _) => f(&mut cell.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn view(&self) -> View {
        let view = self.with(Instance::view);
        match self {
            #[cfg(feature = "testing")]
            Held::Shared(_, Some(claimed)) => View {
                id: *claimed,
                ..view
            },
            _ => view,
        }
    }
}

macro_rules! owning_handle {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        pub struct $name(pub(crate) Held);

        impl Sealed for $name {
            fn view(&self) -> View {
                self.0.view()
            }

            fn with_mut<T>(
        &mut self,
        f: impl FnOnce(&mut Instance, Option<&Terms>) -> Result<T>,
    ) -> Result<T> {
                self.0.with_mut(|instance| f(instance, None))
            }

            fn plays(&self) -> Role {
                $role
            }
        }

        impl Handle for $name {}
    };
}

owning_handle! {
    /// A fresh instance that nobody else has had or can reach; dropped with this handle. It
    /// may move from thread to thread.
    Branch, Role::Branch
}

owning_handle! {
    /// The main instance of one workflow run, whichever thread calls it; dropped with this
    /// handle. Not the pool's main: two runs never share one, and no run has the pool's.
    RunMain, Role::Main
}

/// What [`Pool::runtime`](crate::Pool::runtime) gives: main to the thread that owns the pool,
/// a fresh branch to any other.
#[derive(Debug)]
pub enum Runtime {
    /// The pool's main instance.
    Main(Main),
    /// A fresh instance.
    Branch(Branch),
}

impl Sealed for Runtime {
    fn view(&self) -> View {
        match self {
            Runtime::Main(main) => main.view(),
            Runtime::Branch(branch) => branch.view(),
        }
    }

    fn with_mut<T>(
        &mut self,
        f: impl FnOnce(&mut Instance, Option<&Terms>) -> Result<T>,
    ) -> Result<T> {
        match self {
            Runtime::Main(main) => main.with_mut(f),
            Runtime::Branch(branch) => branch.with_mut(f),
        }
    }

    fn plays(&self) -> Role {
        match self {
            Runtime::Main(main) => main.plays(),
            Runtime::Branch(branch) => branch.plays(),
        }
    }
}

impl Handle for Runtime {}

/// A handle on narrower terms: see [`Handle::with`].
pub struct With<'h, H> {
    handle: &'h mut H,
    options: &'h RunOptions,
}

impl<H: Handle> Sealed for With<'_, H> {
    fn view(&self) -> View {
        self.handle.view()
    }

    fn with_mut<T>(
        &mut self,
        f: impl FnOnce(&mut Instance, Option<&Terms>) -> Result<T>,
    ) -> Result<T> {
        let options = self.options;
        self.handle.with_mut(|instance, outer| {
            let terms = instance.narrower(options, outer)?;
            f(instance, terms.as_ref())
        })
    }

    fn plays(&self) -> Role {
        self.handle.plays()
    }
}

impl<H: Handle> Handle for With<'_, H> {}

fn debug(handle: &impl Handle, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("store_id", &handle.store_id().get())
        .field("live", &handle.is_live())
        .finish()
}

impl fmt::Debug for Main {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, "Main", f)
    }
}

impl<H: Handle> fmt::Debug for With<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, "With", f)
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, "Branch", f)
    }
}

impl fmt::Debug for RunMain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, "RunMain", f)
    }
}
