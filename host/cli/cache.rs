//! The folder that keeps compiled code from one run to the next.

use std::env;
use std::path::PathBuf;

use etcetera::BaseStrategy;

/// Where it is; `None` if the user has no place for such things. Having none costs a fraction of
/// a second and is no reason to say anything, and so it is with one that can't be trusted, which
/// the library doesn't use.
pub(super) fn folder() -> Option<PathBuf> {
    match env::var_os("MOONFORK_CACHE_DIR") {
        Some(folder) if !folder.is_empty() => Some(PathBuf::from(folder)),
        _ => {
            let strategy = etcetera::choose_base_strategy().ok()?;
            Some(strategy.cache_dir().join("moonfork"))
        }
    }
}
