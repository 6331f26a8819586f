//! Files that a run leaves, as JSON: for this user alone, written whole or not at all, and read by
//! their types.

use std::io::{self, Read};
use std::path::Path;

use cap_std::fs::Dir;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::private_file::{self, For};

/// Writes a file, in place of one that may be there.
///
/// # Errors
/// If it can't be written; the one before is still there then.
pub(crate) fn write(folder: &Dir, name: &str, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    private_file::write(folder, name.as_ref(), For::UserAlone, &[&text])
}

/// Reads a file.
///
/// # Errors
/// If it can't be read, with the path to what is not as it should be.
pub(crate) fn read<T: DeserializeOwned>(folder: &Dir, name: &Path) -> Result<T, String> {
    let mut text = Vec::new();
    private_file::open(folder, name)
        .and_then(|mut file| file.read_to_end(&mut text))
        .map_err(|error| error.to_string())?;
    let mut json = serde_json::Deserializer::from_slice(&text);
    let value = serde_path_to_error::deserialize(&mut json);
    let value = value.map_err(|error| format!("not a checkpoint: {error}"))?;
    json.end()
        .map_err(|error| format!("not a checkpoint: {error}"))?;
    Ok(value)
}
