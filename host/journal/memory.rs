//! Memories that instances began with in place of the guest's own, as journals have them.

use memchr::memmem;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::Bytes;
use crate::sparse::{self, Piece};

/// A memory, and what of an instance's state lies beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The global variables, as numbers.
    pub(crate) globals: Vec<i64>,
    /// Where the guest has room for a small request, and how much.
    pub(crate) room: Option<(u32, u32)>,
    /// Bytes of the memory.
    len: usize,
    /// Where the pieces of it are that aren't zero, and how long they are.
    pieces: Vec<Piece>,
    /// Those pieces.
    bytes: Bytes,
}

impl Memory {
    pub(crate) fn new(memory: &[u8], globals: Vec<i64>, room: Option<(u32, u32)>) -> Memory {
        let pieces = sparse::pieces(memory);
        let bytes = pieces.iter().map(|(at, len)| &memory[*at..at + len]);
        let bytes = bytes.collect::<Vec<_>>().concat();
        Memory {
            globals,
            room,
            len: memory.len(),
            pieces,
            bytes: Bytes(bytes),
        }
    }

    /// Bytes that it has in all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes `memory` what this one is, as far as that is as large; false where the pieces make none.
    pub(crate) fn restore(&self, memory: &mut [u8]) -> bool {
        let Some(memory) = memory.get_mut(..self.len) else {
            return false;
        };
        memory.fill(0);
        sparse::restore(memory, &self.pieces, &self.bytes.0).is_some()
    }

    /// Writes stars over each of these texts, and says how often.
    pub(crate) fn mask(&mut self, hidden: &[&str]) -> u64 {
        let mut count = 0;
        for text in hidden {
            let mut at = 0;
            while let Some(found) = memmem::find(&self.bytes.0[at..], text.as_bytes()) {
                let start = at + found;
                at = start + text.len();
                self.bytes.0[start..at].fill(b'*');
                count += 1;
            }
        }
        count
    }

    /// SHA-256 of all of it, in hexadecimal digits: memories that are the same have the same.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{:?} {:?} {:?}",
            self.globals, self.room, self.pieces
        ));
        hash.update(&self.bytes.0);
        crate::report::hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_takes_the_place_of_another() {
        let mut memory = vec![0; 100_000];
        memory[70_000] = 1;
        let kept = Memory::new(&memory, Vec::new(), None);
        let mut other = vec![7; 100_000];
        assert!(kept.restore(&mut other));
        assert_eq!(other, memory);
        assert!(!kept.restore(&mut other[1..]));
        let mut wrong = kept.clone();
        wrong.pieces[0].0 = usize::MAX;
        assert!(!wrong.restore(&mut other));
        assert_ne!(wrong.hash(), kept.hash());
    }

    #[test]
    fn texts_are_masked() {
        let mut memory = Memory::new(b"a secret, a secret", Vec::new(), None);
        assert_eq!(memory.mask(&["secret"]), 2);
        assert_eq!(memory.bytes.0, b"a ******, a ******");
    }
}
