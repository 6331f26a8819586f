//! What the black-box tests share.

use std::sync::OnceLock;

use moonfork::Pool;

/// One pool for all tests of a file: compiling the guest is most of what building one costs.
/// Main belongs to whichever test came first, so tests of main build a pool of their own.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        Pool::builder()
            .build()
            .expect("a pool with default settings")
    })
}
