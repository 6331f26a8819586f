//! What a store carries: everything that host code may know while its instance runs.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::UpdateDeadline;

use crate::StoreId;
use crate::entropy::Entropy;
use crate::function::Functions;
use crate::limits::{Accountant, Limits};
use crate::output::Output;

/// The data of one store. There is no way from here to another instance.
pub(crate) struct Context {
    /// Which store this is.
    pub(crate) id: StoreId,
    /// What a call may use.
    pub(crate) limits: Limits,
    /// What the store has grown to.
    pub(crate) accountant: Accountant,
    /// Where its random numbers come from.
    pub(crate) entropy: Entropy,
    /// What the script may call.
    pub(crate) functions: Arc<Functions>,
    /// When the call that runs at the moment must have ended.
    pub(crate) deadline: Option<Instant>,
    /// What was printed and not taken yet.
    pub(crate) output: Output,
    /// The result of a host function, until the guest takes it.
    pub(crate) result: Vec<u8>,
}

/// Why host code stopped the guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The deadline passed.
    #[error("the script ran longer than {0:?}")]
    Deadline(Duration),
    /// A host function failed in a way that no script may carry on from.
    #[error("{0}")]
    Host(String),
    /// The guest did what the guest we built never does.
    #[error("the guest module misbehaved: {0}")]
    Guest(String),
}

impl Context {
    /// A new store's data; `random` is the key of the pool's random numbers.
    pub(crate) fn new(limits: Limits, functions: Arc<Functions>, random: &RandomState) -> Context {
        let id = StoreId::next();
        Context {
            id,
            entropy: Entropy::new(random, id),
            limits,
            accountant: Accountant::new(limits.memory),
            functions,
            deadline: None,
            output: Output::default(),
            result: Vec::new(),
        }
    }

    /// What happens at a tick of the clock: only this instance's own deadline counts.
    pub(crate) fn at_tick(&self) -> wasmtime::Result<UpdateDeadline> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(Stop::Deadline(self.limits.wall).into())
            }
            _ => Ok(UpdateDeadline::Continue(1)),
        }
    }
}
