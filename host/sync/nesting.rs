//! Whether this thread is in the middle of a call into a sandbox.
//!
//! What runs there then is a host function, called by a script. It may use the pool to run
//! something else, but not main: through it the script could reach main, and a script of
//! main's own would wait for itself.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A call that is under way, until this is dropped.
pub(crate) struct Call(());

/// Begins a call on this thread.
pub(crate) fn enter() -> Call {
    DEPTH.set(DEPTH.get() + 1);
    Call(())
}

/// Whether a call is under way on this thread.
pub(crate) fn under_way() -> bool {
    DEPTH.get() > 0
}

impl Drop for Call {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
