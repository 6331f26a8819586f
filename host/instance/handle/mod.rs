//! Handles: what a caller holds of an instance.
//!
//! Each owns or borrows exactly one, from when it is made until it is dropped: no handle ever
//! changes over to another instance. All have the same methods, which [`calls`] gives them.

mod access;
mod calls;
mod forks;
mod held;
mod main;
#[cfg(feature = "workflow")]
mod notes;
pub(crate) mod snapshot;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::chunk::Chunk;
use crate::identity::{Role, StoreId};
use crate::instance::View;
use crate::report::Report;
use crate::report::output::Output;
use crate::run::options::RunOptions;

use access::{Access, Holder, Narrowing};
use calls::calls;

pub(crate) use access::enter;
pub(crate) use held::Held;
pub use main::Main;

/// A fresh instance that nobody else has had or can reach; dropped with this handle. It
/// may move from thread to thread.
///
/// Every call is subject to the pool's [`Limits`](crate::Limits), or narrower ones. One that is
/// stopped in the middle ends its instance; calls after that give
/// [`Poisoned`](crate::ErrorKind::Poisoned).
///
/// ```
/// use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder().build()?;
/// let (mut one, mut other) = (pool.branch()?, pool.branch()?);
/// one.set_global("name", "one")?;
/// assert_eq!(other.global::<Option<String>>("name")?, None);
/// assert_ne!(one.store_id(), other.store_id());
/// # Ok(())
/// # }
/// ```
pub struct Branch(pub(crate) Held);

/// The main instance of one workflow run, whichever thread calls it; dropped with this
/// handle. Not the pool's main: two runs never share one, and no run has the pool's.
pub struct RunMain(pub(crate) Held);

/// What [`Pool::runtime`](crate::Pool::runtime) gives: main to the thread that owns the pool,
/// a fresh branch to any other.
pub enum Runtime {
    /// The pool's main instance.
    Main(Main),
    /// A fresh instance.
    Branch(Branch),
}

/// A handle on narrower terms: see [`Branch::with`].
pub struct With<'h> {
    holder: Holder<'h>,
    role: Role,
    terms: Narrowing<'h>,
}

/// What tests see of an instance, beside what everybody sees.
#[cfg(feature = "testing")]
pub trait Inspect {
    /// The address of the instance's linear memory, while it is live. Two instances that are
    /// alive at the same time never share one; what has ended says nothing, since addresses
    /// are used again.
    fn memory_base(&self) -> Option<usize>;
}

impl Branch {
    /// What the instance is for.
    pub fn role(&self) -> Role {
        Role::Branch
    }

    fn view(&self) -> View {
        self.0.view()
    }

    fn access(&mut self) -> Access<'_> {
        Access::new(Holder::Held(&mut self.0), Role::Branch)
    }
}

impl RunMain {
    /// What the instance is for.
    pub fn role(&self) -> Role {
        Role::Main
    }

    fn view(&self) -> View {
        self.0.view()
    }

    fn access(&mut self) -> Access<'_> {
        Access::new(Holder::Held(&mut self.0), Role::Main)
    }
}

impl Runtime {
    /// What the instance is for.
    pub fn role(&self) -> Role {
        match self {
            Runtime::Main(main) => main.role(),
            Runtime::Branch(branch) => branch.role(),
        }
    }

    fn view(&self) -> View {
        match self {
            Runtime::Main(main) => main.view(),
            Runtime::Branch(branch) => branch.view(),
        }
    }

    fn access(&mut self) -> Access<'_> {
        match self {
            Runtime::Main(main) => main.access(),
            Runtime::Branch(branch) => branch.access(),
        }
    }
}

impl With<'_> {
    /// What the instance is for.
    pub fn role(&self) -> Role {
        self.role
    }

    fn view(&self) -> View {
        self.holder.view()
    }

    fn access(&mut self) -> Access<'_> {
        Access {
            holder: self.holder.reborrow(),
            role: self.role,
            terms: Some(&self.terms),
        }
    }
}

impl<'h> Access<'h> {
    fn narrowed(self, options: &'h RunOptions) -> With<'h> {
        With {
            holder: self.holder,
            role: self.role,
            terms: Narrowing {
                options,
                outer: self.terms,
            },
        }
    }
}

calls!(Branch);
calls!(Main);
calls!(RunMain);
calls!(Runtime);
calls!(With<'_>);
