//! What is told in journals besides calls.

use crate::instance::handle::{Branch, RunMain};
use crate::journal::tape::{Recorder, Tape};

/// Gives a handle that has its instance alone the way to its journal.
macro_rules! notes {
    ($handle:ty) => {
        impl $handle {
            /// Adds something to the journal that the instance keeps, if it keeps one.
            pub(crate) fn note(&mut self, note: impl FnOnce(&mut Recorder)) {
                self.0.with_mut(|instance| {
                    if let Tape::Recording(recorder) = instance.tape() {
                        note(recorder);
                    }
                });
            }
        }
    };
}

notes!(Branch);
notes!(RunMain);
