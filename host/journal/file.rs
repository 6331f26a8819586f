//! Journals in files, for this user alone.
//!
//! | bytes | |
//! | --- | --- |
//! | the first line | what it is, and the number of the layout |
//! | the most | a [`Body`], as MessagePack |
//! | 32 | SHA-256 of all of the above |
//!
//! The memory that an instance began with is in a file of its own beside it, in the same form, that is named
//! after its hash: many instances may have begun with the same.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::journal::memory::Memory;
use crate::journal::{Journal, VERSION};
use crate::private_file::{self, For};
use crate::{Error, Result};

/// What the first line of each of them begins with; the number of the layout follows.
const MARK: &str = "moonfork journal ";
const MEMORY_MARK: &str = "moonfork memory ";

/// Bytes of the hash.
const HASH: usize = 32;

/// What is in the file of a journal.
#[derive(Serialize, Deserialize)]
struct Body<J> {
    /// The hash of the memory that lies beside it.
    memory: Option<String>,
    journal: J,
}

impl Journal {
    /// Writes it to a file that this user alone can read, in place of one that may be there. The memory that the
    /// instance began with, if it was a fork or began with a snapshot or behind a prelude, is written beside it
    /// once, as `HASH.memory`.
    ///
    /// # Errors
    ///
    /// `Options` when that can't be done.
    pub fn write(&self, file: impl AsRef<Path>) -> Result<()> {
        let path = file.as_ref();
        let write = || {
            let (folder, name) = private_file::split(path)?;
            let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
            self.write_in(&dir, name)
        };
        write().map_err(|error| {
            Error::options(format_args!(
                "the journal can't be written to {}: {error}",
                path.display()
            ))
        })
    }

    /// The same, in a folder that is open.
    pub(crate) fn write_in(&self, dir: &Dir, name: &OsStr) -> std::io::Result<()> {
        let Some(memory) = &self.memory else {
            let body = Body {
                memory: None,
                journal: self,
            };
            return write(dir, name, MARK, &body);
        };
        let hash = memory.hash();
        let beside = memory_name(&hash);
        if !dir.try_exists(&beside)? {
            write(dir, OsStr::new(&beside), MEMORY_MARK, &**memory)?;
        }
        let journal = Journal {
            memory: None,
            ..self.clone()
        };
        let body = Body {
            memory: Some(hash),
            journal: &journal,
        };
        write(dir, name, MARK, &body)
    }

    /// Reads what [`write`](Self::write) has written.
    ///
    /// # Errors
    ///
    /// `Options`, with the reason and what to do, when the file isn't a journal, is damaged or cut off, was written
    /// by another version, or lacks the memory beside it.
    pub fn read(file: impl AsRef<Path>) -> Result<Journal> {
        let path = file.as_ref();
        let refused = |why: &dyn std::fmt::Display| {
            let path = path.display();
            Error::options(format_args!("the journal {path} can't be used: {why}"))
        };
        let open = || {
            let (folder, name) = private_file::split(path)?;
            let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
            let bytes = content(&dir, name)?;
            std::io::Result::Ok((dir, bytes))
        };
        let (dir, bytes) = open().map_err(|error| refused(&error))?;
        let body: Body<Journal> = parse(&bytes, MARK, "journal").map_err(|why| refused(&why))?;
        let mut journal = body.journal;
        if journal.version != VERSION || journal.schema_version != Journal::SCHEMA_VERSION {
            return Err(refused(&format_args!(
                "moonfork {} has recorded it, and this is {VERSION}; replay it with that version",
                journal.version
            )));
        }
        if let Some(hash) = body.memory {
            let name = memory_name(&hash);
            let lacking = |why: &dyn std::fmt::Display| {
                refused(&format_args!(
                    "it goes with the memory in {name}, which has to lie beside it: {why}"
                ))
            };
            let bytes = content(&dir, OsStr::new(&name)).map_err(|error| lacking(&error))?;
            let memory: Memory =
                parse(&bytes, MEMORY_MARK, "memory").map_err(|why| lacking(&why))?;
            if memory.hash() != hash {
                return Err(lacking(&"it is another one"));
            }
            journal.memory = Some(Arc::new(memory));
        }
        Ok(journal)
    }
}

/// The file of a memory with this hash.
fn memory_name(hash: &str) -> String {
    // Nobody has made two of the same half by chance; and the whole is compared.
    let short = hash.get(..32).unwrap_or(hash);
    format!("{short}.memory")
}

fn write(dir: &Dir, name: &OsStr, mark: &str, body: &impl Serialize) -> std::io::Result<()> {
    let mark = format!("{mark}{}\n", Journal::SCHEMA_VERSION);
    let body = rmp_serde::to_vec_named(body).map_err(std::io::Error::other)?;
    let mut hash = Sha256::new();
    hash.update(&mark);
    hash.update(&body);
    let parts = [mark.as_bytes(), &body, &hash.finalize()];
    private_file::write(dir, name, For::UserAlone, &parts)
}

fn content(dir: &Dir, name: &OsStr) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    private_file::open(dir, Path::new(name))?.read_to_end(&mut content)?;
    Ok(content)
}

/// What is in a whole file.
fn parse<T: DeserializeOwned>(file: &[u8], mark: &str, what: &str) -> Result<T, String> {
    let line_end = file.iter().position(|byte| *byte == b'\n');
    let line = line_end.and_then(|end| str::from_utf8(&file[..end]).ok());
    let layout = line.and_then(|line| line.strip_prefix(mark)?.parse::<u32>().ok());
    match layout {
        Some(Journal::SCHEMA_VERSION) => {}
        Some(other) => {
            return Err(format!(
                "it is in layout {other}, and moonfork {VERSION} reads {}: replay it with the \
                 version that has recorded it",
                Journal::SCHEMA_VERSION
            ));
        }
        None => return Err(format!("it is no {what} of moonfork's")),
    }
    let damaged =
        || format!("it is damaged or cut off: its checksum doesn't fit, so record the {what} anew");
    let body_start = line_end.unwrap_or_default() + 1;
    let hash_start = file.len().checked_sub(HASH).filter(|at| *at >= body_start);
    let (hashed, hash) = file.split_at(hash_start.ok_or_else(damaged)?);
    if *Sha256::digest(hashed) != *hash {
        return Err(damaged());
    }
    rmp_serde::from_slice(&hashed[body_start..]).map_err(|_| damaged())
}
