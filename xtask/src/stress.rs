//! `cargo xtask stress`.
use anyhow::{Result, bail};
use std::path::Path;
pub(crate) fn run(_: &Path, _: u32, _: &[String]) -> Result<()> {
    bail!("not yet")
}
