//! Plugins whose Lua is translated to WebAssembly.

use std::path::Path;

use super::source::{Source, find, load};
use crate::diagnostics::{Code, LoadError, Problems};
use crate::instance::translations::Lease;
use crate::{Chunk, Pool};

/// Translates what [`PluginHostBuilder::compile`](super::PluginHostBuilder::compile) does of the plugins at these paths (plugins, or
/// folders of plugins), and writes the machine code into the folder beside `file` that is shipped with it
/// ([`Pool::precompile_lua`]). Runs nothing of them, and looks at nothing that they want.
///
/// # Errors
///
/// Everything that is wrong with the manifests; and when the code can't be made or written.
pub fn precompile(
    pool: &Pool,
    paths: &[impl AsRef<Path>],
    file: impl AsRef<Path>,
) -> Result<(), LoadError> {
    let mut problems = Problems::default();
    let found = paths.iter().flat_map(|path| {
        let found = find(path.as_ref(), &mut problems);
        found.unwrap_or_default()
    });
    let found: Vec<_> = found.collect();
    let sources: Vec<_> = found
        .iter()
        .filter_map(|path| load(path, &mut problems))
        .collect();
    let leases: Vec<_> = sources
        .iter()
        .filter_map(|source| translate(pool, source, &mut problems))
        .collect();
    let written = pool.precompile_lua(&file);
    drop(leases);
    if let Err(error) = written {
        let file = file.as_ref().to_string_lossy();
        problems.error_in(&file.into(), Code::FileUnreadable, None, error.to_string());
    }
    match problems.into_vec() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(LoadError::new(problems)),
    }
}

/// Translates the entry of a plugin and its modules.
pub(super) fn translate(pool: &Pool, source: &Source, problems: &mut Problems) -> Option<Lease> {
    let entry = Chunk::body(&*source.entry.text).named(source.chunk_name());
    let modules = source
        .modules
        .iter()
        .map(|(name, file)| Chunk::body(&*file.text).named(source.module_chunk_name(name)));
    let chunks: Vec<_> = std::iter::once(entry).chain(modules).collect();
    match pool.lease_compiled(&chunks) {
        Ok(lease) => Some(lease),
        Err(error) => {
            let message = error.to_string();
            problems.error_in(&source.manifest_file, Code::EntryFailed, None, message);
            None
        }
    }
}
