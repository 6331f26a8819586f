//! How the calls of a handle reach its instance, and on which terms.

use std::sync::{Mutex, TryLockError};

use crate::Result;
use crate::error::ErrorKind;
use crate::identity::Role;
use crate::instance::{Instance, View};
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::sync::nesting;

use super::held::Held;

/// One call's way to the instance of its handle.
pub(super) struct Access<'h> {
    pub(super) holder: Holder<'h>,
    pub(super) role: Role,
    /// Narrower terms than the instance's own.
    pub(super) terms: Option<&'h Narrowing<'h>>,
}

/// Where the instance is.
pub(super) enum Holder<'h> {
    /// With the handle alone.
    Held(&'h mut Held),
    /// With all handles of the pool's main instance; what was to be seen of it when this one was made.
    Main(&'h Mutex<Instance>, View),
}

/// Options of some calls, and those that they are part of.
pub(super) struct Narrowing<'h> {
    pub(super) options: &'h RunOptions,
    pub(super) outer: Option<&'h Narrowing<'h>>,
}

impl<'h> Access<'h> {
    /// A call on the instance's own terms.
    pub(super) fn new(holder: Holder<'h>, role: Role) -> Access<'h> {
        Access {
            holder,
            role,
            terms: None,
        }
    }

    /// Does something with the instance, on the terms of the call.
    ///
    /// # Errors
    ///
    /// `Options` when those aren't narrower than what they are part of; `Reentrant` where the pool's
    /// main must not be used; those of `f`.
    pub(super) fn with<T>(
        self,
        f: impl FnOnce(&mut Instance, Option<&Terms>) -> Result<T>,
    ) -> Result<T> {
        let narrowing = self.terms;
        let on_terms = |instance: &mut Instance| match narrowing {
            None => f(instance, None),
            Some(narrowing) => {
                let terms = narrowing.check(instance)?;
                f(instance, terms.as_ref())
            }
        };
        match self.holder {
            Holder::Held(held) => held.with_mut(on_terms),
            Holder::Main(cell, _) => enter(cell, on_terms),
        }
    }
}

impl Holder<'_> {
    /// The same way, for a shorter time.
    pub(super) fn reborrow(&mut self) -> Holder<'_> {
        match self {
            Holder::Held(held) => Holder::Held(held),
            Holder::Main(cell, first_view) => Holder::Main(cell, *first_view),
        }
    }

    /// What is to be seen of the instance.
    pub(super) fn view(&self) -> View {
        match self {
            Holder::Held(held) => held.view(),
            Holder::Main(cell, first_view) => view_of_main(cell, *first_view),
        }
    }
}

impl Narrowing<'_> {
    fn check(&self, instance: &Instance) -> Result<Option<Terms>> {
        let outer = match self.outer {
            Some(outer) => outer.check(instance)?,
            None => None,
        };
        instance.narrower(self.options, outer.as_ref())
    }
}

/// What is to be seen of main. While a script is at work it is what it was: nothing can end it
/// meanwhile.
pub(super) fn view_of_main(cell: &Mutex<Instance>, first_view: View) -> View {
    enter(cell, |instance| Ok(instance.view())).unwrap_or(first_view)
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
