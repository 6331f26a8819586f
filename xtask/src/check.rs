//! `cargo xtask guest --check`.
use crate::toolchain::Toolchain;
use anyhow::{Result, bail};
use std::path::Path;
pub(crate) fn run(_: &Path, _: &Toolchain) -> Result<()> {
    bail!("not yet")
}
