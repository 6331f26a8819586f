//! An instance that belongs to one handle.

#[cfg(feature = "testing")]
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "testing")]
use crate::identity::StoreId;
use crate::instance::{Instance, View};

/// An instance and the way a handle holds it.
pub(crate) enum Held {
    /// Nothing else can reach it.
    Own(Instance),
    /// What the tests of the identity tests need: an instance that others hold as well, and the id
    /// that it claims to have.
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

    /// What is to be seen of the instance.
    pub(crate) fn view(&self) -> View {
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
