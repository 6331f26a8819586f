//! Copies of a live instance: forks, and what snapshots are made of.
//!
//! What a guest's state is lies in its memory and in its global variables, of which there is one, the
//! stack pointer; no table is written (`xtask/src/state.rs` holds the guest to that). Copied is
//! what differs from what a fresh instance has, found by comparing bytes: what the kernel knows of pages
//! isn't relied on (docs/threat-model.md).
//!
//! All else belongs to the copy alone: its store and id, limits, deadline and handle to stop it, grants,
//! random numbers, output and report, the heap of exceptions.

use std::sync::Arc;

use crate::instance::session::Session;
use crate::instance::shared::Shared;
use crate::instance::{Instance, State};
use crate::run::options::RunOptions;
use crate::run::terms::Terms;
use crate::store::accountant::check_room;
use crate::sync::slots::Slot;
use crate::{Error, Result};

impl Instance {
    /// A fresh instance whose memory is a copy of this one's.
    ///
    /// # Errors
    ///
    /// `Poisoned` when this one was stopped; `Options` when the options are wider than what the pool
    /// has, or its memory is larger than they allow; and those of waiting for a slot.
    pub(crate) fn fork(&mut self, options: &RunOptions) -> Result<Instance> {
        let parent = self.live()?;
        let shared = Arc::clone(&parent.shared);
        let terms = shared.terms(options)?;
        // Before anything is waited for.
        check_room(parent.memory.data_size(&parent.store), &terms.limits)?;
        let slot = shared.slot(&shared.branch_slots, &terms)?;
        copy(parent, &shared, slot, terms)
    }
}

/// A copy of `parent` on these terms.
///
/// # Errors
///
/// As [`Instance::fork`]; `Internal` when wasmtime can't make one.
pub(super) fn copy(
    parent: &mut Session,
    shared: &Arc<Shared>,
    slot: Slot,
    terms: Terms,
) -> Result<Instance> {
    check_room(parent.memory.data_size(&parent.store), &terms.limits)?;
    let frozen = parent.frozen().cloned();
    let mut instance = Instance::beginning_with(frozen.as_ref(), shared, slot, terms)?;
    if let State::Live(child) = &mut instance.state {
        child.become_copy(parent).map_err(|error| {
            Error::internal(format_args!("the instance can't be copied: {error:#}"))
        })?;
        child.record_memory()?;
    }
    Ok(instance)
}
