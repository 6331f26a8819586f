//! The folder that keeps compiled code from one run to the next.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Once;

use etcetera::BaseStrategy;

use super::end::Mistake;
use super::stream;

/// The variable that names it.
const VARIABLE: &str = "MOONFORK_CACHE_DIR";

/// Where it is; `None` if the user has no place for such things. Having none costs a fraction of
/// a second and is no reason to say anything, and so it is with one that can't be trusted, which
/// the library doesn't use.
///
/// # Errors
/// If it is named, and not by an absolute path.
pub(super) fn folder() -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        return match folder.is_absolute() {
            true => Ok(Some(folder)),
            false => Err(Mistake::error(relative(&folder, VARIABLE))),
        };
    }
    let Ok(strategy) = etcetera::choose_base_strategy() else {
        return Ok(None);
    };
    let folder = strategy.cache_dir().join("moonfork");
    if folder.is_absolute() {
        return Ok(Some(folder));
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let why = relative(&folder, "the home folder");
        stream::note(format_args!("warning: {why}; none is kept"));
    });
    Ok(None)
}

fn relative(folder: &Path, named_by: &str) -> String {
    format!(
        "compiled code would be kept in {}, by {named_by}: that is no absolute path, and whoever \
         made the folder that this one is in could have put code there",
        folder.display()
    )
}

/// Refuses a folder to write to that holds compiled code, or lies where it lies.
///
/// # Errors
/// If it is such a folder.
pub(super) fn check(granted: &Path) -> anyhow::Result<()> {
    let Some(cache) = folder()? else {
        return Ok(());
    };
    let (granted, cache) = (real(granted), real(&cache));
    if cache.starts_with(&granted) || granted.starts_with(&cache) {
        let why = format!(
            "the folder {} can't be granted for writing: compiled code is kept in {}, and whoever \
             writes there decides what runs; grant another folder, or have it kept elsewhere \
             with {VARIABLE}",
            granted.display(),
            cache.display()
        );
        return Err(Mistake::error(why));
    }
    Ok(())
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    for ancestor in absolute.ancestors() {
        if let Ok(mut real) = ancestor.canonicalize() {
            real.extend(missing.iter().rev());
            return real;
        }
        missing.extend(ancestor.file_name());
    }
    absolute
}
