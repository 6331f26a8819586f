//! The settings in `guest/wasi/recipe.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The recipe for the guest, as read from its file. The file says what each setting is for.
#[derive(Deserialize)]
pub(crate) struct Recipe {
    /// Compiling C.
    pub(crate) c: C,
    /// Linking.
    pub(crate) link: Link,
    /// Where in memory things lie.
    pub(crate) memory: Memory,
    /// Pre-initialising.
    pub(crate) snapshot: Snapshot,
}

/// Settings for the C compiler.
#[derive(Deserialize)]
pub(crate) struct C {
    /// Flags for all C code.
    pub(crate) flags: Vec<String>,
    /// Flags for `protect.s`.
    pub(crate) assembler_flags: Vec<String>,
}

/// Settings for the linker.
#[derive(Deserialize)]
pub(crate) struct Link {
    /// Arguments in addition to rustc's.
    pub(crate) args: Vec<String>,
}

/// Where in memory things lie: see `layout.rs`.
#[derive(Deserialize)]
pub(crate) struct Memory {
    /// Bytes at the start of it that all has to fit into that is in front.
    pub(crate) hot: u32,
    /// Pieces of data with more bytes aren't.
    pub(crate) small_data: u32,
    /// Bytes of the large stack.
    pub(crate) large_stack: u32,
}

/// What the guest sees of the world while it is pre-initialised.
#[derive(Deserialize)]
pub(crate) struct Snapshot {
    /// Seconds since 1970, as the wall clock always shows.
    pub(crate) wall_clock_seconds: u64,
    /// What the monotonic clock always shows.
    pub(crate) monotonic_nanoseconds: u64,
    /// Repeated without end, wherever random bytes are asked for.
    pub(crate) random_bytes: Vec<u8>,
}

impl Recipe {
    /// Reads the recipe of the workspace's guest.
    pub(crate) fn read(workspace: &Path) -> Result<Self> {
        let path = workspace.join("guest/wasi/recipe.toml");
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))
    }
}
