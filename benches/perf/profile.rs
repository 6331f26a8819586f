//! How the benches are built.

use std::error::Error;

/// The profile that `cargo bench` builds with, as the workspace's manifest has it: a line to print
/// above figures.
pub(crate) fn line() -> Result<String, Box<dyn Error>> {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse()?;
    let settings = manifest
        .get("profile")
        .and_then(|profiles| profiles.get("bench"))
        .and_then(toml::Value::as_table)
        .ok_or("Cargo.toml has no [profile.bench]")?;
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    Ok(format!("profile bench: {}", settings.join(", ")))
}
