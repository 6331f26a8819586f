//! What the black-box tests share.

#![allow(dead_code, reason = "not every test file needs everything")]

use std::path::Path;
use std::sync::OnceLock;

use moonfork::{Pool, PoolBuilder};

/// Settings for a pool that finds the guest compiled already, after the first test of all. With
/// `MOONFORK_TEST_COMPILED` in the environment, it translates all chunks to WebAssembly that are run, so that
/// whatever is tested is tested of those.
pub(crate) fn builder() -> PoolBuilder {
    match std::env::var_os("MOONFORK_TEST_COMPILED") {
        Some(_) => interpreting_builder().compile_all(),
        None => interpreting_builder(),
    }
}

/// The same, for what is about bytecode: it never translates a chunk by itself.
pub(crate) fn interpreting_builder() -> PoolBuilder {
    Pool::builder().cache_dir(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"))
}

/// One pool for those tests of a file that need nothing special. Main belongs to whichever of
/// them came first, so tests of main build a pool of their own.
pub(crate) fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| builder().build().expect("a pool with default settings"))
}
