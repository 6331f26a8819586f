//! Chunks whose translated functions an instance has.

use std::sync::Arc;

use crate::engine::translated::{MODULES, Translated};
use crate::instance::session::{Session, exports};
use crate::store::context::ModuleBytecode;

/// Ticks that don't pass meanwhile.
const UNTIL_THE_NEXT_CALL: u64 = 1 << 32;

impl Session {
    /// Whether it may run translated functions. One that keeps a journal doesn't: who replays that has
    /// none, and they burn other fuel.
    pub(in crate::instance) fn translates(&self) -> bool {
        let tape = &self.store.data().tape;
        !tape.is_recording() && !tape.is_replaying()
    }

    /// Sees to it that it has the functions of `translated`. Says whether it does.
    ///
    /// # Errors
    ///
    /// When wasmtime can't make an instance of the module.
    pub(in crate::instance) fn install(
        &mut self,
        translated: &Arc<Translated>,
    ) -> wasmtime::Result<bool> {
        let has_it = |it| Arc::ptr_eq(it, translated);
        if translated.is_interpreted() || self.translated.iter().any(has_it) {
            return Ok(true);
        }
        if self.translated.len() >= MODULES as usize || self.is_in_the_way(translated) {
            return Ok(false);
        }
        let shared = Arc::clone(&self.shared);
        let exports = exports(&shared, self.frozen.as_deref());
        let Some(exports) = &exports.translated else {
            return Ok(false);
        };
        // wasmtime runs code of its own to fill in the table. Each call sets both of these for itself.
        self.store.set_epoch_deadline(UNTIL_THE_NEXT_CALL);
        if shared.image.is_metered() {
            self.store.set_fuel(u64::MAX)?;
        }
        translated.install(&mut self.store, self.instance, exports)?;
        let modules = Arc::clone(translated) as Arc<dyn ModuleBytecode>;
        self.store.data_mut().modules.push(modules);
        self.translated.push(Arc::clone(translated));
        Ok(true)
    }

    /// Whether its prototypes may say places for functions of others than `translated`.
    fn is_in_the_way(&self, translated: &Translated) -> bool {
        let begun = self.frozen.iter().flat_map(|frozen| &frozen.translated);
        let mut all = self.translated.iter().chain(begun);
        all.any(|it| !std::ptr::eq(&**it, translated) && it.is_in_the_way_of(translated))
    }

    /// Has the functions that prototypes say in the memory that it began with.
    ///
    /// # Errors
    ///
    /// When wasmtime can't make an instance of a module.
    pub(in crate::instance) fn install_begun(&mut self) -> wasmtime::Result<()> {
        let Some(frozen) = self.frozen.clone() else {
            return Ok(());
        };
        if self.translates() {
            for translated in &frozen.translated {
                self.install(translated)?;
            }
        }
        Ok(())
    }

    /// The chunks whose translated functions it has.
    pub(in crate::instance) fn translated(&self) -> &[Arc<Translated>] {
        &self.translated
    }

    /// Has the functions that `parent` has, of which it is a copy: its prototypes say their places. Without
    /// them it would have them interpreted.
    pub(super) fn inherit_translated(&mut self, parent: &Session) -> wasmtime::Result<()> {
        if self.translates() {
            for translated in &parent.translated {
                self.install(translated)?;
            }
        }
        Ok(())
    }
}
