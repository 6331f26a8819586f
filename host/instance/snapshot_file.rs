//! Snapshots in files: data, never machine code.
//!
//! | bytes | |
//! | --- | --- |
//! | the first line | what it is, and the number of this layout |
//! | 4 | the length of what comes next, little-endian |
//! | so many | a [`Head`], as JSON |
//! | as the head says | the pieces of the memory that aren't zero, one behind the other |
//! | 32 | SHA-256 of all of the above |
//!
//! The hash finds damage, not forgery: who may write to the file is looked at as for compiled code. A
//! memory that somebody made up could do no more than a script can, but a script of somebody else's.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::apart::PAGE;
use crate::engine::compiled::trust;
use crate::grants::told::{Numbers, Told};
use crate::identity::StoreId;
use crate::instance::frozen::Frozen;
use crate::instance::shared::Shared;
use crate::private_file::{self, For};
use crate::sparse::{self, Piece};
use crate::store::accountant::check_room;
use crate::store::global::Number;
use crate::{Error, Result, RunOptions};

const MARK: &[u8] = b"moonfork snapshot 1\n";

/// The version that writes, and reads, files: what a memory means is known to the very same alone.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bytes of the hash.
const HASH: usize = 32;

/// What a file says of its memory.
#[derive(Serialize, Deserialize)]
struct Head {
    version: String,
    guest_sha256: String,
    parent: StoreId,
    stream: u64,
    globals: Vec<Number>,
    room: Option<(u32, u32)>,
    told: Told,
    /// Bytes of the memory.
    memory: usize,
    /// The pieces of it that are there: where each begins, and how long it is.
    pieces: Vec<Piece>,
}

impl Frozen {
    /// Writes it to a file, for this user alone, in place of one that may be there.
    ///
    /// # Errors
    ///
    /// `Options` when that can't be done.
    pub(crate) fn write(&self, shared: &Shared, path: &Path) -> Result<()> {
        self.in_parts(shared, |parts| {
            let write = || {
                let (folder, name) = private_file::split(path)?;
                let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
                private_file::write(&dir, name, For::UserAlone, parts)
            };
            write().map_err(|error: std::io::Error| {
                Error::options(format_args!(
                    "the snapshot can't be written to {}: {error}",
                    path.display()
                ))
            })
        })
    }

    /// What [`write`](Self::write) writes, as bytes.
    ///
    /// # Errors
    ///
    /// When its memory can't be had.
    pub(crate) fn to_bytes(&self, shared: &Shared) -> Result<Vec<u8>> {
        self.in_parts(shared, |parts| Ok(parts.concat()))
    }

    /// Does something with what is written of it, part by part.
    fn in_parts<R>(&self, shared: &Shared, with: impl FnOnce(&[&[u8]]) -> Result<R>) -> Result<R> {
        // Reading it takes the place of an instance.
        let terms = shared.terms(&RunOptions::new())?;
        let _slot = shared.slot(&shared.snapshot_slots, &terms)?;
        let memory = self.memory.bytes().map_err(Error::internal)?;
        let pieces = sparse::pieces(&memory);
        let head = Head {
            version: VERSION.to_owned(),
            guest_sha256: shared.image.guest_sha256().to_owned(),
            parent: self.parent,
            stream: self.stream,
            globals: self.globals.clone(),
            room: self.room,
            told: Told::clone(&self.told),
            memory: memory.len(),
            pieces,
        };
        let json = serde_json::to_vec(&head).map_err(Error::internal)?;
        let len = u32::try_from(json.len()).map_err(Error::internal)?;
        let len = len.to_le_bytes();
        let mut parts = vec![MARK, &len, &json];
        parts.extend(head.pieces.iter().map(|(at, len)| &memory[*at..at + len]));
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        let hash = hash.finalize();
        parts.push(&hash);
        with(&parts)
    }

