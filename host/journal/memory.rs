//! Memories that instances began with in place of the guest's own, as journals have them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::journal::bytes::Bytes;

/// Bytes that are looked at, and left out, at once.
const PIECE: usize = 4 << 10;

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
    pieces: Vec<(usize, usize)>,
    /// Those pieces.
    bytes: Bytes,
}

impl Memory {
    pub(crate) fn new(memory: &[u8], globals: Vec<i64>, room: Option<(u32, u32)>) -> Memory {
        const ZEROS: &[u8] = &[0; PIECE];

        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut bytes = Vec::new();
        for (at, piece) in (0..).step_by(PIECE).zip(memory.chunks(PIECE)) {
            if piece == &ZEROS[..piece.len()] {
                continue;
            }
            bytes.extend_from_slice(piece);
            match pieces.last_mut() {
                Some((start, len)) if *start + *len == at => *len += piece.len(),
                _ => pieces.push((at, piece.len())),
            }
        }
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
        let mut rest = self.bytes.0.as_slice();
        for (at, len) in &self.pieces {
            let end = at.checked_add(*len);
            let to = end.and_then(|end| memory.get_mut(*at..end));
            let (Some(to), Some((piece, others))) = (to, rest.split_at_checked(*len)) else {
                return false;
            };
            to.copy_from_slice(piece);
            rest = others;
        }
        rest.is_empty()
    }

    /// Writes stars over each of these texts, and says how often.
    pub(crate) fn mask(&mut self, hidden: &[&str]) -> u64 {
        let mut count = 0;
        for text in hidden {
            let mut at = 0;
            while let Some(found) = find(&self.bytes.0[at..], text.as_bytes()) {
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

/// Where `text` is in `bytes` first.
pub(crate) fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let (first, _) = text.split_first()?;
    let mut at = 0;
    loop {
        at += bytes[at..].iter().position(|byte| byte == first)?;
        if bytes[at..].starts_with(text) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_come_back_from_their_pieces() {
        let mut memory = vec![0; 100_000];
        for at in [0, 4095, 4096, 70_000, 99_999] {
            memory[at] = 1;
        }
        let kept = Memory::new(&memory, Vec::new(), None);
        assert_eq!(kept.bytes.0.len(), 2 * PIECE + PIECE + 100_000 % PIECE);
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
    fn texts_are_found_and_masked() {
        assert_eq!(find(b"aab", b"ab"), Some(1));
        assert_eq!(find(b"aab", b"b!"), None);
        assert_eq!(find(b"", b"b"), None);
        let mut memory = Memory::new(b"a secret, a secret", Vec::new(), None);
        assert_eq!(memory.mask(&["secret"]), 2);
        assert_eq!(memory.bytes.0, b"a ******, a ******");
    }
}
