//! What is in the messages: MessagePack, with everything that the caller gave as it was given.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::keys::Keys;

/// A job or a suspect, as it lies in a queue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobSent {
    /// How long its worker may be silent, in milliseconds.
    pub(crate) lease: u64,
    /// The key of its run.
    pub(crate) key: Bytes,
    pub(crate) body: Body,
}

/// What would make a message too long lies among the blobs of the run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Body {
    Here(Bytes),
    Blob(String),
}

/// What is in a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What its items have in common.
    pub(crate) common: Bytes,
    pub(crate) items: Vec<(u64, Bytes)>,
}

/// What came of a job.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// The worker.
    pub(crate) worker: String,
    /// Microseconds that it took for these items.
    pub(crate) took: u64,
    /// How they ended, some of them together; those that aren't here weren't run, and are to be sent to another worker.
    pub(crate) ends: Vec<(Keys, Bytes)>,
}

impl Ended {
    /// How many items have an end.
    pub(crate) fn items(&self) -> usize {
        self.ends.iter().map(|(keys, _)| keys.len()).sum()
    }
}

/// What a worker says while it runs a chunk. It may get lost.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Note {
    /// It has begun with it, or goes on with it.
    At { batch: u64, chunk: String },
    /// Something for whoever waits for an item.
    Event { batch: u64, key: u64, bytes: Bytes },
}

/// What is known of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunShown {
    /// The first batch that isn't cancelled.
    pub(crate) from: u64,
}

/// What is told on cancelling: batches before this one are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CancelSent {
    pub(crate) from: u64,
}

/// # Errors
/// If it can't be written down.
pub(crate) fn encode(message: &impl Serialize) -> Result<Bytes, Error> {
    rmp_serde::to_vec(message)
        .map(Bytes::from)
        .map_err(|error| Error::of("a message", error))
}

/// # Errors
/// If it is none of these.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    rmp_serde::from_slice(bytes).map_err(|error| Error::of("a message makes no sense", error))
}

/// The most that something may take once it is unpacked.
const MAX_UNPACKED: usize = 512 << 20;

/// Makes the same smaller: what is in chunks is alike.
pub(crate) fn squeeze(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::compress_prepend_size(bytes)
}

/// # Errors
/// If it isn't what was made smaller, or would be too long.
pub(crate) fn unsqueeze(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let wrong = |why: &dyn std::fmt::Display| Error::of("a message can't be unpacked", why);
    let (len, rest) = lz4_flex::block::uncompressed_size(bytes).map_err(|error| wrong(&error))?;
    // A byte of it says at most 255 of those.
    if len > MAX_UNPACKED.min(rest.len().saturating_mul(256)) {
        return Err(wrong(&"it says that it is longer than it can be"));
    }
    lz4_flex::decompress(rest, len).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_squeezed_comes_back() {
        for bytes in [Vec::new(), b"text".to_vec(), vec![7; 1_000_000]] {
            let squeezed = squeeze(&bytes);
            assert!(squeezed.len() < bytes.len().max(100), "{}", squeezed.len());
            assert_eq!(unsqueeze(&squeezed), Ok(bytes));
        }
    }

    #[test]
    fn what_announces_more_than_it_holds_is_refused() {
        let mut lies = squeeze(b"text");
        lies[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        for wrong in [&lies[..], b"", b"abc", b"abcdefgh"] {
            assert!(unsqueeze(wrong).is_err(), "{wrong:?}");
        }
    }
}
