//! The settings in `guest/wasi/recipe.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::world::World;

/// The recipe for the guest, as read from its file. The file says what each setting is for.
#[derive(Deserialize)]
pub(crate) struct Recipe {
    /// Compiling C.
    pub(crate) c: C,
    /// Linking.
    pub(crate) link: Link,
    /// Where in memory things lie.
    pub(crate) memory: Memory,
    /// The table of functions.
    pub(crate) table: Table,
    /// Pre-initialising.
    pub(crate) snapshot: World,
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

/// The table of functions.
#[derive(Deserialize)]
pub(crate) struct Table {
    /// Places for translated functions: see `places.rs`.
    pub(crate) reserved: u32,
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