    /// Reads what [`write`](Self::write) has written.
    ///
    /// # Errors
    ///
    /// `Options` when the file isn't that, is damaged, was written by another version or for another
    /// guest, or could have been written by others than this user and root; when it is larger than
    /// instances of the pool may be, or has host functions that the pool has not.
    pub(crate) fn read(shared: &Shared, path: &Path) -> Result<Frozen> {
        let refused = |why: &dyn std::fmt::Display| {
            let path = path.display();
            Error::options(format_args!("the snapshot {path} can't be used: {why}"))
        };
        let most = shared.limits.memory;
        let file = content(path, most).map_err(|error| refused(&error))?;
        Frozen::parsed(shared, &file, &refused)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), but for who could have written it.
    pub(crate) fn from_bytes(shared: &Shared, bytes: &[u8]) -> Result<Frozen> {
        Frozen::parsed(shared, bytes, &|why| {
            Error::options(format_args!("the snapshot can't be used: {why}"))
        })
    }

    fn parsed(
        shared: &Shared,
        file: &[u8],
        refused: &dyn Fn(&dyn std::fmt::Display) -> Error,
    ) -> Result<Frozen> {
        let (head, pieces) = parse(file).map_err(|why| refused(&why))?;
        if head.version != VERSION {
            let other = head.version;
            return Err(refused(&format_args!(
                "version {other} has written it, and this is {VERSION}; make it anew"
            )));
        }
        if head.guest_sha256 != shared.image.guest_sha256() {
            return Err(refused(&"it is of another guest module; make it anew"));
        }
        check_room(head.memory, &shared.limits)?;
        let memory = unpack(&head, pieces).ok_or_else(|| refused(&BROKEN))?;
        let numbers = Numbers::new(&head.told, &shared.functions)?;
        let memory = shared.image.freeze(&memory).map_err(|error| {
            Error::internal(format_args!("the memory can't be frozen: {error:#}"))
        })?;
        Ok(Frozen {
            memory,
            globals: head.globals,
            room: head.room,
            told: Arc::new(head.told),
            numbers,
            stream: head.stream,
            parent: head.parent,
            chunks: Vec::new(),
            #[cfg(feature = "compile")]
            translated: Vec::new(),
            kept: OnceLock::new(),
        })
    }
}

/// What is in the file, if nobody else can have put it there.
fn content(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    // It may be reached through links; where it really lies is what has to be well protected.
    let path = path.canonicalize()?;
    let (folder, name) = private_file::split(&path)?;
    let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
    trust::check("its folder", &dir.dir_metadata()?)?;
    let file = private_file::open(&dir, Path::new(name))?;
    let metadata = file.metadata()?;
    trust::check("it", &metadata)?;
    // A head takes much less than the memory that it is about.
    let most = (most as u64).saturating_mul(2);
    if metadata.len() > most {
        let error = format!(
            "it has {} bytes, more than instances may have",
            metadata.len()
        );
        return Err(std::io::Error::other(error));
    }
    let mut content = Vec::new();
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

const BROKEN: &str = "it is damaged";

/// The head and the pieces of a whole file.
fn parse(file: &[u8]) -> Result<(Head, &[u8]), &'static str> {
    let Some(rest) = file.strip_prefix(MARK) else {
        return Err("it is no snapshot, or in the layout of another version");
    };
    let Some(without_hash) = rest.len().checked_sub(HASH) else {
        return Err(BROKEN);
    };
    let (hashed, hash) = file.split_at(MARK.len() + without_hash);
    if *Sha256::digest(hashed) != *hash {
        return Err(BROKEN);
    }
    let read = || {
        let (len, rest) = rest[..without_hash].split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (head, pieces) = rest.split_at_checked(len)?;
        Some((serde_json::from_slice(head).ok()?, pieces))
    };
    read().ok_or(BROKEN)
}

/// The memory that a head and its pieces make.
fn unpack(head: &Head, pieces: &[u8]) -> Option<Vec<u8>> {
    if !head.memory.is_multiple_of(PAGE) {
        return None;
    }
    let mut memory = vec![0; head.memory];
    sparse::restore(&mut memory, &head.pieces, pieces)?;
    Some(memory)
}
