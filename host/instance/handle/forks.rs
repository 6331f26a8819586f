//! Copies of an instance, which every handle to a whole instance can make.

use crate::instance::freeze::Extras;
use crate::instance::handle::snapshot::Snapshot;
use crate::instance::handle::{Branch, Held, Main, RunMain, Runtime};
use crate::{Result, RunOptions};

/// Gives a handle the methods that copy its instance: it has `access` to it.
macro_rules! forks {
    ($handle:ty) => {
        impl $handle {
            /// A fresh instance that begins with all that this one has: globals, functions with what
            /// they remember, tables, metatables, coroutines at rest, loaded modules. What either does
            /// from then on isn't seen by the other. See [`fork_with`](Self::fork_with).
            ///
            /// # Errors
            ///
            /// As there.
            pub fn fork(&mut self) -> Result<Branch> {
                self.fork_with(&RunOptions::new())
            }

            /// As [`fork`](Self::fork), for a branch all of whose calls are held to `options`.
            ///
            /// The branch is an instance of its own, in a slot of the pool's for branches, with an id,
            /// limits, a deadline and grants of its own: those of `options`, else the pool's. Host functions,
            /// the clock, folders, and modules that are yet to be loaded are denied to it unless it is
            /// granted them, also where globals lead to them that it has from this one. Variables,
            /// modules that were loaded and data go along, and can't be taken back. A granted function that this
            /// one wasn't granted becomes a global of the branch, in place of what has its name; what this
            /// one was granted is as scripts have left it.
            ///
            /// Random numbers are seeded afresh; from a seed that is given, each fork of an instance has a
            /// stream of its own, the same in every run.
            ///
            /// Takes as long as copying the memory that differs from a fresh instance's. For many branches
            /// that begin with the same, [`snapshot`](Self::snapshot) is the better way.
            ///
            /// # Errors
            ///
            /// `Poisoned` when this instance was stopped; `Reentrant` for the pool's main in a host
            /// function; `Options` when `options` are wider than what the pool has, or their limit of
            /// memory is less than what this instance has grown to; and as
            /// [`Pool::branch_with`](crate::Pool::branch_with).
            pub fn fork_with(&mut self, options: &RunOptions) -> Result<Branch> {
                let fork = self.access().with(|instance, _| instance.fork(options))?;
                Ok(Branch(Held::Own(fork)))
            }

            /// What this instance has at the moment, frozen: any number of branches can begin with it, each at
            /// about the cost of a fresh one, however much it is.
            ///
            /// This instance itself stays as it is. Garbage doesn't go along: it is collected in a copy
            /// that is granted nothing, and there its finalizers run. That copy has this instance's limits for a
            /// call. The first snapshot of a process compiles the guest once more, in half a second.
            ///
            /// # Errors
            ///
            /// `Poisoned` when this instance was stopped; `Reentrant` for the pool's main in a host
            /// function; `Timeout` and the like when a finalizer in the copy is stopped by a limit;
            /// `OutOfMemory`.
            pub fn snapshot(&mut self) -> Result<Snapshot> {
                self.access()
                    .with(|instance, _| Snapshot::of(instance, Extras::default()))
            }
        }
    };
}

forks!(Branch);
forks!(Main);
forks!(RunMain);
forks!(Runtime);

/// Gives a handle that workflows have what they need besides.
#[cfg(feature = "workflow")]
macro_rules! snapshots_with_extras {
    ($handle:ty) => {
        impl $handle {
            /// As [`snapshot`](Self::snapshot), with `extras` for its branches.
            ///
            /// # Errors
            ///
            /// As there; and when the state can't pass, or finds no room.
            pub(crate) fn snapshot_with(&mut self, extras: Extras<'_>) -> Result<Snapshot> {
                self.access()
                    .with(|instance, _| Snapshot::of(instance, extras))
            }
        }
    };
}

#[cfg(feature = "workflow")]
snapshots_with_extras!(Branch);
#[cfg(feature = "workflow")]
snapshots_with_extras!(RunMain);

#[cfg(all(test, feature = "workflow"))]
impl Branch {
    /// Whether its guest holds a chunk that is run with a state.
    pub(crate) fn holds(&mut self, chunk: &crate::chunk::Chunk<'_>) -> Result<bool> {
        let chunk = chunk.to_wire();
        self.access()
            .with(|instance, _| Ok(instance.holds(&chunk, true)))
    }
}
