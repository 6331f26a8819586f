//! The pool's main instance.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use crate::Result;
use crate::identity::{Role, StoreId};
use crate::instance::{Instance, View};

use super::access::{Access, Holder, enter, view_of_main};

/// The main instance of a pool. Any number of these reach the same one.
///
/// It stays on the thread that built the pool: it can neither be sent to another thread nor
/// be used through a reference there, so that what runs on other threads can't reach main.
///
/// ```compile_fail
/// # use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let mut main = pool.main()?;
/// std::thread::spawn(move || main.eval::<()>("x = 1"));
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail
/// # use moonfork::Pool;
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
    /// use moonfork::{Pool, RunOptions};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder().build()?;
    /// let mut main = pool.main()?;
    /// main.exec("visits = 1")?;
    /// let quick = RunOptions::new().wall(Duration::from_millis(100));
    /// assert!(main.with(&quick).exec("while true do end").is_err());
    /// assert!(main.exec("visits = 2").unwrap_err().is_poisoned());
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

    /// What the instance is for.
    pub fn role(&self) -> Role {
        Role::Main
    }

    pub(super) fn view(&self) -> View {
        view_of_main(&self.cell, self.first_view)
    }

    pub(super) fn access(&mut self) -> Access<'_> {
        Access::new(Holder::Main(&self.cell, self.first_view), Role::Main)
    }
}
